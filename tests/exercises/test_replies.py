"""Exercises of step 08: right answers, and typical wrong ones with their reasons."""

import numpy as np
import pytest

from clinical_camel.exercises import replies
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG

OUTCOMES = ["correct", "several", "same group", "wrong", "none"]
TRUTH = dict(zip(replies.STATED, OUTCOMES, strict=True))
SEVERAL = "It may be gout or rheumatoid arthritis."


def test_the_rule_of_step_08_gives_each_outcome_once():
    assert replies.find_outcomes() == TRUTH


@pytest.mark.parametrize(
    ("change", "verdict", "part"),
    [
        ({}, RIGHT, "names, not reasons"),
        ({SEVERAL: "correct"}, WRONG, "4 of 5 are right.\n- It may be gout"),
        ({SEVERAL: "correct"}, WRONG, "The outcome is several. Two names"),
        ({"It is not gout.": "correct"}, WRONG, "A name after 'not' does not count"),
        ({SEVERAL: "half"}, WRONG, "'half' is not one of"),
        (dict.fromkeys(replies.STATED, ""), OPEN, "for each reply first"),
    ],
)
def test_outcomes(change, verdict, part):
    result = replies.grade_outcomes(TRUTH | change)
    assert result.verdict == verdict
    assert part in result.reason


VALUE = {"model": 1.0, "tie": 0.5, "baseline": 0.0}


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (replies.compute_win_rate, RIGHT, "for this judge"),
        (lambda a, b: np.mean([VALUE[x] for x in a]), WRONG, "first order only"),
        (
            lambda a, b: np.mean([x == y == "model" for x, y in zip(a, b, strict=True)]),
            WRONG,
            "not nothing",
        ),
        (lambda a, b: 100 * replies.compute_win_rate(a, b), WRONG, "a share from 0 to 1"),
        (
            lambda a, b: np.mean([(VALUE[x] + VALUE[y]) / 2 for x, y in zip(a, b, strict=True)]),
            WRONG,
            "do not take the mean of both",
        ),
        (lambda a, b: 0.123, WRONG, "else the pair is a tie"),
        (lambda a, b: None, OPEN, "returns nothing yet"),
    ],
)
def test_the_win_rate(function, verdict, part):
    result = replies.grade_win_rate(function)
    assert result.verdict == verdict
    assert part in result.reason


@pytest.mark.parametrize(
    ("reply", "verdict", "part"),
    [
        ("The treatment is rest. I will see you again in a month.", RIGHT, "reads no patient"),
        ("Hello.", WRONG, "look at three references"),
        ("", OPEN, "first"),
        (["a", "b"], WRONG, "the same reply for every patient"),
    ],
)
def test_one_reply_for_all(reply, verdict, part):
    result = replies.grade_one_reply(reply)
    assert result.verdict == verdict
    assert part in result.reason
