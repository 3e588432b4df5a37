"""Record the verdicts of a language model that is not an endpoint: prompts out, verdicts in.

    python -m experiments.recorded_verdicts replies data/recorded
    python -m experiments.recorded_verdicts export FOLDER
    python -m experiments.recorded_verdicts import FOLDER

They are the verdicts that the study clinicalgpt_mini_judge replays. `replies` saves what PPO
replied in clinicalgpt_mini, because the adapter of the policy is not in git. `export` writes two
prompts to FOLDER/requests for each pair of different replies: either reply is shown first in one of
them. A key is a hash of its prompt, so it does not say which model is shown first. A writer sees
nothing but one of these texts, answers once, and the raw reply goes to FOLDER/replies/<key>.txt.
`import` appends new replies to the ledger, byte for byte: see `clinical_camel.teachers.recording`.
"""

import argparse
from pathlib import Path

import pandas as pd

from clinical_camel import eval_replies, teachers
from clinical_camel.core.paths import root
from clinical_camel.eval_replies.cases import make_cases
from clinical_camel.runner.jobs import load_job
from clinical_camel.teachers.teacher import Query

WRITER = "a large language model (no name recorded)"
STUDY, STEP = "clinicalgpt_mini_judge", "08_eval_replies"
REPLIES = "outputs/clinicalgpt_mini/08_eval_replies/replies.csv"
LEDGER = "data/recorded/llm_verdicts.sqlite"


def read_replies(model: str) -> pd.DataFrame:
    """Return the replies of a model of clinicalgpt_mini."""
    table = pd.read_csv(root() / REPLIES, keep_default_na=False)
    return table[table["model"] == model]


def save_ppo_replies(folder: Path) -> None:
    """Write the replies of PPO as a file for `other_replies`."""
    rows = read_replies("ppo")[["task", "corpus", "id", "model", "reply"]]
    file = folder / "clinicalgpt_mini_ppo_replies.csv"
    rows.to_csv(file, index=False, lineterminator="\n")
    print(f"{file}: {len(rows)} replies")


def make_pairs() -> pd.DataFrame:
    """Return the pairs of answers of the study.

    The answers of its adapter are those of clinicalgpt_mini, which has the same adapter and cases.
    """
    settings = load_job(STUDY, STEP).settings
    cases = make_cases(settings)
    others = eval_replies.load_other_replies(cases, settings.other_replies)
    replies = pd.concat([*map(read_replies, settings.adapters), others], ignore_index=True)
    return eval_replies.make_pairs(replies, cases, settings.baseline, settings.list_models())


def list_queries() -> dict[str, Query]:
    """Return the query of each prompt by its key, in the order of the keys."""
    comparisons = eval_replies.list_comparisons(make_pairs())
    queries = teachers.list_queries(comparisons, WRITER, "").values()
    by_key = {query.provenance["prompt"][:12]: query for query in queries}
    return dict(sorted(by_key.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("replies", "export", "import"):
        commands.add_parser(name).add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.command == "replies":
        save_ppo_replies(options.folder)
        return
    queries = list_queries()
    if options.command == "export":
        teachers.export_requests(queries, options.folder)
        print(f"{options.folder / 'requests'}: {len(queries)} prompts")
    else:
        count = teachers.import_replies(queries, options.folder, root() / LEDGER)
        print(f"{LEDGER}: {count} replies added; {len(queries)} prompts in all")


if __name__ == "__main__":
    main()
