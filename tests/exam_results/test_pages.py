"""Tables for the page: few columns, percent, nothing cut."""

import pandas as pd
from tests.support.toy_scores import answers_of

from clinical_camel import exam_results
from clinical_camel.data import Question

QUESTIONS = [
    Question(id=str(i), question="?", options=["a", "bb", "cc", "dd"], answer=0) for i in range(10)
]
TOY = {"toy": QUESTIONS}
MINUS = "\N{MINUS SIGN}"


def test_a_comparison_names_both_models_and_has_eight_columns():
    answers = answers_of(base=[True] + [False] * 3, tuned=[True] * 4)
    comparison = exam_results.compare_models(answers, TOY, "base", seed=0)
    page = exam_results.format_comparison(comparison)
    assert (page["models"].tolist(), len(page.columns)) == ([f"tuned {MINUS} base"], 8)
    assert page["only one correct"].tolist() == ["3 : 0"]
    assert page["p Holm"].tolist() == ["0.2500"]


def test_a_plain_table_has_no_constant_column():
    table = pd.DataFrame({"benchmark": ["a", "a"], "n": 3, "x_y": [1, 1], "share": [0.5, 0.25]})
    page = exam_results.format_table(table)
    assert page.to_dict("list") == {"benchmark": ["a", "a"], "n": [3, 3], "share": [50.0, 25.0]}
