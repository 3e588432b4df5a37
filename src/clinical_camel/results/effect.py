"""Do dialogues teach more than raw articles, and in which question forms?

The controlled comparison (step 06) answers, by the rules written before its runs. A control study
compares one training of each model; every headline says so.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.results.contrasts import name_pairs_table
from clinical_camel.results.controlled import assess_controlled, assess_other_forms
from clinical_camel.results.forms import COMPARISON, read_control, select
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import (
    Finding,
    Number,
    Pair,
    Result,
    find_result,
    read_difference,
)
from clinical_camel.results.wording import BASES, join, show_points

MIXTURE, LOG = "mixture.csv", "train_log.csv"  # of step 02, beside the adapter


def assess_effect(settings: Results) -> Finding:
    """Return whether dialogues teach more than raw articles, in the main question form."""
    if result := find_result(settings.comparison, COMPARISON):
        return assess_controlled(settings, result)
    return Finding("effect", "dialogues against raw articles", is_run=False)


def compare_control(result: Result, settings: Results, exam: str, name: str) -> Finding:
    """Return what a control study (step 03: base, raw, dialogues, one training each) shows.

    Only the main question form has a headline; the others have a sentence. A difference counts if
    it is significant after Holm's adjustment over the complete table of the study.
    """
    table = result.read("comparison")
    pair = table["model"].eq("dialogues") & table["reference"].eq("raw")
    form, protocol = next(iter(settings.question_forms.items()))
    rows = select(table[pair], exam, protocol, settings.num_shots)
    scores = read_control(result, exam, protocol, settings.num_shots)
    if not rows:
        return Finding(name, f"dialogues against raw articles ({result.study})", is_run=False)
    difference = read_difference(rows[0], "dialogues minus raw articles", result, "comparison")
    names, ways = ("dialogues", "raw articles"), table[pair & table["benchmark"].eq(exam)]
    row = make_pair(result, rows[0], ways, names, [*scores, difference], form)
    headline, shared = _headline_control(rows[0], form), _describe_shared(result)
    brief = describe_pair(row, name_pairs_table(settings))
    lead = (
        f"{brief} The two texts also differ in form, and the trainings in steps, which this "
        "comparison cannot separate."
    )
    return Finding(name, headline, brief, lead, shared, [*scores, difference], pair=row)


def make_pair(
    result: Result,
    row: dict[str, Any],
    ways: pd.DataFrame,
    names: tuple[str, str],
    numbers: Sequence[Number],
    form: str,
) -> Pair:
    """Return a row of the table of single trainings from a row of comparison.csv.

    `form`: of the questions, in words. `ways`: the rows of the same two models on the same exam.
    `numbers`: the scores of the base model, of the first and of the second model, in any order, and
    the difference.
    """
    logs = [folder / LOG for folder in _find_trainings(result, (row["model"], row["reference"]))]
    steps = [int(pd.read_csv(log)["step"].max()) for log in logs if log.is_file()]
    base = result.record["params"].get("model", "mini")
    return Pair(
        names,
        list(numbers[:-1]),
        numbers[-1],
        row["p_holm"],
        len(result.read("comparison")),
        int((ways["p_holm"] < LEVEL).sum()),
        len(ways),
        form,
        BASES.get(base, base),
        tuple(steps) if len(steps) == len(logs) else (),
    )


def describe_pair(pair: Pair, table: str) -> str:
    """Return the difference of two models, and in how many ways of asking it is significant.

    `table`: the name of the table that has the pair.
    """
    return (
        f"The difference is {show_points(pair.difference)}, significant in {pair.significant} of "
        f"{pair.ways} ways of asking this exam ({table})."
    )


def _find_trainings(result: Result, models: Sequence[str]) -> list[Path]:
    """Return the folders of step 02 that trained these models of step 03."""
    adapters = result.record["params"]["adapters"]
    return [(root() / adapters.get(name, "")).parent for name in models]


def _describe_shared(result: Result) -> list[str]:
    """Return what else the models on raw articles and on dialogues both learn from."""
    files = [f / MIXTURE for f in _find_trainings(result, ("raw", "dialogues"))]
    if not all(file.is_file() for file in files):
        return []
    ours, theirs = map(pd.read_csv, files)
    shared = ours[ours["source"].isin(theirs["source"])]
    texts = join([f"`{data.label(row.source)}` ({row.rows})" for row in shared.itertuples()])
    return [f"Both models also learn from the same other dialogues: {texts}."] if texts else []


def _headline_control(row: dict[str, Any], form: str) -> str:
    if not row["p_holm"] < LEVEL:
        return f"We cannot tell whether dialogues teach more than raw articles, asked in {form}"
    word = "higher" if row["difference"] > 0 else "lower"
    return (
        f"Asked in {form}, the model tuned on dialogues scores {word} than the one tuned on raw "
        "articles (one training each)"
    )


# ------------------------------------------------------------------------------ question forms


def assess_forms(settings: Results) -> Finding:
    """Return the difference in the other question forms of the controlled comparison."""
    if result := find_result(settings.comparison, COMPARISON):
        return assess_other_forms(settings, result)
    return Finding("forms", "the question forms over several seeds", is_run=False)
