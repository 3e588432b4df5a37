"""Tests of McNemar's test, the paired bootstrap and the permutation test in stats."""

import numpy as np
import pytest

from clinical_camel import stats


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [  # 1 against 5 differ: p = 2 * (C(6,0) + C(6,1)) / 2**6 = 14 / 64
        (5, 1, 14 / 64),
        (1, 5, 14 / 64),
        (10, 0, 2 / 2**10),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_counts_only_discordant_items(only_a, only_b, p):
    a = [True] * only_a + [False] * only_b + [True] * 94
    b = [False] * only_a + [True] * only_b + [True] * 94
    assert stats.mcnemar_exact(a, b) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "problem"),
    [([], [], "equal length"), ([1, 0], [1, 0, 1], r"\(2,\), \(3,\)"), ([np.nan], [1], "NaN")],
)
def test_paired_tests_reject_unusable_runs(a, b, problem):
    with pytest.raises(ValueError, match=problem):
        stats.paired_bootstrap(a, b, seed=0)


def test_mcnemar_rejects_numbers():
    with pytest.raises(ValueError, match="booleans"):
        stats.mcnemar_exact([1, 0], [0, 1])


@pytest.mark.parametrize(
    "clusters",
    [np.arange(50), np.repeat(np.arange(30), 1 + np.arange(30) % 4)],
    ids=["items", "clusters of 1 to 4"],
)
def test_bootstrap_agrees_with_resampling_one_by_one(clusters):
    a, b = clusters % 3 > 0, np.arange(len(clusters)) % 4 > 1
    count = clusters.max() + 1
    items = [np.flatnonzero(clusters == c) for c in range(count)]
    generator, slow = np.random.default_rng(11), []
    for _ in range(4_000):
        sample = np.concatenate([items[c] for c in generator.integers(0, count, size=count)])
        slow.append(a[sample].mean() - b[sample].mean())
    expected = (a.mean() - b.mean(), *np.quantile(slow, [0.025, 0.975]))
    # a limit's standard error is about 0.005; without clusters the limits are 0.05 further in
    result = stats.paired_bootstrap(a, b, seed=0, clusters=clusters)
    assert result == pytest.approx(expected, abs=0.021)


@pytest.mark.parametrize(
    ("differences", "half_width"),
    [  # 12 evenly spread: t(0.975, 11) = 2.201, s / sqrt(12) = 0.1892 (a plain percentile
        # interval would be narrower by sqrt(11 / 12) * 1.960 / 2.201 = 0.85)
        (np.linspace(-1, 1, 12), 2.201 * 0.1892),
        # a quarter of 1,000 better by one: the normal interval
        (np.arange(1_000) % 4 == 0, 1.96 * 0.01369),
    ],
    ids=["few items", "many items"],
)
def test_bootstrap_is_as_wide_as_the_t_interval(differences, half_width):
    _, low, high = stats.paired_bootstrap(differences, np.zeros(len(differences)), seed=0)
    assert (high - low) / 2 == pytest.approx(half_width, rel=0.04)


A, B = np.arange(90) % 3 > 0, np.arange(90) % 2 > 0


def test_bootstrap_and_permutation_depend_on_their_seed_only():
    a, b, clusters = np.linspace(0, 1, 90), np.linspace(1, 0, 90) ** 2, np.arange(90) // 3
    for test in (stats.paired_bootstrap, stats.paired_permutation):
        first, again, other = (test(a, b, clusters=clusters, seed=seed) for seed in (1, 1, 2))
        assert first == again != other


@pytest.mark.parametrize("copies", [1, 2])
def test_duplicates_in_one_cluster_do_not_change_the_bootstrap(copies):
    a, b, clusters = (np.repeat(x, copies) for x in (A, B, np.arange(90)))
    clustered = stats.paired_bootstrap(a, b, seed=2, clusters=clusters)
    assert clustered == stats.paired_bootstrap(A, B, seed=2)


def test_bootstrap_resamples_clusters_and_averages_over_items():
    # one item better by 1, and three equal: the resampled means are 1, (1 + 0) / 4 or 0
    resampled = {
        stats.paired_bootstrap([1, 1, 1, 1], [0, 1, 1, 1], seed, 1, clusters=["a", "b", "b", "b"])
        for seed in range(40)
    }
    assert resampled == {(0.25, 1.0, 1.0), (0.25, 0.25, 0.25), (0.25, 0.0, 0.0)}


def test_bootstrap_of_a_single_cluster_has_no_limits():
    difference, low, high = stats.paired_bootstrap([1, 1, 0], [0, 0, 0], 0, clusters=["a"] * 3)
    assert difference == pytest.approx(2 / 3)
    assert np.isnan([low, high]).all()


def test_permutation_counts_the_exchanges_that_are_as_extreme():
    # cluster sums 2, 1, -1: of the eight sums of +-2 +-1 +-1, |sum| >= 2 holds for 4 + 2 = 6
    a, b = [1, 1, 1, 0], [0, 0, 0, 1]
    assert stats.paired_permutation(a, b, ["x", "x", "y", "z"], seed=0) == 6 / 8
    assert stats.paired_permutation(a, a, ["x", "x", "y", "z"], seed=0) == 1.0


def test_permutation_of_single_items_is_close_to_mcnemar():
    p = stats.paired_permutation(A, B, np.arange(90), seed=0)
    assert p == pytest.approx(stats.mcnemar_exact(A, B), abs=0.02)


# -------------------------------------------------------------------------------- two raters


def test_kappa_agrees_with_the_published_example():
    """Fleiss, Levin and Paik 2003, table 18.1: 100 cases, kappa 0.676 by hand."""
    counts = {"aa": 75, "ab": 1, "ac": 4, "ba": 5, "bb": 4, "bc": 1, "cc": 10}
    first, second = ([pair[i] for pair, n in counts.items() for _ in range(n)] for i in (0, 1))
    result = stats.measure_kappa(first, second, ["a", "b", "c"])
    assert (result["n"], result["observed_agreement"]) == (100, 0.89)
    assert round(result["kappa"], 3) == 0.676
    assert result["low"] < result["kappa"] < result["high"] < 1


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [(["a"], [], "equal length"), ([], [], "equal length"), (["a"], ["x"], "'x' is not one of a")],
)
def test_kappa_rejects_what_cannot_be_compared(first, second, message):
    with pytest.raises(ValueError, match=message):
        stats.measure_kappa(first, second, ["a", "b"])


def test_kappa_without_variation_is_nan():
    assert np.isnan(stats.measure_kappa(["a"] * 3, ["a"] * 3, ["a", "b"])["kappa"])


def test_the_interval_of_kappa_over_clusters_does_not_shrink_if_every_item_is_repeated():
    """Ten copies of each item in its cluster carry no new information."""
    first = ["a", "a", "b", "b", "a", "b", "a", "b", "a", "b"]
    second = ["a", "a", "b", "a", "a", "b", "b", "b", "a", "b"]
    labels = list(range(10))
    once = stats.measure_kappa(first, second, ["a", "b"], labels)
    often = stats.measure_kappa(first * 10, second * 10, ["a", "b"], labels * 10)
    independent = stats.measure_kappa(first * 10, second * 10, ["a", "b"])
    assert (often["low"], often["high"]) == pytest.approx((once["low"], once["high"]))
    assert often["high"] - often["low"] > 2 * (independent["high"] - independent["low"])
    assert often["low"] < often["kappa"] < often["high"]
