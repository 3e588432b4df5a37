"""Scores in subgroups of an exam: by subject, by length, by suspected image."""

from collections.abc import Sequence

import pandas as pd

from clinical_camel.data import Question
from clinical_camel.exam_results.answers import (
    KEY_COLUMNS,
    Benchmarks,
    compute_interval,
    list_clusters,
)

LENGTHS = ("short", "middle", "long")
SUBGROUP_COLUMNS = [*KEY_COLUMNS, "grouping", "subgroup", "n", "accuracy", "low", "high"]


def compute_subgroup_scores(answers: pd.DataFrame, questions: Benchmarks) -> pd.DataFrame:
    """Return the accuracy in subgroups of a benchmark: by subject, length and suspected image.

    Lengths are thirds of the benchmark by characters of context, question and options. A grouping
    with a single subgroup is left out. Of several variants only the first is used. The intervals
    count questions on one passage or condition as dependent (`compute_interval`). With many
    subgroups there are many comparisons: two intervals that just do not overlap mean little.
    """
    rows = []
    first = answers[answers["fits"] & answers["variant"].eq(answers["variant"].iloc[0])]
    for key, group in first.groupby(KEY_COLUMNS, sort=False):
        row = dict(zip(KEY_COLUMNS, key, strict=True))
        by_id = {question.id: question for question in questions[row["benchmark"]]}
        for grouping, subgroups in _group_questions(questions[row["benchmark"]]).items():
            names = group["id"].map(subgroups)
            for name in sorted(set(subgroups.values())):
                here = group[names == name]
                correct, clusters = here["correct"], list_clusters(here["id"], by_id)
                low, high = compute_interval(correct, clusters)
                score = {"n": len(correct), "accuracy": correct.mean(), "low": low, "high": high}
                rows.append(row | {"grouping": grouping, "subgroup": name} | score)
    return pd.DataFrame(rows, columns=SUBGROUP_COLUMNS)


def _group_questions(questions: Sequence[Question]) -> dict[str, dict[str, str]]:
    """Return the subgroup of each question by id, for each grouping with several subgroups."""
    sizes = {q.id: len(q.context + q.question + "".join(q.options)) for q in questions}
    ranked = sorted(sizes, key=sizes.get)
    groupings = {
        "subset": {q.id: q.subset for q in questions},
        "length": {id: LENGTHS[3 * i // len(ranked)] for i, id in enumerate(ranked)},
        "image": {q.id: "suspected" if q.image_suspected else "none" for q in questions},
    }
    return {name: by_id for name, by_id in groupings.items() if len(set(by_id.values())) > 1}


def format_subgroups(subgroups: pd.DataFrame) -> pd.DataFrame:
    """Return a row per subgroup and a column per model, accuracy in percent, for the page."""
    index = ["benchmark", "grouping", "subgroup", "n"]
    table = subgroups.pivot_table("accuracy", index, "model", sort=False)
    return table.mul(100).round(1)


def describe_images(questions: Benchmarks) -> str:
    """Return how many questions of each exam seem to refer to an image."""
    counts = {name: sum(q.image_suspected for q in rows) for name, rows in questions.items()}
    shown = [f"{count} of {len(questions[name])} of `{name}`" for name, count in counts.items()]
    return f"Questions that seem to refer to an image: {', '.join(shown)}."
