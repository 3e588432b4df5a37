"""Intervals, tests and calibration: figures from tables, formulas and slow transcriptions."""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stats_coverage

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
def test_wilson_gives_the_published_table(correct, total, low, high):
    assert stats.wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_no_question_says_nothing():
    assert stats.wilson(0, 0) == (0.0, 1.0)


def test_wilson_of_a_perfect_score_ends_at_exactly_one():
    # by the formula the lower limit is n / (n + z**2), z = 1.95996
    assert stats.wilson(10, 10) == (pytest.approx(10 / (10 + 1.959964**2), abs=1e-6), 1.0)


def test_wilson_of_no_right_answer_begins_at_exactly_zero():
    assert {stats.wilson(0, total)[0] for total in range(1, 2_000)} == {0.0}


def test_wilson_is_wider_for_a_higher_level():
    low_90, high_90 = stats.wilson(50, 100, level=0.90)
    low_99, high_99 = stats.wilson(50, 100, level=0.99)
    assert low_99 < low_90 < 0.5 < high_90 < high_99


@pytest.mark.parametrize(("correct", "total"), [(3, 2), (-1, 2), (1, 0)])
def test_wilson_refuses_impossible_counts(correct, total):
    with pytest.raises(ValueError, match="correct is 0 to total"):
        stats.wilson(correct, total)


def test_mcnemar_counts_only_the_items_that_differ():
    # 1 against 5 differ: p = 2 * (C(6,0) + C(6,1)) / 2**6 = 14 / 64
    a = [True] * 5 + [False] * 1 + [True] * 94
    b = [False] * 5 + [True] * 1 + [True] * 94
    assert stats.mcnemar_exact(a, b) == pytest.approx(14 / 64, abs=1e-12)


def test_mcnemar_is_the_same_both_ways_round():
    a, b = [True] * 9 + [False] * 2, [False] * 9 + [True] * 2
    assert stats.mcnemar_exact(a, b) == stats.mcnemar_exact(b, a)


def test_mcnemar_of_equal_answers_is_one():
    assert stats.mcnemar_exact([True, False], [True, False]) == 1.0


def test_mcnemar_of_ten_to_none():
    assert stats.mcnemar_exact([True] * 10, [False] * 10) == pytest.approx(2 / 2**10, abs=1e-12)


def test_mcnemar_refuses_numbers():
    with pytest.raises(ValueError, match="truth values"):
        stats.mcnemar_exact([1, 0], [0, 1])


def test_paired_tests_refuse_unequal_lengths():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        stats.mcnemar_exact([True, False], [True, False, True])


def test_bootstrap_refuses_an_empty_run():
    with pytest.raises(ValueError, match="equally long"):
        stats.paired_bootstrap([], [], seed=0)


def test_bootstrap_refuses_nan():
    with pytest.raises(ValueError, match="NaN"):
        stats.paired_bootstrap([0.5, np.nan], [0.5, 0.5], seed=0)


def test_bootstrap_gives_the_plain_difference_of_the_means():
    difference, _, _ = stats.paired_bootstrap([1, 1, 1, 0], [0, 0, 1, 1], seed=0)
    assert difference == 0.25  # (1 + 1 + 0 - 1) / 4


def test_bootstrap_changes_sign_with_the_order_of_the_runs():
    a, b = np.arange(100) % 3 > 0, np.arange(100) % 2 > 0
    difference, low, high = stats.paired_bootstrap(a, b, seed=3)
    back, back_low, back_high = stats.paired_bootstrap(b, a, seed=3)
    assert (back, back_low, back_high) == pytest.approx((-difference, -high, -low), abs=0.011)


def test_bootstrap_agrees_with_drawing_items_one_by_one():
    a, b = np.arange(50) % 3 > 0, np.arange(50) % 2 > 0
    generator = np.random.default_rng(11)
    slow = []
    for _ in range(4_000):
        drawn = generator.integers(0, 50, size=50)
        slow.append(a[drawn].mean() - b[drawn].mean())
    expected = (a.mean() - b.mean(), *np.quantile(slow, [0.025, 0.975]))
    # the standard error of a bootstrap limit is about 0.004 here
    assert stats.paired_bootstrap(a, b, seed=0) == pytest.approx(expected, abs=0.021)


def test_bootstrap_interval_has_the_normal_width_for_many_items():
    # half the items differ by 1: the standard error is sqrt(0.25 / 10_000) = 0.005
    a = np.tile([True, False], 5_000)
    _, low, high = stats.paired_bootstrap(a, np.zeros(10_000, dtype=bool), seed=0)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.005, 0.5 + 1.96 * 0.005), abs=5e-4)


def test_bootstrap_repeats_with_its_seed_and_not_with_another():
    a, b = np.linspace(0, 1, 40), np.linspace(1, 0, 40) ** 2
    assert stats.paired_bootstrap(a, b, seed=1) == stats.paired_bootstrap(a, b, seed=1)
    assert stats.paired_bootstrap(a, b, seed=1) != stats.paired_bootstrap(a, b, seed=2)


def test_bootstrap_draws_as_many_resamples_as_asked():
    # one resample: both limits are that resample's mean
    _, low, high = stats.paired_bootstrap([1, 0, 1, 1], [0, 0, 0, 1], seed=5, resamples=1)
    assert low == high


def test_bootstrap_of_few_items_is_as_wide_as_the_t_interval():
    # 12 evenly spread differences: t(0.975, 11) = 2.201, s / sqrt(12) = 0.1892 (a plain
    # percentile interval would be narrower by sqrt(11 / 12) * 1.960 / 2.201 = 0.85)
    _, low, high = stats.paired_bootstrap(np.linspace(-1, 1, 12), np.zeros(12), seed=0)
    assert (high - low) / 2 == pytest.approx(2.201 * 0.1892, rel=0.04)


def test_bootstrap_of_many_items_takes_the_plain_quantiles():
    # 1,000 items, a quarter better by one: the normal interval of the mean is 1.96 * 0.01369
    better = np.arange(1_000) % 4 == 0
    _, low, high = stats.paired_bootstrap(better, np.zeros(1_000), seed=0)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.01369, rel=0.03)


def test_bootstrap_of_clusters_of_one_is_the_bootstrap_of_items():
    a, b = np.arange(60) % 3 > 0, np.arange(60) % 2 > 0
    alone = stats.paired_bootstrap(a, b, seed=2, clusters=np.arange(60))
    assert alone == stats.paired_bootstrap(a, b, seed=2)


def test_bootstrap_learns_nothing_from_duplicates_that_share_a_cluster():
    a, b = np.arange(60) % 3 > 0, np.arange(60) % 2 > 0
    twice = stats.paired_bootstrap(
        np.repeat(a, 2), np.repeat(b, 2), seed=2, clusters=np.repeat(np.arange(60), 2)
    )
    assert twice == stats.paired_bootstrap(a, b, seed=2)


def test_bootstrap_draws_whole_clusters_and_takes_the_mean_over_items():
    # one item better by 1, and three equal: the drawn means are 1, (1 + 0) / 4 or 0
    drawn = {
        stats.paired_bootstrap([1, 1, 1, 1], [0, 1, 1, 1], seed, 1, clusters=["a", "b", "b", "b"])
        for seed in range(40)
    }
    assert drawn == {(0.25, 1.0, 1.0), (0.25, 0.25, 0.25), (0.25, 0.0, 0.0)}


def test_bootstrap_of_clusters_agrees_with_drawing_them_one_by_one():
    clusters = np.repeat(np.arange(30), 1 + np.arange(30) % 4)
    a, b = clusters % 3 > 0, np.arange(len(clusters)) % 4 > 0
    items = [np.flatnonzero(clusters == c) for c in range(30)]
    generator, slow = np.random.default_rng(11), []
    for _ in range(4_000):
        drawn = np.concatenate([items[c] for c in generator.integers(0, 30, size=30)])
        slow.append(a[drawn].mean() - b[drawn].mean())
    expected = (a.mean() - b.mean(), *np.quantile(slow, [0.025, 0.975]))
    # a limit's standard error is about 0.005 here; of items instead they are 0.05 further in
    found = stats.paired_bootstrap(a, b, seed=0, clusters=clusters)
    assert found == pytest.approx(expected, abs=0.02)


def test_bootstrap_of_a_single_cluster_has_no_limits():
    difference, low, high = stats.paired_bootstrap([1, 1, 0], [0, 0, 0], 0, clusters=["a"] * 3)
    assert difference == pytest.approx(2 / 3)
    assert np.isnan([low, high]).all()


def test_clusters_may_be_called_anything():
    a, b = np.arange(12) % 3 > 0, np.arange(12) % 2 > 0
    named = stats.paired_bootstrap(a, b, seed=1, clusters=["x"] * 3 + ["a"] * 4 + ["m"] * 5)
    assert named == stats.paired_bootstrap(a, b, seed=1, clusters=[9] * 3 + [-1] * 4 + [5] * 5)


@pytest.mark.parametrize("missing", ["", None, np.nan])
def test_clusters_refuse_an_item_without_a_label(missing):
    labels = np.array(["a", missing, "b"], dtype=object)
    with pytest.raises(ValueError, match="item without a label"):
        stats.paired_bootstrap([1, 0, 1], [0, 0, 1], seed=0, clusters=labels)


@pytest.mark.parametrize("labels", [["a", "b"], [["a"], ["b"], ["c"]], "abc"])
def test_clusters_refuse_all_but_one_label_an_item(labels):
    with pytest.raises(ValueError, match="clusters is one label an item: 3 items"):
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
def test_holm_adjusts_as_by_hand(p, adjusted):
    assert stats.holm(p).tolist() == pytest.approx(adjusted, abs=1e-12)


@pytest.mark.parametrize("p", [[0.1, np.nan], [-0.01], [1.01], [[0.1, 0.2]], 0.1])
def test_holm_refuses_what_is_no_row_of_probabilities(p):
    with pytest.raises(ValueError, match="p is a row of probabilities"):
        stats.holm(p)


ANSWERS = np.array([1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1], dtype=float)
PASSAGES = np.array([1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6, 6, 6])


def miller_variance(values, clusters):
    """Equation 4 of Miller 2024, pair by pair: the squared clustered standard error."""
    apart, total = values - values.mean(), 0.0
    for i in range(len(values)):
        for j in range(len(values)):
            total += apart[i] * apart[j] * (clusters[i] == clusters[j])
    return total / len(values) ** 2


def test_clustered_interval_is_wilsons_with_the_error_of_the_paper_and_both_corrections():
    # six clusters: variance times 6 / 5, and t = 2.5706 with five degrees of freedom (any table)
    mean, variance = ANSWERS.mean(), miller_variance(ANSWERS, PASSAGES) * 6 / 5
    # where the ends of Wilson's interval lie: as many errors away, of an accuracy of their own
    for end in stats.clustered_interval(ANSWERS, PASSAGES):
        error = np.sqrt(variance * end * (1 - end) / (mean * (1 - mean)))
        assert abs(end - mean) == pytest.approx(2.5706 * error, abs=1e-4)


def test_clustered_interval_of_many_clusters_of_one_is_nearly_wilsons():
    values = [1] * 900 + [0] * 100
    found = stats.clustered_interval(values, np.arange(1000))
    assert found == pytest.approx(stats.wilson(900, 1000), abs=1e-4)


def test_clustered_interval_does_not_care_for_the_order_of_items():
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
def test_clustered_interval_of_equal_clusters_is_wilsons_for_their_number(values, right):
    clusters = np.arange(len(values)) // (len(values) // 10)
    assert stats.clustered_interval(values, clusters) == pytest.approx(stats.wilson(right, 10))


def test_clustered_interval_of_one_cluster_says_nothing():
    assert stats.clustered_interval([1, 1, 0], ["a"] * 3) == (0.0, 1.0)


@pytest.mark.parametrize("values", [[0.5, 1.1], [-0.1, 1], [np.nan, 1], []])
def test_clustered_interval_refuses_what_is_no_accuracy(values):
    with pytest.raises(ValueError, match="values is a row of numbers from 0 to 1"):
        stats.clustered_interval(values, ["a"] * len(values))


def test_design_effect_of_ten_items_asked_twice_is_nearly_two():
    # by hand: 4 S / (4 n) / (n - 1) over 2 S / (2 n) / (2 n - 1) is (2 n - 1) / (n - 1), n = 10
    values = np.repeat([1, 0, 1, 1, 0, 0, 1, 0, 1, 1], 2)
    assert stats.design_effect(values, np.repeat(np.arange(10), 2)) == pytest.approx(19 / 9)


def test_design_effect_of_independent_items_is_one():
    assert stats.design_effect(ANSWERS, np.arange(len(ANSWERS))) == pytest.approx(1, abs=1e-9)


def test_design_effect_is_zero_where_every_cluster_has_the_same_accuracy():
    assert stats.design_effect([1, 0, 0, 1], ["a", "a", "b", "b"]) == pytest.approx(0, abs=1e-12)


def test_design_effect_of_many_clusters_is_that_of_kish():
    clusters = np.repeat(np.arange(4_000), 6)
    answers = stats_coverage.clustered_answers(np.random.default_rng(0), clusters, 0.6, 0.3)
    assert stats.design_effect(answers, clusters) == pytest.approx(1 + (6 - 1) * 0.3, abs=0.1)


@pytest.mark.parametrize(
    ("values", "clusters"), [([1, 1], ["a", "b"]), ([1, 0], ["a", "a"]), ([1], ["a"])]
)
def test_design_effect_of_no_spread_is_not_defined(values, clusters):
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
def test_detectable_difference_of_the_public_sets(n, points, places):
    assert round(100 * stats.detectable_difference(n), places) == points


def test_detectable_difference_is_close_to_connors_formula():
    # clinicaltrials-tools.vercel.app, McNemar (Connor 1987): 155 pairs, 0.30 against 0.15
    assert stats.detectable_difference(155, discordant=0.45) == pytest.approx(0.15, abs=0.0015)


def test_detectable_difference_has_its_power_in_the_exact_test():
    # the R package MESS tests for: 144 pairs, 0.45 against 0.25 discordant, exact test, power 0.80
    assert stats.detectable_difference(144, discordant=0.70) == pytest.approx(0.20, abs=0.005)


def test_detectable_difference_grows_with_the_power_asked_for():
    # z: 1.95996 + 1.28155 for 90 %, and 2.57583 + 0.84162 at level 0.01 for 80 %
    assert stats.detectable_difference(400, power=0.9) == pytest.approx(3.24151 / 40, abs=1e-6)
    assert stats.detectable_difference(400, level=0.01) == pytest.approx(3.41745 / 40, abs=1e-6)


def test_detectable_difference_is_unknown_where_too_few_items_can_differ():
    # even if all differ one way: 2.8016 / sqrt(n) is below sqrt(0.25) from 32 items on
    assert np.isnan(stats.detectable_difference(31))
    assert stats.detectable_difference(32) < 0.25


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"n": 0}, "n is at least 1"),
        ({"discordant": 0.0}, "discordant is above 0"),
        ({"discordant": 1.1}, "discordant is above 0"),
        ({"power": 1.0}, "level < power < 1"),
        ({"power": 0.04}, "level < power < 1"),
        ({"level": 0.0}, "level < power < 1"),
    ],
)
def test_detectable_difference_refuses_impossible_shares(wrong, named):
    with pytest.raises(ValueError, match=named):
        stats.detectable_difference(**({"n": 100} | wrong))


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
def test_unpaired_gives_the_published_table(counts, low, high):
    assert stats.unpaired(*counts)[1:3] == pytest.approx((low, high), abs=5e-5)


def test_unpaired_p_is_that_of_chi_square_with_n_minus_one():
    # 20 * (9 * 7 - 1 * 3)**2 / (10 * 10 * 12 * 8) = 7.5, times 19 / 20: P(chi2 > 7.125) = 0.00760
    assert stats.unpaired(9, 10, 3, 10)[3] == pytest.approx(0.00760, abs=5e-6)


def test_unpaired_changes_sign_with_the_order():
    difference, low, high, p = stats.unpaired(61, 100, 130, 272)
    assert stats.unpaired(130, 272, 61, 100) == pytest.approx((-difference, -high, -low, p))


@pytest.mark.parametrize("counts", [(0, 10, 0, 20), (10, 10, 20, 20)])
def test_unpaired_sees_no_difference_in_all_or_nothing_on_both_sides(counts):
    difference, low, high, p = stats.unpaired(*counts)
    assert (difference, p) == (0.0, 1.0)
    assert low < 0 < high


@pytest.mark.filterwarnings("error")
def test_unpaired_is_defined_and_quiet_for_every_count():
    for n_a, n_b in [(1, 1), (3, 5), (6, 2)]:
        for a, b in itertools.product(range(n_a + 1), range(n_b + 1)):
            difference, low, high, p = stats.unpaired(a, n_a, b, n_b)
            assert -1 <= low <= difference <= high <= 1
            assert 0 <= p <= 1


@pytest.mark.parametrize(
    ("counts", "named"),
    [((3, 2, 1, 2), "correct_a"), ((1, 2, -1, 2), "correct_b"), ((1, 2, 0, 0), "correct_b")],
)
def test_unpaired_refuses_impossible_counts(counts, named):
    with pytest.raises(ValueError, match=named):
        stats.unpaired(*counts)


# by hand, four bins: 0.1 and 0.2 (one right) | 0.3, 0.4, 0.5 (two right) | none | 1.0 (right)
SURE, RIGHT = [0.2, 0.1, 0.4, 0.3, 0.5, 1.0], [True, False, True, False, True, True]


def test_calibration_counts_and_averages_by_bin():
    table = stats.calibration(SURE, RIGHT, bins=4)
    assert table["n"].tolist() == [2, 3, 0, 1]
    expected = [0.15, 0.4, np.nan, 1.0]
    assert table["confidence"].tolist() == pytest.approx(expected, nan_ok=True)
    expected = [1 / 2, 2 / 3, np.nan, 1.0]
    assert table["accuracy"].tolist() == pytest.approx(expected, nan_ok=True)


def test_calibration_bins_cover_zero_to_one():
    table = stats.calibration(SURE, RIGHT, bins=4)
    assert table["low"].tolist() == [0, 0.25, 0.5, 0.75]
    assert table["high"].tolist() == [0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(("confidence", "place"), [(0, 0), (0.1, 0), (0.3, 2), (0.31, 3), (1, 9)])
def test_calibration_bin_is_closed_above_and_the_first_below_too(confidence, place):
    assert stats.calibration([confidence], [True])["n"].tolist().index(1) == place


def test_calibration_error_weighs_each_bin_by_its_items():
    # by hand: (2 * |0.15 - 1/2| + 3 * |0.4 - 2/3| + 1 * 0) / 6
    found = stats.expected_calibration_error(SURE, RIGHT, bins=4)
    assert found == pytest.approx((0.7 + 0.8) / 6)


def test_calibration_error_is_that_of_guo_bin_by_bin():
    generator = np.random.default_rng(4)
    sure, right = generator.random(200), generator.random(200) < 0.6
    total = 0.0
    for m in range(15):  # equation 3 of arXiv:1706.04599, M = 15
        members = [k for k in range(200) if m / 15 < sure[k] <= (m + 1) / 15]
        accuracy = sum(right[k] for k in members) / len(members)
        confidence = sum(sure[k] for k in members) / len(members)
        total += len(members) / 200 * abs(accuracy - confidence)
    assert stats.expected_calibration_error(sure, right, bins=15) == pytest.approx(total)


def test_calibration_error_is_zero_where_confidence_is_accuracy():
    assert stats.expected_calibration_error([0.75] * 4, [1, 1, 1, 0]) == 0


def test_brier_is_the_mean_squared_distance():
    # (0.8**2 + 0.1**2 + 0.6**2 + 0.3**2 + 0.5**2 + 0) / 6
    assert stats.brier(SURE, RIGHT) == pytest.approx(1.35 / 6)


@pytest.mark.parametrize(
    ("confidence", "correct", "named"),
    [
        ([1.2], [True], "confidence is from 0 to 1"),
        ([np.nan], [True], "confidence is from 0 to 1"),
        ([0.5], [2], "correct is true or false"),
        ([0.5], [np.nan], "correct is true or false"),
        ([0.5, 0.5], [True], "equally long"),
        ([], [], "equally long"),
    ],
)
@pytest.mark.parametrize("function", [stats.calibration, stats.brier])
def test_calibration_and_brier_refuse_what_they_cannot_score(function, confidence, correct, named):
    with pytest.raises(ValueError, match=named):
        function(confidence, correct)


def test_calibration_refuses_less_than_one_bin():
    with pytest.raises(ValueError, match="bins is at least 1"):
        stats.calibration(SURE, RIGHT, bins=0)


TABLE = pd.read_csv(Path(stats_coverage.__file__).with_suffix(".csv"), keep_default_na=False)
DESIGNS = {(d.what, d.words): d for d in stats_coverage.designs()}


def test_the_coverage_table_has_the_designs_of_its_script():
    assert list(zip(TABLE["what"], TABLE["design"], strict=True)) == list(DESIGNS)


def test_every_design_that_misses_its_aim_says_why():
    assert TABLE.loc[~TABLE["met"] & (TABLE["note"] == ""), "design"].tolist() == []


def test_the_controls_of_the_coverage_table_fail_as_they_should():
    controls = TABLE[TABLE["kind"].str.startswith("control")]
    assert len(controls) == 4
    assert controls["met"].all()


def test_a_row_of_the_coverage_table_comes_out_again():
    again = stats_coverage.row(DESIGNS["wilson", "100 items, accuracy 0.25"])
    assert again == TABLE.loc[TABLE["design"] == "100 items, accuracy 0.25"].iloc[0].to_dict()


def test_the_simulated_coverage_is_the_enumerated_one():
    # all 41 counts of 40 items, each with its binomial chance; the error of the rate is 0.0007
    counts = [k for k in range(41) if stats.wilson(k, 40)[0] <= 0.9 <= stats.wilson(k, 40)[1]]
    exact = sum(math.comb(40, k) * 0.9**k * 0.1 ** (40 - k) for k in counts)
    row = stats_coverage.row(DESIGNS["wilson", "40 items, accuracy 0.9"])
    assert row["rate"] == pytest.approx(exact, abs=0.0025)


def test_the_clustered_interval_covers_where_the_naive_one_does_not():
    design = "52 clusters of 6, accuracy 0.6, icc 0.3"
    robust = DESIGNS["clustered_interval", design]._replace(repetitions=400)
    naive = DESIGNS["wilson, clusters ignored", design]._replace(repetitions=400)
    clustered, ignored = stats_coverage.row(robust)["rate"], stats_coverage.row(naive)["rate"]
    assert ignored < 0.85 < 0.92 < clustered < 0.98


def test_simulated_runs_differ_in_the_shares_asked_for():
    a, b = stats_coverage.split(np.array([0.0, 0.24, 0.25, 0.74, 0.75]), 0.25, 0.5)
    assert a.tolist() == [True, True, False, False, True]
    assert b.tolist() == [False, False, True, True, True]


# --------------------------------------------------------------------- permutation of clusters


def test_permutation_of_clusters_counts_the_exchanges_as_far_out():
    # cluster sums 2, 1, -1: of the eight sums of +-2 +-1 +-1, |sum| >= 2 holds for 4 + 2 = 6
    a, b = [1, 1, 1, 0], [0, 0, 0, 1]
    assert stats.paired_permutation(a, b, ["x", "x", "y", "z"], seed=0) == 6 / 8


def test_permutation_of_single_items_is_close_to_mcnemar():
    a, b = np.arange(60) % 3 > 0, np.arange(60) % 2 > 0
    found = stats.paired_permutation(a, b, np.arange(60), seed=0)
    assert found == pytest.approx(stats.mcnemar_exact(a, b), abs=0.02)


def test_permutation_of_equal_runs_is_one():
    assert stats.paired_permutation([1, 0], [1, 0], ["x", "y"], seed=0) == 1.0


def test_permutation_repeats_with_its_seed():
    a, b = np.arange(90) % 3 > 0, np.arange(90) % 2 > 0
    groups = np.arange(90) // 3
    first = stats.paired_permutation(a, b, groups, seed=1)
    assert first == stats.paired_permutation(a, b, groups, seed=1)
