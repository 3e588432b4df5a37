"""Exam questions that occur in training data: tables of what `data.search_sources` found."""

from collections.abc import Mapping, Sequence

import pandas as pd

from clinical_camel.core.wording import format_percent
from clinical_camel.data.contamination import KINDS
from clinical_camel.data.shapes import Row
from clinical_camel.exam_results.answers import (
    KEY_COLUMNS,
    Benchmarks,
    compute_interval,
    list_clusters,
)
from clinical_camel.exam_results.pages import make_page
from clinical_camel.score_checks.exam import Exam


def count_overlaps(
    overlaps: pd.DataFrame, questions: Benchmarks, training_data: Mapping[str, Sequence[Row]]
) -> pd.DataFrame:
    """Count the questions of each benchmark found in each source, each by its strongest kind.

    `overlaps` is the table of `data.search_sources`. Columns: benchmark, trained_on, rows, n, one
    for each of KINDS, and `share`: the share of the n questions with any of them.
    """
    rank = {kind: i for i, kind in enumerate(KINDS)}
    rows = []
    for source, texts in training_data.items():
        for benchmark, exam in questions.items():
            is_here = overlaps["benchmark"].eq(benchmark) & overlaps["trained_on"].eq(source)
            here = overlaps[is_here]
            strongest = here["kind"].map(rank).groupby(here["id"]).min().value_counts()
            counts = {kind: int(strongest.get(i, 0)) for kind, i in rank.items()}
            row = {"benchmark": benchmark, "trained_on": source, "rows": len(texts)}
            share = sum(counts.values()) / len(exam)
            rows.append(row | {"n": len(exam)} | counts | {"share": share})
    return pd.DataFrame(rows, columns=["benchmark", "trained_on", "rows", "n", *KINDS, "share"])


def format_closest_pairs(overlaps: pd.DataFrame, questions: Benchmarks, per_benchmark: int) -> str:
    """Return the most similar pairs of each benchmark as text: the question, then the source."""
    pairs = []
    for benchmark, rows in overlaps.groupby("benchmark", sort=False):
        by_id = {question.id: question for question in questions[benchmark]}
        order = rows.assign(rank=rows["kind"].map(KINDS.index), distance=-rows["similarity"])
        order = order.sort_values(["rank", "distance"], kind="stable").drop_duplicates("id")
        for row in order.head(per_benchmark).itertuples():
            question = by_id[row.id]
            text = f"{question.question} {question.options[question.answer]}"
            pairs.append(
                f"{benchmark}, {row.kind}, similarity {row.similarity:.2f}\n"
                f"  exam      {text:.300}\n  training  ... {row.shared:.300} ..."
            )
    return "\n\n".join(pairs) or "no exam question found in the training data"


def compute_clean_scores(exam: Exam, overlaps: pd.DataFrame) -> pd.DataFrame:
    """Return each score with and without the questions found in the training data.

    `overlaps` is the table of `data.search_sources`; its benchmark and id name a question. Columns:
    KEY_COLUMNS; n, accuracy, low, high and chance of scores.csv; `n_clean`, `accuracy_clean`,
    `low_clean` and `high_clean`, missing if every question was found; `overlapping`, the number of
    questions left out. A clean score below the full score can mean memorised questions, or that the
    remaining ones are harder: check n.
    """
    overlapping = set(zip(overlaps["benchmark"], overlaps["id"], strict=True))
    ids = zip(exam.answers["benchmark"], exam.answers["id"], strict=True)
    is_clean = pd.Series([id not in overlapping for id in ids], exam.answers.index, dtype=bool)
    answers = exam.answers[is_clean & exam.answers["fits"]]
    rows = []
    for key, group in answers.groupby(KEY_COLUMNS, sort=False):
        by_id = {question.id: question for question in exam.questions[key[0]]}
        low, high = compute_interval(group["correct"], list_clusters(group["id"], by_id))
        rows.append([*key, len(group), group["correct"].mean(), low, high])
    columns = [f"{name}_clean" for name in ("n", "accuracy", "low", "high")]
    clean = pd.DataFrame(rows, columns=[*KEY_COLUMNS, *columns])
    scores = exam.scores[[*KEY_COLUMNS, "n", "accuracy", "low", "high", "chance"]]
    clean = clean.astype({name: scores[name].dtype for name in KEY_COLUMNS})  # of an empty table
    scores = scores.merge(clean, on=KEY_COLUMNS, how="left")
    scores["n_clean"] = scores["n_clean"].fillna(0).astype(int)
    return scores.assign(overlapping=scores["n"] - scores["n_clean"])


def format_clean_scores(clean: pd.DataFrame) -> pd.DataFrame:
    """Return each score with and without the questions found in training data, in percent."""
    page = {"model": clean["model"].tolist()}
    for end in ("", "_clean"):
        columns = (clean[name + end] for name in ("accuracy", "low", "high"))
        page[f"accuracy{end}".replace("_", " ")] = list(map(format_percent, *columns))
        page[f"n{end}".replace("_", " ")] = clean[f"n{end}"].tolist()
    return make_page(clean, page | {"chance": list(map(format_percent, clean["chance"]))})
