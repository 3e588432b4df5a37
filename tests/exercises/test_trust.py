"""Exercises of step 09: right answers, and typical wrong ones with their reasons."""

import re

import numpy as np
import pytest

from clinical_camel import stats
from clinical_camel.exercises import trust
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG


@pytest.mark.parametrize(
    ("answers", "verdict", "part"),
    [
        ("yes no no yes", RIGHT, "flags: A, B. It compares words"),
        ("yes no no no", WRONG, "D: yes, an exam question with its key"),
        ("yes yes no yes", WRONG, "B: no, the same words, but another disease"),
        ("yes no yes yes", WRONG, "C: no, this is the sentence that the exam is about"),
        ("yes no no maybe", WRONG, "'maybe' is not one of yes, no"),
    ],
)
def test_leaks(answers, verdict, part):
    result = trust.grade_leaks(dict(zip("ABCD", answers.split(), strict=True)))
    assert result.verdict == verdict
    assert part in result.reason


def test_leaks_need_an_answer_to_each_text():
    assert trust.grade_leaks({"A": "yes"}).verdict == OPEN
    assert "'E' is not on the sheet" in trust.grade_leaks({"E": "yes"}).reason


def test_the_texts_are_about_the_first_question_of_the_exam():
    texts = trust.list_pairs()
    assert list(texts) == ["exam", *"ABCD"]
    assert texts["A"].startswith(texts["exam"])
    assert "stable angina" in texts["exam"]
    assert "stable angina" not in texts["B"]
    article = trust.data.load_sources("mini_articles")[0]
    assert texts["C"] in article.sections[0].text


def gaps(confidence, correct, bins):
    table = stats.calibration_table(confidence, correct, bins).query("n > 0")
    return table["confidence"] - table["accuracy"], table["n"]


def right_error(confidence, correct, bins):
    gap, n = gaps(confidence, correct, bins)
    return (abs(gap) * n).sum() / n.sum()


def lower_limits(confidence, correct, bins):
    shifted = [min(c + 1e-9, 1.0) for c in confidence]
    return right_error(shifted, correct, bins)


def without_confidence_0(confidence, correct, bins):
    pairs = [(c, y) for c, y in zip(confidence, correct, strict=True) if c > 0]
    return right_error(*zip(*pairs, strict=True), bins) * len(pairs) / len(confidence)


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (right_error, RIGHT, "Report accuracy, too"),
        (without_confidence_0, WRONG, "The first bin also includes 0"),
        (lambda c, y, bins: abs(gaps(c, y, bins)[0]).mean(), WRONG, "all bins the same weight"),
        (lambda c, y, bins: abs(np.mean(c) - np.mean(y)), WRONG, "must not cancel"),
        (lambda c, y, bins: np.mean(abs(np.array(c) - y)), WRONG, "into bins first"),
        (lambda c, y, bins: abs(gaps(c, y, bins)[0]).max(), WRONG, "the largest gap"),
        (lower_limits, WRONG, "includes its upper limit"),
        (lambda c, y, bins: 0.123, WRONG, "In each bin: mean confidence minus"),
        (lambda c, y, bins: "low", WRONG, "Return a number"),
        (lambda c, y, bins: ..., OPEN, "returns nothing yet"),
    ],
)
def test_calibration_error(function, verdict, part):
    result = trust.grade_calibration_error(function)
    assert result.verdict == verdict
    assert part in result.reason


def share_words(question, text):
    words, others = (set(re.findall(r"\w+", t.lower())) for t in (question, text))
    return len(words & others) >= 0.8 * len(words)


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (share_words, RIGHT, "E 12 (search 0)"),
        (lambda question, text: question in text, WRONG, "compare words, not characters"),
        (lambda question, text: True, WRONG, "Too many false alarms"),
        (lambda question, text: 1, WRONG, "Return True or False, not int"),
        (lambda question, text: None, OPEN, "returns nothing yet"),
    ],
)
def test_a_rule_for_contamination(function, verdict, part):
    result = trust.grade_leak_rule(function)
    assert result.verdict == verdict
    assert part in result.reason
