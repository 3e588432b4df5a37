"""Tests of stats: values from published tables, formulas and slow reimplementations."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from clinical_camel import stats


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857, Table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_interval_equals_the_published_table(correct, total, low, high):
    assert stats.wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_ends_at_exactly_zero_and_one():
    intervals = [(stats.wilson_interval(0, n), stats.wilson_interval(n, n)) for n in range(1, 500)]
    assert {(low, high) for (low, _), (_, high) in intervals} == {(0.0, 1.0)}


@pytest.mark.parametrize(("correct", "total"), [(3, 2), (-1, 2), (1, 0)])
def test_wilson_interval_rejects_impossible_counts(correct, total):
    with pytest.raises(ValueError, match="correct must be from 0 to total"):
        stats.wilson_interval(correct, total)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (np.array(["a", "", "b"], dtype=object), "item without a label"),
        (np.array(["a", None, "b"], dtype=object), "item without a label"),
        (np.array(["a", np.nan, "b"], dtype=object), "item without a label"),
        (["a", "b"], "one label per item: 3 items"),
        ([["a"], ["b"], ["c"]], "one label per item: 3 items"),
        ("abc", "one label per item: 3 items"),
    ],
)
def test_clusters_need_one_label_per_item(labels, problem):
    with pytest.raises(ValueError, match=problem):
        stats.clustered_interval([1, 0, 1], labels)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [  # by hand: the smallest times m, the next times m - 1, ...; none below the one before
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.04, 0.01], [0.04, 0.02]),
        ([0.9, 0.8], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm_equals_the_adjustment_by_hand(p, adjusted):
    assert stats.adjust_holm(p).tolist() == pytest.approx(adjusted, abs=1e-12)


@pytest.mark.parametrize("p", [[0.1, np.nan], [-0.01], [1.01], [[0.1, 0.2]], 0.1])
def test_holm_rejects_other_values_than_probabilities(p):
    with pytest.raises(ValueError, match="p must be a list of probabilities"):
        stats.adjust_holm(p)


ANSWERS = np.array([1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1], dtype=float)
PASSAGES = np.array([1, 6, 1, 2, 3, 2, 3, 1, 4, 3, 5, 6, 4, 6])  # in no order


def miller_variance(values, clusters):
    """Squared clustered standard error, pair by pair: equation 4 of Miller 2024."""
    deviations, total = values - values.mean(), 0.0
    for i, j in itertools.product(range(len(values)), repeat=2):
        total += deviations[i] * deviations[j] * (clusters[i] == clusters[j])
    return total / len(values) ** 2


def test_clustered_interval_is_wilson_with_millers_error_and_both_corrections():
    # six clusters: variance times 6 / 5, and t = 2.5706 with five degrees of freedom (any table)
    mean, variance = ANSWERS.mean(), miller_variance(ANSWERS, PASSAGES) * 6 / 5
    # both ends of Wilson's interval are that many errors away, with the error at the end itself
    for end in stats.clustered_interval(ANSWERS, PASSAGES):
        error = np.sqrt(variance * end * (1 - end) / (mean * (1 - mean)))
        assert abs(end - mean) == pytest.approx(2.5706 * error, abs=1e-4)


@pytest.mark.parametrize(
    ("values", "right"),
    [([1] * 30, 10), ([0] * 30, 0), ([1, 0, 0, 1] * 10, 5)],
    ids=["all right", "all wrong", "each cluster half right"],
)
def test_clustered_interval_of_equal_clusters_is_wilson_for_their_number(values, right):
    clusters = np.arange(len(values)) // (len(values) // 10)
    expected = stats.wilson_interval(right, 10)
    assert stats.clustered_interval(values, clusters) == pytest.approx(expected)


def test_clustered_interval_of_one_cluster_is_zero_to_one():
    assert stats.clustered_interval([1, 1, 0], ["a"] * 3) == (0.0, 1.0)


@pytest.mark.parametrize("values", [[0.5, 1.1], [-0.1, 1], [np.nan, 1], []])
def test_clustered_interval_rejects_values_outside_zero_to_one(values):
    with pytest.raises(ValueError, match="values must be numbers from 0 to 1"):
        stats.clustered_interval(values, ["a"] * len(values))


@pytest.mark.parametrize(
    ("n", "discordant", "effect", "tolerance"),
    [
        (4_183, 0.25, 0.0217, 5e-5),  # MedMCQA: 2.8016 * sqrt(0.25 / n) by hand
        (40, 0.25, 0.2215, 5e-5),
        # clinicaltrials-tools.vercel.app, McNemar (Connor 1987): 155 pairs, 0.30 against 0.15
        (155, 0.45, 0.15, 0.0015),
        # the R package MESS tests for: 144 pairs, 0.45 against 0.25, exact test, power 0.80
        (144, 0.70, 0.20, 0.005),
    ],
)
def test_min_detectable_effect_equals_other_calculations(n, discordant, effect, tolerance):
    assert stats.min_detectable_effect(n, discordant) == pytest.approx(effect, abs=tolerance)


def test_min_detectable_effect_is_nan_for_too_few_items():
    # even if all differ one way: 2.8016 / sqrt(n) is below sqrt(0.25) from 32 items on
    assert np.isnan(stats.min_detectable_effect(31))
    assert stats.min_detectable_effect(32) < 0.25


def test_min_detectable_effect_has_the_bonferroni_level_for_several_comparisons():
    z = [norm.isf(p) for p in (0.025 / 24, 0.2)]
    expected = sum(z) * (0.25 / 312) ** 0.5
    assert stats.min_detectable_effect(312, comparisons=24) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "discordant"), [(0, 0.25), (100, 0.0), (100, 1.1)])
def test_min_detectable_effect_rejects_impossible_shares(n, discordant):
    with pytest.raises(ValueError, match="n must be at least 1|discordant must be above 0"):
        stats.min_detectable_effect(n, discordant)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:873, Table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_unpaired_equals_the_published_table(counts, low, high):
    assert stats.compare_unpaired(*counts)[1:3] == pytest.approx((low, high), abs=5e-5)


def test_unpaired_p_equals_chi_square_with_n_minus_one():
    # 20 * (9 * 7 - 1 * 3)**2 / (10 * 10 * 12 * 8) = 7.5, times 19 / 20: P(chi2 > 7.125) = 0.00760
    assert stats.compare_unpaired(9, 10, 3, 10)[3] == pytest.approx(0.00760, abs=5e-6)


def test_unpaired_changes_sign_with_the_order():
    difference, low, high, p = stats.compare_unpaired(61, 100, 130, 272)
    assert stats.compare_unpaired(130, 272, 61, 100) == pytest.approx((-difference, -high, -low, p))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("n_a", "n_b"), [(1, 1), (3, 5), (6, 2)])
def test_unpaired_is_defined_without_warnings_for_every_count(n_a, n_b):
    for a, b in itertools.product(range(n_a + 1), range(n_b + 1)):
        difference, low, high, p = stats.compare_unpaired(a, n_a, b, n_b)
        assert -1 <= low <= difference <= high <= 1
        assert p == 1 if a + b in (0, n_a + n_b) else 0 <= p <= 1


@pytest.mark.parametrize(
    ("counts", "named"),
    [((3, 2, 1, 2), "correct_a"), ((1, 2, -1, 2), "correct_b"), ((1, 2, 0, 0), "correct_b")],
)
def test_unpaired_rejects_impossible_counts(counts, named):
    with pytest.raises(ValueError, match=named):
        stats.compare_unpaired(*counts)


def test_calibration_counts_and_averages_by_bin():
    # by hand, four bins: 0.1 and 0.2 (one right) | 0.3, 0.4, 0.5 (two right) | none | 1.0 (right)
    confidence, correct = [0.2, 0.1, 0.4, 0.3, 0.5, 1.0], [True, False, True, False, True, True]
    table = stats.calibration_table(confidence, correct, bins=4)
    expected = {
        "low": [0, 0.25, 0.5, 0.75],
        "high": [0.25, 0.5, 0.75, 1],
        "n": [2, 3, 0, 1],
        "confidence": [0.15, 0.4, np.nan, 1.0],
        "accuracy": [1 / 2, 2 / 3, np.nan, 1.0],
    }
    assert list(table) == list(expected)
    for name, values in expected.items():
        assert table[name].tolist() == pytest.approx(values, nan_ok=True)


@pytest.mark.parametrize(("confidence", "place"), [(0, 0), (0.1, 0), (0.3, 2), (0.31, 3), (1, 9)])
def test_calibration_bins_include_their_upper_limit_and_the_first_zero(confidence, place):
    assert stats.calibration_table([confidence], [True])["n"].tolist().index(1) == place


def test_calibration_error_equals_guos_formula_bin_by_bin():
    generator = np.random.default_rng(4)
    confidence, correct = generator.random(200), generator.random(200) < 0.6
    total = 0.0
    for m in range(15):  # equation 3 of arXiv:1706.04599, M = 15
        members = [k for k in range(200) if m / 15 < confidence[k] <= (m + 1) / 15]
        accuracy = sum(correct[k] for k in members) / len(members)
        mean = sum(confidence[k] for k in members) / len(members)
        total += len(members) / 200 * abs(accuracy - mean)
    assert stats.expected_calibration_error(confidence, correct, bins=15) == pytest.approx(total)


@pytest.mark.parametrize(
    ("confidence", "correct", "named"),
    [
        ([1.2], [True], "confidence must be from 0 to 1"),
        ([np.nan], [True], "confidence must be from 0 to 1"),
        ([0.5], [2], "correct must be true or false"),
        ([0.5], [np.nan], "correct must be true or false"),
        ([0.5, 0.5], [True], "equal length"),
        ([], [], "equal length"),
    ],
)
def test_calibration_rejects_invalid_values(confidence, correct, named):
    with pytest.raises(ValueError, match=named):
        stats.calibration_table(confidence, correct)
