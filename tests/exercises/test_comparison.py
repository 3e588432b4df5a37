"""Exercises of step 06: right answers, and typical wrong ones with their reasons."""

import numpy as np
import pytest
from scipy.stats import norm, t

from clinical_camel.exercises import comparison
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG
from clinical_camel.two_way import compute_p_equivalence


def test_the_margin():
    estimate = comparison.estimate_contrast("reversed")
    truth = next(m for m in comparison.MARGINS if compute_p_equivalence(estimate, m / 100) < 0.05)
    assert comparison.grade_margin(truth).verdict == RIGHT
    place = comparison.MARGINS.index(truth)
    smaller, larger = (
        comparison.grade_margin(comparison.MARGINS[i]) for i in (place - 1, place + 1)
    )
    assert smaller.verdict == larger.verdict == WRONG
    assert "the standard error counts" in smaller.reason
    assert "a smaller margin is ruled out as well" in larger.reason
    assert comparison.grade_margin(0).verdict == OPEN
    assert "not one of" in comparison.grade_margin(4).reason


def test_the_contrast_is_the_mean_over_the_seeds():
    differences = comparison.list_seed_differences()
    estimate = comparison.estimate_contrast("plain question")
    assert len(differences) == 10
    assert estimate.mean == pytest.approx(np.mean(differences))
    assert estimate.low < estimate.mean < estimate.high


def decide(difference, p_holm, p_equivalence):
    if p_equivalence < 0.05:
        return "no effect"
    if p_holm < 0.05:
        return "helps" if difference > 0 else "hurts"
    return "cannot tell"


def significance_first(difference, p_holm, p_equivalence):
    if p_holm < 0.05:
        return "helps" if difference > 0 else "hurts"
    return "no effect" if p_equivalence < 0.05 else "cannot tell"


def by_size(difference, p_holm, p_equivalence):
    return decide(difference, 0.0 if abs(difference) > 0.05 else 1.0, p_equivalence)


def absence_is_equality(difference, p_holm, p_equivalence):
    word = decide(difference, p_holm, p_equivalence)
    return "no effect" if word == "cannot tell" else word


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (decide, RIGHT, "needs evidence of its own"),
        (absence_is_equality, WRONG, "Not significant does not mean no effect"),
        (significance_first, WRONG, "equivalence is tested first"),
        (by_size, WRONG, "Compare each p with 0.05"),
        (lambda d, h, e: decide(-d, h, e), WRONG, "the sign of the difference"),
        (lambda d, h, e: "cannot tell", WRONG, "Compare each p with 0.05"),
        (lambda d, h, e: "maybe", WRONG, "'maybe' is not one of"),
        (lambda d, h, e: None, OPEN, "returns nothing yet"),
    ],
)
def test_the_verdict(function, verdict, part):
    result = comparison.grade_verdict(function)
    assert result.verdict == verdict
    assert part in result.reason


def interval(half):
    def compute(values):
        mean, width = np.mean(values), half(np.asarray(values))
        return mean - width, mean + width

    return compute


def error(values, ddof=1):
    return np.std(values, ddof=ddof) / len(values) ** 0.5


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (interval(lambda v: t.ppf(0.975, 9) * error(v)), RIGHT, "With diseases resampled"),
        (interval(lambda v: 2.262 * error(v)), RIGHT, "over seeds"),
        (interval(lambda v: norm.ppf(0.975) * error(v)), WRONG, "not 1.96"),
        (interval(lambda v: 2.262 * np.std(v, ddof=1)), WRONG, "the root of 10"),
        (interval(lambda v: 2.262 * error(v, 0)), WRONG, "by n - 1"),
        (interval(lambda v: t.ppf(0.95, 9) * error(v)), WRONG, "0.975, not of 0.95"),
        (interval(lambda v: t.ppf(0.975, 10) * error(v)), WRONG, "n - 1 = 9, not 10"),
        (interval(lambda v: 1.0), WRONG, "Half of the width"),
        (lambda v: (0.0, 1.0), WRONG, "centred on the mean"),
        (lambda v: 0.1, WRONG, "Return two numbers"),
        (lambda v: None, OPEN, "returns nothing yet"),
    ],
)
def test_the_interval_over_seeds(function, verdict, part):
    result = comparison.grade_seed_interval(function)
    assert result.verdict == verdict
    assert part in result.reason
