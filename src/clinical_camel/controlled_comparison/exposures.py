"""How often each fact occurred in the training, and how often it was answered.

A fact is what an exam question asks for; `data.count_exposures` says what counts as an exposure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from clinical_camel import data
from clinical_camel.controlled_comparison.reading import (
    EXAM,
    TRAINING,
    SweepRun,
    is_base,
    name_seeds,
    read_record,
)
from clinical_camel.controlled_comparison.settings import ALL, Comparison
from clinical_camel.core.hashing import key_hash

COLUMNS = ["arm", "seed", "id", "exposures"]


def count_exposures(runs: Sequence[SweepRun], design: Comparison) -> pd.DataFrame:
    """Return how often each fact had loss in the training of each run, over all epochs: COLUMNS.

    `id` is the question of the primary exam; `data.count_exposures` counts. If `num_epochs` is not
    whole, it is the expected number: the last, partial epoch reads a part of the rows.
    """
    counted: dict[str, dict[str, int]] = {}
    rows = []
    for run in runs:
        params = read_record(run, TRAINING)["params"]
        key = key_hash([params[name] for name in ("mixture", "seed", "loss_on", "loss_on_all")])
        if key not in counted:
            counted[key] = _count_run(run, params, design.exam)
        for question_id, count in counted[key].items():
            rows.append(
                [run.arm, name_seeds(run), question_id, round(count * params["num_epochs"])]
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _count_run(run: SweepRun, params: Mapping[str, Any], benchmark: str) -> dict[str, int]:
    """Return the exposures of each question of an exam in one epoch of a run."""
    specs = read_record(run, EXAM)["params"]["benchmarks"]
    spec = next((spec for spec in specs if data.label(spec) == benchmark), "")
    questions = [q for q in data.load_questions(spec) if q.group] if spec else []
    counts: Counter[str] = Counter()
    for source, share in params["mixture"].items():
        rows = data.load_training_rows(source, share, params["seed"])
        loss_on = "all" if source in params["loss_on_all"] else params["loss_on"]
        counts.update(data.count_exposures(rows, questions, loss_on))
    return counts


def summarize_recall(
    exposures: pd.DataFrame, answers: pd.DataFrame, design: Comparison
) -> pd.DataFrame:
    """Return each fact in each arm: arm, id, exposures (mean over runs), recall.

    `recall` is the share of the runs that answer the question of the fact correctly. All questions
    of the primary exam count, also those that overlap with training texts.
    """
    here = answers[
        (answers["outcome"] == design.primary + ALL) & ~answers["arm"].map(is_base).astype(bool)
    ]
    both = here.merge(exposures, on=["arm", "seed", "id"])
    facts = both.groupby(["arm", "id"], sort=False)[["exposures", "score"]].mean()
    return facts.rename(columns={"score": "recall"}).reset_index()


def correlate_recall(recall: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's rank correlation of exposures and recall over the facts of each arm.

    Columns: arm, facts, fewest, mean and most exposures, correlation; NaN if all facts have the
    same exposures or recall.
    """
    rows = []
    for arm, facts in recall.groupby("arm", sort=False):
        ranks = facts[["exposures", "recall"]].rank()
        is_flat = (ranks.nunique() < 2).any()
        value = float("nan") if is_flat else ranks["exposures"].corr(ranks["recall"])
        spread = facts["exposures"].agg(["min", "mean", "max"])
        rows.append([arm, len(facts), *spread, value])
    columns = ["arm", "facts", "fewest_exposures", "mean_exposures", "most_exposures"]
    return pd.DataFrame(rows, columns=[*columns, "correlation"])
