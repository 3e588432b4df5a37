"""The judge of this run: loaded, with the ledger of its replies."""

from pathlib import Path

import pandas as pd

from clinical_camel import data
from clinical_camel.core.settings import Incomplete
from clinical_camel.eval_replies.settings import EvalReplies
from clinical_camel.eval_replies.win_rate import compare_pairs
from clinical_camel.teachers import open_judge


def judge_pairs(pairs: pd.DataFrame, settings: EvalReplies, ledger: Path) -> pd.DataFrame:
    """Return the verdicts of the judge of these settings on all pairs (see `compare_pairs`).

    Replies of a language model are saved in the `ledger` file. Raises ValueError if restricted rows
    would leave this machine, TeacherStop if the judge cannot continue.
    """
    licences = [data.describe(spec)["licence"] for spec in settings.questions]
    with open_judge(settings.judge, ledger, licences, seed=settings.seed) as judge:
        return compare_pairs(pairs, judge)


def require_verdicts(verdicts: pd.DataFrame) -> None:
    """Raise Incomplete if more than half of the pairs that the judge saw have no verdict."""
    sent = verdicts[verdicts["decided_by"] == "judge"]
    failed = sent[sent["winner"] == ""]
    if 2 * len(failed) > len(sent):
        raise Incomplete(
            f"no verdict on {len(failed)} of {len(sent)} pairs, first: "
            f"{failed['reason'].iloc[0]}; the step is incomplete"
        )
