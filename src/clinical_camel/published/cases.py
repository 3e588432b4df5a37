"""The exercise: three cases of a published percentage that does not fit its number of questions."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from clinical_camel import data
from clinical_camel.published.item_sets import is_possible, is_recalled

PUBMEDQA = ("clinical_camel", "70b", "pubmedqa", 5)  # system, size, benchmark, shots
ASSESSMENTS = [f"usmle_self_assessment_step_{step}" for step in (1, 2, 3)]
STEP_3 = "usmle_step_3_v1"
COUNTS = range(60, 136)  # numbers of questions to try
CASES = ("pubmedqa_fits_500", "medalpaca_counts", "step_3_count")


def show_nearest(value: float, n: int) -> str:
    """Return the two shares of n questions next to a percentage.

    >>> show_nearest(77.9, 500)
    '77.9 % of 500 is 389.50 questions: 389 of 500 is 77.80 %, 390 of 500 is 78.00 %.'
    """
    below = int(value * n / 100)
    shares = ", ".join(f"{k} of {n} is {100 * k / n:.2f} %" for k in (below, below + 1))
    return f"{value} % of {n} is {value * n / 100:.2f} questions: {shares}."


def count_fitting(benchmark: str, n: int) -> str:
    """Return how many published percentages of a benchmark can come from n questions."""
    values = _list_values(data.load_published(), benchmark)
    return f"{_count(values, n)} of {len(values)} percentages of {benchmark} fit {n} questions"


def solve_cases(table: pd.DataFrame) -> dict[str, object]:
    """Return the answer of each case, computed from published.csv."""
    system, size, benchmark, shots = PUBMEDQA
    same = table["system"].eq(system) & table["size"].eq(size) & table["shots"].eq(shots)
    value = table.loc[same.fillna(False) & table["benchmark"].eq(benchmark), "value"].iloc[0]
    return {
        "pubmedqa_fits_500": "yes" if is_possible(value, 500, rounded_twice=True) else "no",
        "medalpaca_counts": [_find_best(_list_values(table, name)) for name in ASSESSMENTS],
        "step_3_count": _find_best(_list_values(table, STEP_3), (121, 122)),
    }


def grade_cases(answers: Mapping[str, object]) -> None:
    """Print for each case whether the answer is right. Raises ValueError for an unknown case."""
    right = 0
    for name, solution in solve_cases(data.load_published()).items():
        if name not in answers:
            raise ValueError(f"answers: {name} is missing; the cases are {', '.join(CASES)}")
        answer = answers[name]
        if not answer or answer == [0, 0, 0]:
            print(f"{name}: no answer yet")
            continue
        is_right = re.findall(r"\w+", f"{answer}".lower()) == re.findall(r"\w+", f"{solution}")
        right += is_right
        print(f"{name}: {'right' if is_right else 'wrong: try further numbers in the cell above'}")
    print(f"{right} of {len(CASES)} right.")


def _list_values(table: pd.DataFrame, benchmark: str) -> list[float]:
    """Return the published accuracies of a benchmark that have a source."""
    rows = table[table["benchmark"].eq(benchmark) & table["metric"].eq("accuracy")]
    return [row.value for row in rows.itertuples() if not is_recalled(row.status)]


def _count(values: Sequence[float], n: int) -> int:
    return sum(is_possible(value, n) for value in values)


def _find_best(values: Sequence[float], counts: Sequence[int] = COUNTS) -> int:
    """Return the number of questions that most of the percentages fit; the lowest of equals."""
    return max(counts, key=lambda n: _count(values, n))
