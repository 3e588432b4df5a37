"""Confidence intervals, tests and calibration of scores, built on scipy, numpy and statsmodels.

A published score comes without item-level answers, so it is compared by its interval and by
`compare_unpaired`. Two of our runs on the same items are paired, and a paired test detects smaller
differences. Questions on one passage or condition are not independent: `clusters` labels them
(Miller 2024, arXiv:2411.00640). Measured coverage of the intervals and error rates of the tests are
in benchmarks/results/stats_coverage.csv.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm, permutation_test, t
from statsmodels.stats import proportion  # pytest would collect its test_proportions_2indep
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests

LEVEL = 0.95  # of every interval
RESAMPLES = 10_000  # of a bootstrap, unless a caller says otherwise
CHUNK = 1_000  # bootstrap resamples at a time, which bounds the memory


def wilson_interval(correct: float, total: float) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, from 0 to 1.

    The normal interval would leave [0, 1] near its ends: a subject of MMLU has only about 100
    questions. The counts may be fractions (effective sample sizes). The interval is (0, 1) for
    total 0. Raises ValueError unless 0 <= correct <= total.

    The example is from Newcombe 1998 (Statistics in Medicine 17:857), Table I, method 3:

    >>> [round(x, 4) for x in wilson_interval(81, 263)]
    [0.2553, 0.3662]
    >>> [round(x, 4) for x in wilson_interval(0, 20)]
    [0.0, 0.1611]
    """
    if not 0 <= correct <= total:
        raise ValueError(f"correct must be from 0 to total, is {correct} of {total}")
    if total == 0:
        return 0.0, 1.0
    low, high = proportion.proportion_confint(correct, total, alpha=1 - LEVEL, method="wilson")
    # The formula is exact at the ends; floating point is off by 1e-16.
    return float(low) if correct else 0.0, float(high) if correct < total else 1.0


def mcnemar_exact(a: ArrayLike, b: ArrayLike) -> float:
    """Return the two-sided exact McNemar p-value of two runs on the same items (True: correct).

    Only discordant items count: one run is correct, the other is not. Without any, p is 1. Raises
    ValueError unless both are booleans of the same length.

    The example is from the vignette "exactMcNemar" of the R package exact2x2: 44 pairs, of which 9
    and 2 are discordant, so p is 2 * (1 + 11 + 55) / 2**11.

    >>> a = [True] * 21 + [True] * 9 + [False] * 2 + [False] * 12
    >>> b = [True] * 21 + [False] * 9 + [True] * 2 + [False] * 12
    >>> round(mcnemar_exact(a, b), 5)
    0.06543
    """
    first, second = _require_pairs(a, b)
    if first.dtype != bool or second.dtype != bool:
        raise ValueError("mcnemar_exact needs booleans: was each item answered correctly?")
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(~first & second))
    return float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue)


def adjust_holm(p: ArrayLike) -> np.ndarray:
    """Return Holm-adjusted p-values in the order of `p`.

    With several benchmarks, some p is below 0.05 by chance. If only adjusted values below 0.05
    count, the probability of any false claim is at most 5 %, even for dependent benchmarks (Holm
    1979, Scandinavian Journal of Statistics 6:65). Raises ValueError unless p is a list of
    probabilities. NaN is rejected, because dropping it would hide a test.

    The example is from Wikipedia's "Holm-Bonferroni method"; first and last are below 0.05:

    >>> [round(x, 3) for x in adjust_holm([0.01, 0.04, 0.03, 0.005]).tolist()]
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p, dtype=float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p must be a list of probabilities from 0 to 1, without NaN")
    return multipletests(values, method="holm")[1]


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    seed: int,
    resamples: int = RESAMPLES,
    clusters: ArrayLike | None = None,
) -> tuple[float, float, float]:
    """Return the mean of a - b over the same items and its 95 % percentile bootstrap interval.

    Items are resampled with replacement as pairs. With `clusters`, one label per item, clusters are
    resampled, and the mean is still taken over items (a ratio). Only sum and size of a cluster
    matter, so the counts of each distinct (sum, size) are sampled at once (multinomial): the same
    distribution as resampling items, and fast for binary scores. The quantiles are expanded as the
    t interval is wider than the normal one (Hesterberg 2015, The American Statistician 69:371). The
    limits are NaN for a single item or cluster. Raises ValueError for unequal lengths, no item, a
    value that is not a number, or an item without a label.

    Ten items, all better by one, so every resample has the same mean:

    >>> paired_bootstrap([1] * 10, [0] * 10, seed=0)
    (1.0, 1.0, 1.0)
    """
    first, second = _require_pairs(a, b)
    differences = first.astype(float) - second.astype(float)
    if not np.isfinite(differences).all():
        raise ValueError("paired_bootstrap needs numbers, not NaN or infinity")
    sums, sizes = differences, np.ones(len(differences))
    if clusters is not None:
        codes = _cluster_codes(clusters, len(differences))
        sums, sizes = np.bincount(codes, weights=differences), np.bincount(codes).astype(float)
    count = len(sums)
    if count == 1:
        return float(differences.mean()), np.nan, np.nan
    distinct, counts = np.unique(np.column_stack([sums, sizes]), axis=0, return_counts=True)
    sums, sizes = distinct.T.copy()
    generator = np.random.default_rng(seed)
    means = []
    for size in _chunks(resamples):
        drawn = generator.multinomial(counts.sum(), counts / counts.sum(), size=size)
        means.append((drawn @ sums) / (drawn @ sizes))
    return float(differences.mean()), *find_limits(np.concatenate(means), count)


def paired_permutation(
    a: ArrayLike, b: ArrayLike, clusters: ArrayLike, seed: int, resamples: int = 9_999
) -> float:
    """Return the two-sided p of a mean difference; the results of whole clusters are exchanged.

    If the two runs were equally good, each cluster's results could be swapped between them (Fisher
    1935, The Design of Experiments). All exchanges are computed if there are at most `resamples`,
    otherwise that many random ones. McNemar's test assumes independent items and is wrong here far
    too often (benchmarks/results/stats_coverage.csv). Raises ValueError as `paired_bootstrap`.

    Three clusters, all better: two of the eight exchanges are as extreme.

    >>> paired_permutation([1, 1, 1, 1], [0, 0, 0, 0], ["x", "x", "y", "z"], seed=0)
    0.25
    """
    first, second = _require_pairs(a, b)
    codes = _cluster_codes(clusters, len(first))
    sums = [np.bincount(codes, weights=scores.astype(float)) for scores in (first, second)]
    if len(sums[0]) == 1 or np.array_equal(*sums):
        return 1.0
    result = permutation_test(
        sums,
        lambda x, y, axis: (x - y).sum(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def clustered_interval(values: ArrayLike, clusters: ArrayLike) -> tuple[float, float]:
    """Return the confidence interval of an accuracy whose items come in clusters.

    This is the Wilson interval for the effective sample size: n over the design effect, with the
    cluster-robust error of a mean (Miller 2024), the correction G / (G - 1) for G clusters, and the
    t quantile with G - 1 degrees of freedom (Cameron and Miller 2015, Journal of Human Resources
    50:317). Wilson's form also covers near 0 and 1, where mean plus and minus an error does not
    (Dean and Pagano 2015, Journal of Survey Statistics and Methodology 3:484;
    benchmarks/results/stats_coverage.csv). If all clusters have the same accuracy, they count as G
    items. The interval of one cluster is (0, 1). Raises ValueError unless every value is from 0 to
    1 and every item has a label.

    Two clusters of two, one all correct and one all wrong, equal one item, and t has one degree of
    freedom. All correct in 10 clusters is Wilson's 10 of 10, for any number of items:

    >>> [round(end, 2) for end in clustered_interval([1, 1, 0, 0], ["a", "a", "b", "b"])]
    [0.0, 1.0]
    >>> clustered_interval([1] * 20, list(range(10)) * 2) == wilson_interval(10, 10)
    True
    """
    scores = np.asarray(values, dtype=float)
    if scores.ndim != 1 or not scores.size or not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("values must be numbers from 0 to 1, at least one, without NaN")
    codes = _cluster_codes(clusters, len(scores))
    count, n, mean = int(codes.max()) + 1, len(scores), float(scores.mean())
    if count == 1:
        return 0.0, 1.0
    residuals = np.bincount(codes, weights=scores - mean)
    if np.allclose(residuals, 0):
        return wilson_interval(mean * count, count)
    variance = (residuals**2).sum() / n**2 * count / (count - 1)
    quantile = float(t.isf((1 - LEVEL) / 2, count - 1))
    effective = mean * (1 - mean) / variance * (norm.isf((1 - LEVEL) / 2) / quantile) ** 2
    return wilson_interval(mean * effective, effective)


def measure_kappa(
    first: Sequence[str],
    second: Sequence[str],
    categories: Sequence[str],
    clusters: ArrayLike | None = None,
) -> dict[str, float]:
    """Return how two raters of the same items agree: n, observed_agreement, kappa, low and high.

    Cohen's kappa (1960) with the asymptotic 95 % interval of Fleiss, Cohen and Everitt 1969, by
    statsmodels, which is for independent items. With `clusters`, one label per item, clusters are
    resampled as in `paired_bootstrap`. Kappa is NaN if both gave every item the same rating: chance
    alone would agree as well. Raises ValueError for unequal lengths, no item, or a rating not in
    `categories`.

    >>> result = measure_kappa(["yes", "yes", "no", "no"], ["yes", "no", "no", "no"], ["yes", "no"])
    >>> result["n"], result["observed_agreement"], round(result["kappa"], 2)
    (4, 0.75, 0.5)
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"two lists of equal length are needed, not {len(first)}, {len(second)}")
    if unknown := sorted({*first, *second} - set(categories)):
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(categories)}")
    pairs = [pd.Categorical(ratings, categories) for ratings in (first, second)]
    counts = pd.crosstab(*pairs, dropna=False).to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0: no variation, kappa is NaN
        kappa = cohens_kappa(counts)
    result = {"n": int(counts.sum()), "observed_agreement": float(np.trace(counts) / counts.sum())}
    result["kappa"] = float(kappa.kappa)
    if clusters is None:
        return result | {"low": float(kappa.kappa_low), "high": float(kappa.kappa_upp)}
    cells = np.zeros((len(set(clusters)), *counts.shape))
    codes = _cluster_codes(clusters, len(first))
    np.add.at(cells, (codes, pairs[0].codes, pairs[1].codes), 1)
    low, high = _resample_kappa(cells)
    return result | {"low": low, "high": high}


def _resample_kappa(cells: np.ndarray) -> tuple[float, float]:
    """Return the bootstrap limits of kappa over clusters; `cells`: their counts, [n, k, k]."""
    count = len(cells)
    if count == 1:
        return np.nan, np.nan
    generator, kappas = np.random.default_rng(0), []
    for size in _chunks(RESAMPLES):
        drawn = generator.multinomial(count, np.full(count, 1 / count), size=size)
        shares = np.tensordot(drawn, cells, 1)
        shares /= shares.sum((1, 2), keepdims=True)
        expected = (shares.sum(1) * shares.sum(2)).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            kappas.append((np.trace(shares, axis1=1, axis2=2) - expected) / (1 - expected))
    return find_limits(np.concatenate(kappas), count)


def find_limits(values: np.ndarray, count: int) -> tuple[float, float]:
    """Return percentile limits of resampled values, as wide as t is for `count` clusters."""
    if np.isnan(values).all():
        return np.nan, np.nan
    tail = norm.cdf(t.ppf(0.025, count - 1) * np.sqrt(count / (count - 1)))
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def min_detectable_effect(n: float, discordant: float = 0.25, comparisons: int = 1) -> float:
    """Return the smallest true difference that a paired test of n items detects with 80 % power.

    `discordant` is the share of items on which only one run is correct. The normal approximation is
    (z_level/2 + z_power) * sqrt(discordant / n): Connor 1987 (Biometrics 43:207), but with the
    variance of no difference in both places. Connor's sqrt(discordant - difference**2) at z_power
    promises slightly more power than the exact test has. At the difference returned here, with a
    quarter discordant, its power is 0.77 to 0.82 for 40 to 4,183 items. The result is NaN if it
    exceeds `discordant`, the largest possible difference. With several `comparisons`, the level is
    0.05 divided by their number: that of the first step of Holm's adjustment. Raises ValueError for
    n below 1 or a share outside 0 to 1.

    The 1,273 questions of MedQA detect 3.9 points:

    >>> round(100 * min_detectable_effect(1273), 1)
    3.9
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, is {n}")
    if not 0 < discordant <= 1:
        raise ValueError(f"discordant must be above 0 and at most 1, is {discordant}")
    difference = (norm.isf(0.025 / comparisons) + norm.ppf(0.8)) * np.sqrt(discordant / n)
    return float(difference) if difference <= discordant else np.nan


def min_detectable_effect_unpaired(share: float, n_a: int, n_b: int) -> float:
    """Return the smallest true difference of two accuracies near `share` detected with 80 % power.

    The normal approximation: (z_level/2 + z_power) standard errors. For two runs near 60 % on the
    1,273 questions of MedQA, without item-level answers:

    >>> round(100 * min_detectable_effect_unpaired(0.6, 1273, 1273), 1)
    5.4
    """
    error = np.sqrt(share * (1 - share) * (1 / n_a + 1 / n_b))
    return float((norm.isf(0.025) + norm.ppf(0.8)) * error)


def compare_unpaired(
    correct_a: int, n_a: int, correct_b: int, n_b: int
) -> tuple[float, float, float, float]:
    """Compare accuracies on different or unknown items: a - b, its 95 % interval, two-sided p.

    For a published score without item-level answers. The interval is Newcombe's hybrid score
    interval (1998, Statistics in Medicine 17:873, method 10), the test is the score test of
    Miettinen and Nurminen 1985; the two almost never disagree. Fisher's exact test contradicts the
    interval in 1 to 2 of 100 comparisons of equal models (40 to 300 items), and errs in 3 to 4 of
    100, where 5 are allowed. p is 1 if both are all correct or all wrong. Raises ValueError unless
    0 <= correct <= n and n is at least 1.

    Newcombe's Table II, (b) and (h):

    >>> [round(x, 4) for x in compare_unpaired(9, 10, 3, 10)[:3]]
    [0.6, 0.1705, 0.809]
    >>> [round(x, 4) for x in compare_unpaired(10, 10, 0, 10)[:3]]
    [1.0, 0.6075, 1.0]
    """
    for name, correct, n in (("a", correct_a, n_a), ("b", correct_b, n_b)):
        if not 0 <= correct <= n or n < 1:
            raise ValueError(f"correct_{name} must be from 0 to n_{name}, is {correct} of {n}")
    counts = (correct_a, n_a, correct_b, n_b)
    low, high = proportion.confint_proportions_2indep(*counts, method="newcomb")
    p = 1.0
    if 0 < correct_a + correct_b < n_a + n_b:
        with np.errstate(divide="ignore"):  # statsmodels computes the ratios too
            _, p = proportion.test_proportions_2indep(*counts, method="score", return_results=False)
    return correct_a / n_a - correct_b / n_b, float(low), float(high), float(p)


def calibration_table(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Return one row per confidence bin: low, high, n, mean confidence and accuracy.

    The bins divide 0 to 1 equally; each includes its upper limit, the first also 0 (Guo et al.
    2017, arXiv:1706.04599). An empty bin has n = 0 and NaN. Raises ValueError unless confidence is
    from 0 to 1 and correct is true or false.

    >>> calibration_table([0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1], bins=2).round(3)
       low  high  n  confidence  accuracy
    0  0.0   0.5  2       0.250       0.0
    1  0.5   1.0  3       0.683       1.0
    """
    confidences, outcomes = (np.asarray(x, float) for x in _require_pairs(confidence, correct))
    if not ((confidences >= 0) & (confidences <= 1)).all():
        raise ValueError("confidence must be from 0 to 1, without NaN")
    if not np.isin(outcomes, [0, 1]).all():
        raise ValueError("correct must be true or false: was each item answered correctly?")
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.maximum(np.searchsorted(edges, confidences, side="left") - 1, 0)
    n = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
        means = [
            np.bincount(bin_of, weights=x, minlength=bins) / n for x in (confidences, outcomes)
        ]
    return pd.DataFrame(
        {"low": edges[:-1], "high": edges[1:], "n": n, "confidence": means[0], "accuracy": means[1]}
    )


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Return the mean gap of confidence and accuracy over the calibration bins, weighted by n.

    The value is never negative: few items in many bins give a positive value even for a calibrated
    model. Compare only values of equal n and equal bins. Raises ValueError as `calibration_table`.

    The example is from torchmetrics' BinaryCalibrationError:

    >>> confidence, correct = [0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1]
    >>> round(expected_calibration_error(confidence, correct, bins=2), 4)
    0.29
    """
    table = calibration_table(confidence, correct, bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["n"]).sum() / table["n"].sum())


def _require_pairs(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(a), np.asarray(b)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise ValueError(
            f"a and b must be lists of equal length, not {first.shape}, {second.shape}"
        )
    return first, second


def _chunks(total: int) -> list[int]:
    return [CHUNK] * (total // CHUNK) + [total % CHUNK] * (total % CHUNK > 0)


def _cluster_codes(clusters: ArrayLike, count: int) -> np.ndarray:
    labels = np.asarray(clusters)
    if labels.shape != (count,):
        raise ValueError(f"clusters needs one label per item: {count} items, labels {labels.shape}")
    codes, distinct = pd.factorize(labels)
    if (codes < 0).any() or "" in distinct.tolist():
        raise ValueError("clusters has an item without a label; a single item takes its id")
    return codes
