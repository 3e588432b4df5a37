"""The exercise: three percentages that do not fit, solved by code and graded."""

import pytest

from clinical_camel import data, published
from clinical_camel.published.cases import solve_cases

RIGHT = {"pubmedqa_fits_500": "no", "medalpaca_counts": [91, 109, 123], "step_3_count": 122}
NONE = {"pubmedqa_fits_500": "", "medalpaca_counts": [0, 0, 0], "step_3_count": 0}


def test_the_cases_are_solved_from_the_published_table():
    assert solve_cases(data.load_published()) == RIGHT


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        (RIGHT, "3 of 3 right."),
        (RIGHT | {"pubmedqa_fits_500": " No."}, "3 of 3 right."),
        (RIGHT | {"step_3_count": 121}, "step_3_count: wrong: try further numbers"),
        (RIGHT | {"medalpaca_counts": [92, 110, 122]}, "2 of 3 right."),
        (NONE, "pubmedqa_fits_500: no answer yet"),
    ],
)
def test_the_answers_are_graded(answers, text, capsys):
    published.grade_cases(answers)
    assert text in capsys.readouterr().out


def test_a_missing_case_is_named():
    with pytest.raises(ValueError, match="answers: step_3_count is missing; the cases are"):
        published.grade_cases({k: v for k, v in RIGHT.items() if k != "step_3_count"})


def test_the_tools_of_the_detective_show_shares_and_counts():
    assert "389 of 500 is 77.80 %, 390 of 500 is 78.00 %" in published.show_nearest(77.9, 500)
    assert published.count_fitting("usmle_step_3_v1", 122).startswith("6 of 6 percentages of")
    assert published.count_fitting("usmle_step_3_v1", 121).startswith("1 of 6 percentages of")
