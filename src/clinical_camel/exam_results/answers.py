"""The columns that name an evaluation; clusters of questions; the interval of an accuracy."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from clinical_camel.data import Question

EVALUATION = ["benchmark", "variant", "protocol", "num_shots"]  # what all models answer alike
KEY_COLUMNS = [*EVALUATION, "model"]  # one evaluation of one model
LEVEL = 0.05  # of a significant difference, after Holm's adjustment
ONE_ANSWER = 0.9  # share of answers in one position from which a score shows nothing else
NO_STUDY = "no study of ours reproduces this system"  # reason in the table of published scores
ONE_TRAINING = (
    "The intervals cover the choice of questions, not the training: each model was trained once, "
    "and another seed gives another model."
)

Benchmarks = Mapping[str, Sequence[Question]]  # rows by the label of the benchmark


def list_clusters(ids: Iterable[str], by_id: Mapping[str, Question]) -> list[str]:
    """Return the group of each question; a question without a group is its own."""
    return [by_id[id].group or id for id in ids]


def compute_interval(values: pd.Series, clusters: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % interval of a share of true values, given the cluster of each."""
    from clinical_camel import stats  # with scipy, a second to import, which `plan` does not need

    if len(set(clusters)) < len(clusters):
        return stats.clustered_interval(values.astype(float).to_numpy(), clusters)
    return stats.wilson_interval(int(values.sum()), len(values))
