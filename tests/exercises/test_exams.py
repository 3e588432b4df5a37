"""Exercises of step 03: right answers, and typical wrong ones with their reasons."""

import math

import pytest
from scipy.stats import binom, chi2

from clinical_camel.exercises import exams
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG


@pytest.mark.parametrize(
    ("prediction", "verdict", "part"),
    [
        ("same", RIGHT, "cannot matter"),
        ("lower", WRONG, "position bias needs a list"),
        ("higher", WRONG, "does not see the list"),
        ("", OPEN, "first"),
    ],
)
def test_reversed_options(prediction, verdict, part):
    result = exams.grade_shuffled_options(prediction)
    assert result.verdict == verdict
    assert part in result.reason


def test_reversed_options_keep_the_right_one():
    question = exams.data.load_questions("mini_exam_primer")[0]
    (other,) = exams.reverse_options([question])
    assert other.options[other.answer] == question.options[question.answer]
    assert other.options != question.options


def count(a, b):
    only_a = sum(x and not y for x, y in zip(a, b, strict=True))
    only_b = sum(y and not x for x, y in zip(a, b, strict=True))
    return only_a, only_b


def mcnemar(a, b):
    x, y = count(a, b)
    return min(1.0, 2 * float(binom.cdf(min(x, y), x + y, 0.5)))


def one_sided(a, b):
    x, y = count(a, b)
    return float(binom.cdf(min(x, y), x + y, 0.5))


def not_capped(a, b):
    return 2 * one_sided(a, b)


def all_items(a, b):
    return min(1.0, 2 * float(binom.cdf(min(count(a, b)), len(a), 0.5)))


def approximate(a, b):
    x, y = count(a, b)
    return float(chi2.sf((x - y) ** 2 / (x + y), 1)) if x + y else 1.0


def one_result(a, b):
    x, y = count(a, b)
    return math.comb(x + y, x) / 2 ** (x + y)


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (mcnemar, RIGHT, "complete diseases"),
        (one_sided, WRONG, "one-sided"),
        (not_capped, WRONG, "cannot exceed 1"),
        (all_items, WRONG, "Drop those on which both agree"),
        (approximate, WRONG, "chi-square approximation"),
        (one_result, WRONG, "at least as extreme"),
        (lambda a, b: 0.5, WRONG, "Toss a fair coin"),
        (lambda a, b: "small", WRONG, "Return a number"),
        (lambda a, b: ..., OPEN, "returns nothing yet"),
    ],
)
def test_mcnemar(function, verdict, part):
    result = exams.grade_mcnemar(function)
    assert result.verdict == verdict
    assert part in result.reason


def longest(options):
    return max(range(len(options)), key=lambda i: len(options[i]))


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (longest, RIGHT, "contains chance: cannot tell from n = 312 questions"),
        (lambda options: 0, RIGHT, "chance is 25%"),
        (lambda options: options[0], WRONG, "not its text"),
        (lambda options: len(options), WRONG, "count from 0"),
        (lambda options: 0.5, WRONG, "whole number"),
        (lambda options: None, OPEN, "returns nothing yet"),
    ],
)
def test_a_rule_that_reads_no_question(function, verdict, part):
    result = exams.grade_blind_rule(function)
    assert result.verdict == verdict
    assert part in result.reason
