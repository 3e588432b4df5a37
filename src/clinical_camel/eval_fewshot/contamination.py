"""Which exam questions stand in what a model was trained on: tables of what `data` has found."""

from collections.abc import Mapping, Sequence

import pandas as pd

from clinical_camel.data import Question
from clinical_camel.data.contamination import KINDS
from clinical_camel.data.shapes import Row
from clinical_camel.eval_fewshot.scores import SETTING, score_table


def overlap_counts(
    found: pd.DataFrame,
    questions: Mapping[str, Sequence[Question]],
    sources: Mapping[str, Sequence[Row]],
) -> pd.DataFrame:
    """For each benchmark and source, how many questions were found, each by its strongest kind.

    `found` is the table of `search_sources`. Columns: benchmark, trained_on, rows, n, one for each
    of KINDS, and `share` of the n questions with any of them.
    """
    rank = {kind: i for i, kind in enumerate(KINDS)}
    rows = []
    for trained_on, texts in sources.items():
        for benchmark, asked in questions.items():
            here = found[found["benchmark"].eq(benchmark) & found["trained_on"].eq(trained_on)]
            strongest = here["kind"].map(rank).groupby(here["id"]).min().value_counts()
            counts = {kind: int(strongest.get(i, 0)) for kind, i in rank.items()}
            row = {"benchmark": benchmark, "trained_on": trained_on, "rows": len(texts)}
            share = sum(counts.values()) / len(asked)
            rows.append(row | {"n": len(asked)} | counts | {"share": share})
    return pd.DataFrame(rows, columns=["benchmark", "trained_on", "rows", "n", *KINDS, "share"])


def closest(
    found: pd.DataFrame, questions: Mapping[str, Sequence[Question]], per_benchmark: int
) -> str:
    """The likest pairs of each benchmark, question above source, as plain text to be read."""
    shown = []
    for benchmark, rows in found.groupby("benchmark", sort=False):
        asked = {question.id: question for question in questions[benchmark]}
        order = rows.assign(rank=rows["kind"].map(KINDS.index), below=-rows["similarity"])
        order = order.sort_values(["rank", "below"], kind="stable").drop_duplicates("id")
        for row in order.head(per_benchmark).itertuples():
            question = asked[row.id]
            told = f"{question.question} {question.options[question.answer]}"
            shown.append(
                f"{benchmark}, {row.kind}, similarity {row.similarity:.2f}\n"
                f"  asked   {told:.300}\n  trained {row.shared:.300}"
            )
    return "\n\n".join(shown) or "no question was found"


def clean_scores(
    answers: pd.DataFrame, questions: Mapping[str, Sequence[Question]], overlapping: pd.DataFrame
) -> pd.DataFrame:
    """Each score beside the one without the questions that were found in training.

    `overlapping` is the table of `search_sources` (a question is known by its benchmark and id).
    Columns: those of SETTING, n, accuracy, low, high and chance of `score_table`, `overlapping`
    (questions left out), `n_clean`, `accuracy_clean`, `low_clean` and `high_clean`; missing where
    every question was found. A clean score below the full one is what remembering would do, and
    also what harder questions would: look at n.
    """
    found = set(zip(overlapping["benchmark"], overlapping["id"], strict=True))
    pairs = zip(answers["benchmark"], answers["id"], strict=True)
    clean = answers[[pair not in found for pair in pairs]]
    scores = score_table(answers, questions, pd.DataFrame())
    scores = scores[[*SETTING, "n", "accuracy", "low", "high", "chance"]]
    kept = score_table(clean, questions, pd.DataFrame()) if len(clean) else scores.iloc[:0]
    kept = kept[[*SETTING, "n", "accuracy", "low", "high"]]
    scores = scores.merge(kept, on=SETTING, how="left", suffixes=("", "_clean"))
    scores["n_clean"] = scores["n_clean"].fillna(0).astype(int)
    return scores.assign(overlapping=scores["n"] - scores["n_clean"])
