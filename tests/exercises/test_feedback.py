"""Feedback: empty answers are open, failing functions are explained."""

import pytest

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
