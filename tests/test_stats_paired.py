"""Tests of McNemar's test, the paired bootstrap and the permutation test in stats."""

import numpy as np
import pytest

from clinical_camel import stats


def test_mcnemar_counts_only_discordant_items():
    # 1 against 5 differ: p = 2 * (C(6,0) + C(6,1)) / 2**6 = 14 / 64
    a = [True] * 5 + [False] * 1 + [True] * 94
    b = [False] * 5 + [True] * 1 + [True] * 94
    assert stats.mcnemar_exact(a, b) == pytest.approx(14 / 64, abs=1e-12)


def test_mcnemar_is_symmetric():
    a, b = [True] * 9 + [False] * 2, [False] * 9 + [True] * 2
    assert stats.mcnemar_exact(a, b) == stats.mcnemar_exact(b, a)


def test_mcnemar_of_equal_runs_is_one():
    assert stats.mcnemar_exact([True, False], [True, False]) == 1.0


def test_mcnemar_of_ten_to_zero():
    assert stats.mcnemar_exact([True] * 10, [False] * 10) == pytest.approx(2 / 2**10, abs=1e-12)


def test_mcnemar_rejects_numbers():
    with pytest.raises(ValueError, match="booleans"):
        stats.mcnemar_exact([1, 0], [0, 1])


def test_paired_tests_reject_unequal_lengths():
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\)"):
        stats.mcnemar_exact([True, False], [True, False, True])


def test_bootstrap_rejects_an_empty_run():
    with pytest.raises(ValueError, match="equal length"):
        stats.paired_bootstrap([], [], seed=0)


def test_bootstrap_rejects_nan():
    with pytest.raises(ValueError, match="NaN"):
        stats.paired_bootstrap([0.5, np.nan], [0.5, 0.5], seed=0)


def test_bootstrap_returns_the_difference_of_the_means():
    difference, _, _ = stats.paired_bootstrap([1, 1, 1, 0], [0, 0, 1, 1], seed=0)
    assert difference == 0.25  # (1 + 1 + 0 - 1) / 4


def test_bootstrap_changes_sign_with_the_order_of_the_runs():
    a, b = np.arange(100) % 3 > 0, np.arange(100) % 2 > 0
    difference, low, high = stats.paired_bootstrap(a, b, seed=3)
    back, back_low, back_high = stats.paired_bootstrap(b, a, seed=3)
    assert (back, back_low, back_high) == pytest.approx((-difference, -high, -low), abs=0.011)


def test_bootstrap_agrees_with_resampling_item_by_item():
    a, b = np.arange(50) % 3 > 0, np.arange(50) % 2 > 0
    generator = np.random.default_rng(11)
    slow = []
    for _ in range(4_000):
        sample = generator.integers(0, 50, size=50)
        slow.append(a[sample].mean() - b[sample].mean())
    expected = (a.mean() - b.mean(), *np.quantile(slow, [0.025, 0.975]))
    # the standard error of a bootstrap limit is about 0.004 here
    assert stats.paired_bootstrap(a, b, seed=0) == pytest.approx(expected, abs=0.021)


def test_bootstrap_interval_has_the_normal_width_for_many_items():
    # half the items differ by 1: the standard error is sqrt(0.25 / 10_000) = 0.005
    a = np.tile([True, False], 5_000)
    _, low, high = stats.paired_bootstrap(a, np.zeros(10_000, dtype=bool), seed=0)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.005, 0.5 + 1.96 * 0.005), abs=5e-4)


def test_bootstrap_depends_on_its_seed_only():
    a, b = np.linspace(0, 1, 40), np.linspace(1, 0, 40) ** 2
    assert stats.paired_bootstrap(a, b, seed=1) == stats.paired_bootstrap(a, b, seed=1)
    assert stats.paired_bootstrap(a, b, seed=1) != stats.paired_bootstrap(a, b, seed=2)


def test_bootstrap_uses_the_requested_number_of_resamples():
    # one resample: both limits are that resample's mean
    _, low, high = stats.paired_bootstrap([1, 0, 1, 1], [0, 0, 0, 1], seed=5, resamples=1)
    assert low == high


def test_bootstrap_of_few_items_is_as_wide_as_the_t_interval():
    # 12 evenly spread differences: t(0.975, 11) = 2.201, s / sqrt(12) = 0.1892 (a plain
    # percentile interval would be narrower by sqrt(11 / 12) * 1.960 / 2.201 = 0.85)
    _, low, high = stats.paired_bootstrap(np.linspace(-1, 1, 12), np.zeros(12), seed=0)
    assert (high - low) / 2 == pytest.approx(2.201 * 0.1892, rel=0.04)


def test_bootstrap_of_many_items_has_the_normal_width_too():
    # 1,000 items, a quarter better by one: the normal interval of the mean is 1.96 * 0.01369
    better = np.arange(1_000) % 4 == 0
    _, low, high = stats.paired_bootstrap(better, np.zeros(1_000), seed=0)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.01369, rel=0.03)


def test_bootstrap_of_single_item_clusters_equals_the_bootstrap_of_items():
    a, b = np.arange(60) % 3 > 0, np.arange(60) % 2 > 0
    single = stats.paired_bootstrap(a, b, seed=2, clusters=np.arange(60))
    assert single == stats.paired_bootstrap(a, b, seed=2)


def test_duplicates_in_one_cluster_do_not_change_the_bootstrap():
    a, b = np.arange(60) % 3 > 0, np.arange(60) % 2 > 0
    twice = stats.paired_bootstrap(
        np.repeat(a, 2), np.repeat(b, 2), seed=2, clusters=np.repeat(np.arange(60), 2)
    )
    assert twice == stats.paired_bootstrap(a, b, seed=2)


def test_bootstrap_resamples_clusters_and_averages_over_items():
    # one item better by 1, and three equal: the resampled means are 1, (1 + 0) / 4 or 0
    resampled = {
        stats.paired_bootstrap([1, 1, 1, 1], [0, 1, 1, 1], seed, 1, clusters=["a", "b", "b", "b"])
        for seed in range(40)
    }
    assert resampled == {(0.25, 1.0, 1.0), (0.25, 0.25, 0.25), (0.25, 0.0, 0.0)}


def test_bootstrap_of_clusters_agrees_with_resampling_one_by_one():
    clusters = np.repeat(np.arange(30), 1 + np.arange(30) % 4)
    a, b = clusters % 3 > 0, np.arange(len(clusters)) % 4 > 0
    items = [np.flatnonzero(clusters == c) for c in range(30)]
    generator, slow = np.random.default_rng(11), []
    for _ in range(4_000):
        sample = np.concatenate([items[c] for c in generator.integers(0, 30, size=30)])
        slow.append(a[sample].mean() - b[sample].mean())
    expected = (a.mean() - b.mean(), *np.quantile(slow, [0.025, 0.975]))
    # a limit's standard error is about 0.005; without clusters the limits are 0.05 further in
    result = stats.paired_bootstrap(a, b, seed=0, clusters=clusters)
    assert result == pytest.approx(expected, abs=0.02)


def test_bootstrap_of_a_single_cluster_has_no_limits():
    difference, low, high = stats.paired_bootstrap([1, 1, 0], [0, 0, 0], 0, clusters=["a"] * 3)
    assert difference == pytest.approx(2 / 3)
    assert np.isnan([low, high]).all()


def test_cluster_labels_may_be_of_any_type():
    a, b = np.arange(12) % 3 > 0, np.arange(12) % 2 > 0
    named = stats.paired_bootstrap(a, b, seed=1, clusters=["x"] * 3 + ["a"] * 4 + ["m"] * 5)
    assert named == stats.paired_bootstrap(a, b, seed=1, clusters=[9] * 3 + [-1] * 4 + [5] * 5)


def test_permutation_counts_the_exchanges_that_are_as_extreme():
    # cluster sums 2, 1, -1: of the eight sums of +-2 +-1 +-1, |sum| >= 2 holds for 4 + 2 = 6
    a, b = [1, 1, 1, 0], [0, 0, 0, 1]
    assert stats.paired_permutation(a, b, ["x", "x", "y", "z"], seed=0) == 6 / 8


def test_permutation_of_single_items_is_close_to_mcnemar():
    a, b = np.arange(60) % 3 > 0, np.arange(60) % 2 > 0
    p = stats.paired_permutation(a, b, np.arange(60), seed=0)
    assert p == pytest.approx(stats.mcnemar_exact(a, b), abs=0.02)


def test_permutation_of_equal_runs_is_one():
    assert stats.paired_permutation([1, 0], [1, 0], ["x", "y"], seed=0) == 1.0


def test_permutation_repeats_with_its_seed():
    a, b = np.arange(90) % 3 > 0, np.arange(90) % 2 > 0
    groups = np.arange(90) // 3
    first = stats.paired_permutation(a, b, groups, seed=1)
    assert first == stats.paired_permutation(a, b, groups, seed=1)
