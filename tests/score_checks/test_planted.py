"""The exercise: copies of a question, and the grades of predictions about them."""

import pytest

from clinical_camel import data, score_checks
from clinical_camel.score_checks.planted import COPIES

QUESTION, *OTHERS = data.load_questions("mini_exam", 9)
RIGHT = {"A": "yes", "B": "yes", "C": "yes", "D": "no", "E": "no", "F": "no"}


@pytest.fixture
def copies():
    return score_checks.plant_copies(QUESTION, OTHERS, seed=0)


def test_every_copy_is_made_as_it_says(copies):
    assert list(copies) == list(COPIES)
    answer = QUESTION.options[QUESTION.answer]
    assert copies["A"] == f"{QUESTION.question} {answer}"
    assert copies["B"] == copies["B"].upper()
    assert "?" not in copies["B"]
    words = copies["A"].split()
    changed = {k: sum(a != b for a, b in zip(words, copies[k].split(), strict=True)) for k in "CD"}
    assert changed == {"C": -(-(len(words) - 3) // 8), "D": len(words) // 2}
    assert copies["E"].split() == words[::-1]
    assert copies["F"] == answer
    assert score_checks.plant_copies(QUESTION, OTHERS, seed=0) == copies
    assert score_checks.format_copies(copies).count("\n") == 2 * len(COPIES) - 1


def test_the_search_grades_the_predictions(copies, capsys):
    score_checks.grade_predictions(RIGHT, copies, QUESTION)
    text = capsys.readouterr().out
    assert "A  found as question and answer: right" in text
    assert "6 of 6 right." in text
    score_checks.grade_predictions(RIGHT | {"A": "no", "F": " Yes"}, copies, QUESTION)
    text = capsys.readouterr().out
    assert "A  found as question and answer: wrong" in text
    assert "F  not found: wrong" in text
    assert "4 of 6 right." in text


def test_predictions_come_first_and_are_yes_or_no(copies, capsys):
    score_checks.grade_predictions(dict.fromkeys(COPIES, ""), copies, QUESTION)
    assert capsys.readouterr().out.startswith("Write your predictions first")
    with pytest.raises(ValueError, match="predictions.A: 'perhaps'; write yes or no for A, B"):
        score_checks.grade_predictions({"A": "perhaps"}, copies, QUESTION)
