"""Tests of the two-way resampling: by hand, and by simulation with a known truth."""

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from clinical_camel import two_way

CONDITIONS, SEEDS, DATA_SETS = 50, 5, 400


def simulate(effect, sd_conditions, sd_seeds, seed):
    """Return an estimate of each of many simulated differences of two arms.

    Each condition has 1 to 6 questions; the difference in accuracy varies with condition and seed.
    """
    generator = np.random.default_rng(seed)
    estimates = []
    for _ in range(DATA_SETS):
        sizes = generator.integers(1, 7, CONDITIONS)
        base = np.clip(generator.normal(0.4, 0.12, CONDITIONS), 0.12, 0.8)[:, None]
        effects = effect + generator.normal(0, sd_conditions, CONDITIONS)[:, None]
        effects = effects + generator.normal(0, sd_seeds, SEEDS)
        counts = [
            generator.binomial(sizes[:, None], np.clip(base + sign * effects / 2, 0, 1))
            for sign in (1, -1)
        ]
        estimates.append(two_way.estimate_mean(counts[0] - counts[1], sizes, 0, resamples=300))
    return estimates


@pytest.mark.parametrize("sd_seeds", [0.0, 0.02, 0.06])
def test_the_interval_covers_the_truth_in_about_95_of_100_data_sets(sd_seeds):
    estimates = simulate(0.1, 0.1, sd_seeds, seed=1)
    coverage = np.mean([e.low <= 0.1 <= e.high for e in estimates])
    assert 0.92 <= coverage <= 0.985


def test_an_interval_over_conditions_alone_misses_the_truth_if_seeds_differ():
    generator = np.random.default_rng(2)
    hits, estimates = 0, []
    for _ in range(DATA_SETS):
        effects = generator.normal(0, 0.1, CONDITIONS)[:, None] + generator.normal(0, 0.1, SEEDS)
        scores = effects + generator.normal(0, 0.2, (CONDITIONS, SEEDS))
        estimates.append(two_way.estimate_mean(scores, np.ones(CONDITIONS), 0, 300))
        low, high = ttest_1samp(scores.mean(1), 0).confidence_interval()
        hits += low <= 0 <= high
    assert hits / DATA_SETS < 0.75
    assert np.mean([e.low <= 0 <= e.high for e in estimates]) > 0.92


def test_interval_and_test_have_one_error_and_rarely_disagree_about_zero():
    estimates = simulate(0.05, 0.1, 0.02, seed=7)
    halves = [t.isf(0.025, e.df) * e.error for e in estimates]
    widths = [(e.high - e.low) / 2 for e in estimates]
    assert np.mean(np.divide(widths, halves)) == pytest.approx(1, abs=0.03)
    excludes = [e.low > 0 or e.high < 0 for e in estimates]
    is_significant = [two_way.compute_p_difference(e) < 0.05 for e in estimates]
    assert 0.2 < np.mean(is_significant) < 0.8  # many are near the limit
    assert np.mean(np.not_equal(excludes, is_significant)) < 0.05


def test_p_is_below_5_percent_in_at_most_5_of_100_data_sets_without_an_effect():
    estimates = simulate(0.0, 0.1, 0.02, seed=3)
    errors = np.mean([two_way.compute_p_difference(e) < 0.05 for e in estimates])
    assert 0.01 <= errors <= 0.08


def test_equivalence_is_claimed_for_a_true_effect_of_the_limit_in_at_most_5_of_100_data_sets():
    estimates = simulate(0.05, 0.05, 0.0, seed=4)
    errors = np.mean([two_way.compute_p_equivalence(e, 0.05) < 0.05 for e in estimates])
    assert errors <= 0.08
    equal = simulate(0.0, 0.0, 0.0, seed=4)
    claims = np.mean([two_way.compute_p_equivalence(e, 0.1) < 0.05 for e in equal])
    assert claims > 0.9


def test_with_one_seed_the_interval_is_the_t_interval_over_conditions():
    scores = np.random.default_rng(5).normal(0.1, 0.2, (30, 1))
    estimate = two_way.estimate_mean(scores, np.ones(30), 0, 20_000)
    expected = ttest_1samp(scores[:, 0], 0).confidence_interval()
    assert estimate.df == 29
    assert (estimate.low, estimate.high) == pytest.approx(expected, abs=0.004)
    assert two_way.compute_p_difference(estimate) == pytest.approx(
        ttest_1samp(scores[:, 0], 0).pvalue
    )


def test_the_variance_components_are_those_of_the_analysis_of_variance():
    # two conditions and two seeds by hand: means 1 and 3 of rows, 1.5 and 2.5 of columns
    sums = np.array([[0.5, 1.5], [2.5, 3.5]])
    estimate = two_way.estimate_mean(sums, np.ones(2), 0)
    assert estimate.mean == 2
    assert (estimate.sd_conditions**2, estimate.sd_seeds**2) == pytest.approx((2.0, 0.5))
    assert estimate.error**2 == pytest.approx(2.0 / 2 + 0.5 / 2)


def test_the_mean_is_over_questions_not_conditions():
    sums, sizes = np.array([[6.0, 6.0], [0.0, 0.0]]), np.array([6, 2])
    assert two_way.estimate_mean(sums, sizes, 0).mean == 0.75


def test_one_condition_has_no_interval():
    assert np.isnan(two_way.estimate_mean(np.ones((1, 3)), np.ones(1), 0).low)


def test_two_copies_of_one_model_rule_nothing_out():
    estimate = two_way.estimate_mean(np.zeros((10, 3)), np.ones(10), 0)
    assert two_way.compute_p_equivalence(estimate, 0.05) == 1
    assert two_way.compute_p_difference(estimate) == 1


def test_equal_seeds_give_equal_results():
    sums = np.random.default_rng(6).normal(size=(10, 3))
    assert two_way.estimate_mean(sums, np.ones(10), 7) == two_way.estimate_mean(
        sums, np.ones(10), 7
    )


@pytest.mark.parametrize(
    ("sums", "sizes", "message"),
    [
        (np.ones(3), np.ones(3), "do not fit"),
        (np.ones((3, 2)), np.ones(2), "do not fit"),
        (np.full((3, 2), np.nan), np.ones(3), "finite"),
        (np.ones((3, 2)), np.zeros(3), "above 0"),
    ],
)
def test_tables_that_cannot_be_averaged_are_refused(sums, sizes, message):
    with pytest.raises(ValueError, match=message):
        two_way.estimate_mean(sums, sizes, 0)
