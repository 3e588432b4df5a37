"""Accuracy by question form and training: the table of Figure 1.

A form has the scores of the controlled comparison where it has them, otherwise those of the
control study, which trained each model once.
"""

from typing import Any

import pandas as pd

from clinical_camel.results.settings import Results
from clinical_camel.results.sources import Number, Result, find_result, read_score
from clinical_camel.results.wording import MODELS, count_trainings, join, show_share

BY_LENGTH = "/as_given/correct_norm"  # ends an outcome of step 06: likelihoods divided by length
EXAM, COMPARISON = "03_eval_fewshot", "06_controlled_comparison"
COLUMNS = ["form", "model", "accuracy", "low", "high", "n", "chance", "seeds", "table", "params"]


def tabulate_forms(settings: Results) -> pd.DataFrame:
    """Return a row per question form and model, COLUMNS; `seeds`: trainings of each model."""
    rows = [
        [form, n.quantity, n.value, n.low, n.high, n.n, n.chance, n.seeds, n.table, n.params]
        for form in settings.question_forms
        for n in read_form(settings, form)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def read_form(settings: Results, form: str) -> list[Number]:
    """Return the scores of all models on the exam in one question form; [] if there are none."""
    protocol = settings.question_forms[form]
    return read_exam(settings, settings.exam, protocol)


def read_exam(settings: Results, exam: str, protocol: str) -> list[Number]:
    """Return the score of each of MODELS on an exam: controlled comparison, else control study."""
    comparison = find_result(settings.comparison, COMPARISON)
    if comparison and (name := find_outcome(comparison, exam, protocol)):
        scores = comparison.read("scores")
        rows = scores[scores["outcome"] == name].set_index("arm", drop=False)
        pairs = [(label, names[1]) for label, names in MODELS.items() if names[1] in rows.index]
        numbers = [read_score(rows.loc[arm].to_dict(), text, comparison) for text, arm in pairs]
        if numbers:
            return numbers
    control = find_result(settings.control, EXAM)
    return read_control(control, exam, protocol, settings.num_shots) if control else []


def find_outcome(comparison: Result, exam: str, protocol: str) -> str:
    """Return the outcome of step 06 that is the accuracy in this exam and protocol, or ""."""
    outcomes: dict[str, str] = comparison.record["params"]["outcomes"]
    return next((name for name, text in outcomes.items() if text == f"{exam}/{protocol}"), "")


def read_control(control: Result, exam: str, protocol: str, num_shots: int) -> list[Number]:
    """Return the score of each of MODELS in the scores of step 03."""
    rows = select(control.read("scores"), exam, protocol, num_shots)
    by_model: dict[str, dict[str, Any]] = {row["model"]: row for row in rows}
    return [
        read_score(by_model[names[0]], label, control)
        for label, names in MODELS.items()
        if names[0] in by_model
    ]


def select(table: pd.DataFrame, exam: str, protocol: str, num_shots: int) -> list[dict[str, Any]]:
    """Return the rows of one exam in one protocol, with the questions as they are."""
    here = table["benchmark"].eq(exam) & table["protocol"].eq(protocol)
    here &= table["num_shots"].eq(num_shots) & table["variant"].eq("as_given")
    return table[here].to_dict("records")


def describe_forms(forms: pd.DataFrame) -> str:
    """Return the numbers of the figure in sentences, a line per question form."""
    lines = []
    for form, rows in forms.groupby("form", sort=False):
        numbers = [
            Number(r.model, r.accuracy, r.low, r.high, r.n, chance=r.chance)
            for r in rows.itertuples()
        ]
        shown = join([f"{number.quantity} {show_share(number)}" for number in numbers])
        seeds = count_trainings(int(rows["seeds"].max()))
        chance = f"chance {100 * rows['chance'].iloc[0]:.3g} %"
        lines.append(f"- *{form}* (n = {rows['n'].max()}, {chance}, {seeds}): {shown}")
    return "\n".join(lines)
