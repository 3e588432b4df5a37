"""Feedback: empty answers are open, failing functions are explained."""

import pytest

from clinical_camel import exercises
from clinical_camel.exercises import feedback
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG, AnswerError, Feedback

REASONS = {"higher": "too high", "same": "as before"}


@pytest.mark.parametrize(
    ("prediction", "verdict", "part"),
    [
        ("same", RIGHT, "as before"),
        (" SAME ", RIGHT, "as before"),
        ("higher", WRONG, "too high Computed: same. as before"),
        ("up", WRONG, '\'up\' is not one of "higher", "same"'),
        ("", OPEN, "Write your prediction first"),
        (3, WRONG, "a word in quotes"),
    ],
)
def test_a_choice_is_compared_and_a_wrong_one_explained(prediction, verdict, part):
    result = feedback.compare_choice(prediction, "same", REASONS)
    assert result.verdict == verdict
    assert part in result.reason
    assert repr(result).startswith(f"{verdict}. ")


def explain(name, answer):
    return "" if feedback.require_choice(answer, ["yes", "no"]) == "yes" else f"{name}: yes."


@pytest.mark.parametrize(
    ("predictions", "verdict", "reason"),
    [
        ({"a": "yes", "b": " YES "}, RIGHT, "Both are."),
        ({"a": "no", "b": "yes"}, WRONG, "1 of 2 are right.\n- a: yes."),
        ({"a": "no", "b": "no"}, WRONG, "0 of 2 are right.\n- a: yes.\n- b: yes."),
        ({"a": "yes", "b": "maybe"}, WRONG, "'maybe' is not one of yes, no."),
        ({"a": "yes", "b": 3}, WRONG, "3 is not one of yes, no."),
        ({"a": "yes", "b": ""}, OPEN, "Predict. Missing: b"),
        ({"a": None}, OPEN, "Predict. Missing: a b"),
        ({"a": "yes", "b": "yes", "c": "yes"}, WRONG, "'c' is not on the sheet."),
        ("yes", WRONG, "Write a dictionary, with a prediction for 'a' and so on."),
        (["yes", "yes"], WRONG, "Write a dictionary, with a prediction for 'a' and so on."),
        (None, WRONG, "Write a dictionary, with a prediction for 'a' and so on."),
    ],
)
def test_a_dictionary_of_predictions(predictions, verdict, reason):
    result = feedback.grade_predictions(predictions, ["a", "b"], "Predict.", explain, "Both are.")
    assert (result.verdict, result.reason) == (verdict, reason)


@pytest.mark.parametrize(
    "grade",
    [
        exercises.grade_linked_check,
        exercises.grade_outcomes,
        exercises.grade_leaks,
        exercises.grade_counts,
    ],
)
@pytest.mark.parametrize("predictions", ["yes", ["yes"], None])
def test_every_grader_of_predictions_explains_what_is_no_dictionary(grade, predictions):
    assert "Write a dictionary" in grade(predictions).reason


def raises(*_):
    raise IndexError("list index out of range")


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (lambda: 1, RIGHT, "1"),
        (lambda: None, OPEN, "returns nothing yet"),
        (lambda: ..., OPEN, "returns nothing yet"),
        (raises, WRONG, "raised IndexError: list index out of range"),
        (lambda a: a, WRONG, "raised TypeError"),
        (7, WRONG, "Give the function itself"),
    ],
)
def test_a_function_that_fails_is_explained(function, verdict, part):
    result = feedback.grade_function(function, lambda call: Feedback(RIGHT, str(call())))
    assert result.verdict == verdict
    assert part in result.reason


def test_a_number_is_required():
    assert feedback.require_number("2") == 2.0
    with pytest.raises(AnswerError, match="not list"):
        feedback.require_number([1])


def test_the_time_is_a_number_of_seconds():
    assert float(feedback.format_time().split()[-2]) > 0
