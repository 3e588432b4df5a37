"""Tests of stats: values from published tables, formulas and slow reimplementations."""

import itertools

import numpy as np
import pytest
from tests.support.stats_simulation import simulate_answers

from clinical_camel import stats


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857, Table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_equals_the_published_table(correct, total, low, high):
    assert stats.wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_without_questions_is_zero_to_one():
    assert stats.wilson_interval(0, 0) == (0.0, 1.0)


def test_wilson_interval_of_a_perfect_score_ends_at_exactly_one():
    # by the formula the lower limit is n / (n + z**2), z = 1.95996
    assert stats.wilson_interval(10, 10) == (pytest.approx(10 / (10 + 1.959964**2), abs=1e-6), 1.0)


def test_wilson_interval_of_zero_correct_starts_at_exactly_zero():
    assert {stats.wilson_interval(0, total)[0] for total in range(1, 2_000)} == {0.0}


def test_wilson_interval_is_wider_for_a_higher_level():
    low_90, high_90 = stats.wilson_interval(50, 100, level=0.90)
    low_99, high_99 = stats.wilson_interval(50, 100, level=0.99)
    assert low_99 < low_90 < 0.5 < high_90 < high_99


@pytest.mark.parametrize(("correct", "total"), [(3, 2), (-1, 2), (1, 0)])
def test_wilson_interval_rejects_impossible_counts(correct, total):
    with pytest.raises(ValueError, match="correct must be from 0 to total"):
        stats.wilson_interval(correct, total)


@pytest.mark.parametrize("missing", ["", None, np.nan])
def test_clusters_reject_an_item_without_a_label(missing):
    labels = np.array(["a", missing, "b"], dtype=object)
    with pytest.raises(ValueError, match="item without a label"):
        stats.paired_bootstrap([1, 0, 1], [0, 0, 1], seed=0, clusters=labels)


@pytest.mark.parametrize("labels", [["a", "b"], [["a"], ["b"], ["c"]], "abc"])
def test_clusters_need_one_label_per_item(labels):
    with pytest.raises(ValueError, match="clusters needs one label per item: 3 items"):
        stats.clustered_interval([1, 0, 1], labels)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [  # by hand: the smallest times m, the next times m - 1, ...; none below the one before
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.04, 0.01], [0.04, 0.02]),
        ([0.9, 0.8], [1.0, 1.0]),
        ([0.03], [0.03]),
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
PASSAGES = np.array([1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6, 6, 6])


def miller_variance(values, clusters):
    """Squared clustered standard error, pair by pair: equation 4 of Miller 2024."""
    deviations, total = values - values.mean(), 0.0
    for i in range(len(values)):
        for j in range(len(values)):
            total += deviations[i] * deviations[j] * (clusters[i] == clusters[j])
    return total / len(values) ** 2


def test_clustered_interval_is_wilson_with_millers_error_and_both_corrections():
    # six clusters: variance times 6 / 5, and t = 2.5706 with five degrees of freedom (any table)
    mean, variance = ANSWERS.mean(), miller_variance(ANSWERS, PASSAGES) * 6 / 5
    # both ends of Wilson's interval are that many errors away, with the error at the end itself
    for end in stats.clustered_interval(ANSWERS, PASSAGES):
        error = np.sqrt(variance * end * (1 - end) / (mean * (1 - mean)))
        assert abs(end - mean) == pytest.approx(2.5706 * error, abs=1e-4)


def test_clustered_interval_of_many_single_item_clusters_is_nearly_wilson():
    values = [1] * 900 + [0] * 100
    interval = stats.clustered_interval(values, np.arange(1000))
    assert interval == pytest.approx(stats.wilson_interval(900, 1000), abs=1e-4)


def test_clustered_interval_does_not_depend_on_the_order_of_items():
    order = np.random.default_rng(0).permutation(len(ANSWERS))
    shuffled = stats.clustered_interval(ANSWERS[order], PASSAGES[order])
    assert shuffled == pytest.approx(stats.clustered_interval(ANSWERS, PASSAGES), abs=1e-12)


def test_clustered_interval_is_wider_for_a_higher_level():
    low_80, high_80 = stats.clustered_interval(ANSWERS, PASSAGES, level=0.8)
    low_90, high_90 = stats.clustered_interval(ANSWERS, PASSAGES, level=0.9)
    assert low_90 < low_80 < ANSWERS.mean() < high_80 < high_90


def test_clustered_interval_stays_between_zero_and_one():
    low, high = stats.clustered_interval([1, 1, 0, 0], ["a", "a", "b", "b"])
    assert 0 < low < 0.01
    assert 0.99 < high < 1


@pytest.mark.parametrize(
    ("values", "right"),
    [([1] * 30, 10), ([0] * 30, 0), ([1, 0, 0, 1] * 10, 5)],
    ids=["all right", "all wrong", "each cluster half right"],
)
def test_clustered_interval_of_equal_clusters_is_wilson_for_their_number(values, right):
    clusters = np.arange(len(values)) // (len(values) // 10)
    assert stats.clustered_interval(values, clusters) == pytest.approx(
        stats.wilson_interval(right, 10)
    )


def test_clustered_interval_of_one_cluster_is_zero_to_one():
    assert stats.clustered_interval([1, 1, 0], ["a"] * 3) == (0.0, 1.0)


@pytest.mark.parametrize("values", [[0.5, 1.1], [-0.1, 1], [np.nan, 1], []])
def test_clustered_interval_rejects_values_outside_zero_to_one(values):
    with pytest.raises(ValueError, match="values must be numbers from 0 to 1"):
        stats.clustered_interval(values, ["a"] * len(values))


def test_design_effect_of_ten_duplicated_items_is_nearly_two():
    # by hand: 4 S / (4 n) / (n - 1) over 2 S / (2 n) / (2 n - 1) is (2 n - 1) / (n - 1), n = 10
    values = np.repeat([1, 0, 1, 1, 0, 0, 1, 0, 1, 1], 2)
    assert stats.design_effect(values, np.repeat(np.arange(10), 2)) == pytest.approx(19 / 9)


def test_design_effect_of_independent_items_is_one():
    assert stats.design_effect(ANSWERS, np.arange(len(ANSWERS))) == pytest.approx(1, abs=1e-9)


def test_design_effect_is_zero_if_all_clusters_have_the_same_accuracy():
    assert stats.design_effect([1, 0, 0, 1], ["a", "a", "b", "b"]) == pytest.approx(0, abs=1e-12)


def test_design_effect_of_many_clusters_equals_kishs():
    clusters = np.repeat(np.arange(4_000), 6)
    answers = simulate_answers(np.random.default_rng(0), clusters, 0.6, 0.3)
    assert stats.design_effect(answers, clusters) == pytest.approx(1 + (6 - 1) * 0.3, abs=0.1)


@pytest.mark.parametrize(
    ("values", "clusters"), [([1, 1], ["a", "b"]), ([1, 0], ["a", "a"]), ([1], ["a"])]
)
def test_design_effect_without_variance_is_nan(values, clusters):
    assert np.isnan(stats.design_effect(values, clusters))


@pytest.mark.parametrize(
    ("n", "points", "places"),
    [  # MedQA, MedMCQA, PubMedQA, subjects of MMLU, notes: 2.8016 * sqrt(0.25 / n) by hand
        (1_273, 3.9, 1),
        (4_183, 2.2, 1),
        (500, 6.3, 1),
        (272, 8.5, 1),
        (100, 14, 0),
        (40, 22, 0),
    ],
)
def test_min_detectable_effect_of_the_public_sets(n, points, places):
    assert round(100 * stats.min_detectable_effect(n), places) == points


def test_min_detectable_effect_is_close_to_connors_formula():
    # clinicaltrials-tools.vercel.app, McNemar (Connor 1987): 155 pairs, 0.30 against 0.15
    assert stats.min_detectable_effect(155, discordant=0.45) == pytest.approx(0.15, abs=0.0015)


def test_min_detectable_effect_has_its_power_in_the_exact_test():
    # the R package MESS tests for: 144 pairs, 0.45 against 0.25 discordant, exact test, power 0.80
    assert stats.min_detectable_effect(144, discordant=0.70) == pytest.approx(0.20, abs=0.005)


def test_min_detectable_effect_grows_with_power_and_level():
    # z: 1.95996 + 1.28155 for 90 %, and 2.57583 + 0.84162 at level 0.01 for 80 %
    assert stats.min_detectable_effect(400, power=0.9) == pytest.approx(3.24151 / 40, abs=1e-6)
    assert stats.min_detectable_effect(400, level=0.01) == pytest.approx(3.41745 / 40, abs=1e-6)


def test_min_detectable_effect_is_nan_for_too_few_items():
    # even if all differ one way: 2.8016 / sqrt(n) is below sqrt(0.25) from 32 items on
    assert np.isnan(stats.min_detectable_effect(31))
    assert stats.min_detectable_effect(32) < 0.25


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"discordant": 0.0}, "discordant must be above 0"),
        ({"discordant": 1.1}, "discordant must be above 0"),
        ({"power": 1.0}, "level < power < 1"),
        ({"power": 0.04}, "level < power < 1"),
        ({"level": 0.0}, "level < power < 1"),
    ],
)
def test_min_detectable_effect_rejects_impossible_shares(wrong, named):
    with pytest.raises(ValueError, match=named):
        stats.min_detectable_effect(**({"n": 100} | wrong))


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


@pytest.mark.parametrize("counts", [(0, 10, 0, 20), (10, 10, 20, 20)])
def test_unpaired_p_is_one_if_both_are_all_correct_or_all_wrong(counts):
    difference, low, high, p = stats.compare_unpaired(*counts)
    assert (difference, p) == (0.0, 1.0)
    assert low < 0 < high


@pytest.mark.filterwarnings("error")
def test_unpaired_is_defined_without_warnings_for_every_count():
    for n_a, n_b in [(1, 1), (3, 5), (6, 2)]:
        for a, b in itertools.product(range(n_a + 1), range(n_b + 1)):
            difference, low, high, p = stats.compare_unpaired(a, n_a, b, n_b)
            assert -1 <= low <= difference <= high <= 1
            assert 0 <= p <= 1


@pytest.mark.parametrize(
    ("counts", "named"),
    [((3, 2, 1, 2), "correct_a"), ((1, 2, -1, 2), "correct_b"), ((1, 2, 0, 0), "correct_b")],
)
def test_unpaired_rejects_impossible_counts(counts, named):
    with pytest.raises(ValueError, match=named):
        stats.compare_unpaired(*counts)


# by hand, four bins: 0.1 and 0.2 (one right) | 0.3, 0.4, 0.5 (two right) | none | 1.0 (right)
CONFIDENCE, CORRECT = [0.2, 0.1, 0.4, 0.3, 0.5, 1.0], [True, False, True, False, True, True]


def test_calibration_counts_and_averages_by_bin():
    table = stats.calibration_table(CONFIDENCE, CORRECT, bins=4)
    assert table["n"].tolist() == [2, 3, 0, 1]
    expected = [0.15, 0.4, np.nan, 1.0]
    assert table["confidence"].tolist() == pytest.approx(expected, nan_ok=True)
    expected = [1 / 2, 2 / 3, np.nan, 1.0]
    assert table["accuracy"].tolist() == pytest.approx(expected, nan_ok=True)


def test_calibration_bins_cover_zero_to_one():
    table = stats.calibration_table(CONFIDENCE, CORRECT, bins=4)
    assert table["low"].tolist() == [0, 0.25, 0.5, 0.75]
    assert table["high"].tolist() == [0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(("confidence", "place"), [(0, 0), (0.1, 0), (0.3, 2), (0.31, 3), (1, 9)])
def test_calibration_bins_include_their_upper_limit_and_the_first_zero(confidence, place):
    assert stats.calibration_table([confidence], [True])["n"].tolist().index(1) == place


def test_calibration_error_weights_bins_by_their_items():
    # by hand: (2 * |0.15 - 1/2| + 3 * |0.4 - 2/3| + 1 * 0) / 6
    error = stats.expected_calibration_error(CONFIDENCE, CORRECT, bins=4)
    assert error == pytest.approx((0.7 + 0.8) / 6)


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


def test_calibration_error_is_zero_if_confidence_equals_accuracy():
    assert stats.expected_calibration_error([0.75] * 4, [1, 1, 1, 0]) == 0


def test_brier_score_is_the_mean_squared_distance():
    # (0.8**2 + 0.1**2 + 0.6**2 + 0.3**2 + 0.5**2 + 0) / 6
    assert stats.brier_score(CONFIDENCE, CORRECT) == pytest.approx(1.35 / 6)


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
@pytest.mark.parametrize("function", [stats.calibration_table, stats.brier_score])
def test_calibration_and_brier_score_reject_invalid_values(function, confidence, correct, named):
    with pytest.raises(ValueError, match=named):
        function(confidence, correct)


def test_calibration_rejects_zero_bins():
    with pytest.raises(ValueError, match="bins must be at least 1"):
        stats.calibration_table(CONFIDENCE, CORRECT, bins=0)
