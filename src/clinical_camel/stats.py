"""Intervals, tests and calibration of scores; thin over scipy, numpy and statsmodels.

A published score comes without its single answers, so it can only be compared by its interval and
by `unpaired`. Two runs of ours on the same items are paired, and the paired test sees smaller
differences. Questions on one passage or one condition are not independent: `clusters` says which
belong together (Miller 2024, arXiv:2411.00640). How often each interval holds the truth and each
test errs is in benchmarks/results/stats_coverage.csv.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm, permutation_test, t
from statsmodels.regression.linear_model import OLS
from statsmodels.stats import proportion  # whole: pytest would collect its test_proportions_2indep
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

CHUNK = 1_000  # bootstrap resamples drawn at a time, which bounds the memory


def wilson(correct: float, total: float, level: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a proportion, from 0 to 1.

    Wilson, not the normal interval: a subject of MMLU has some 100 questions, and near 0 or 1 the
    normal interval leaves the unit range. Without any question (total 0) nothing is known, and the
    interval is (0, 1). The counts may be fractions, as the worth of clusters is. ValueError unless
    0 <= correct <= total.

    The figures are those of Newcombe 1998 (Statistics in Medicine 17:857), Table I, method 3:

    >>> [round(x, 4) for x in wilson(81, 263)], [round(x, 4) for x in wilson(0, 20)]
    ([0.2553, 0.3662], [0.0, 0.1611])
    """
    if not 0 <= correct <= total:
        raise ValueError(f"correct is 0 to total, is {correct} of {total}")
    if total == 0:
        return 0.0, 1.0
    low, high = proportion.proportion_confint(correct, total, alpha=1 - level, method="wilson")
    # At the ends the limit is exact by the formula; the floats miss it by 1e-16.
    return float(low) if correct else 0.0, float(high) if correct < total else 1.0


def mcnemar_exact(a: ArrayLike, b: ArrayLike) -> float:
    """The two-sided exact McNemar p value of two runs on the same items (True: right).

    Only items that one run has right and the other wrong count. If there is none, p is 1.
    ValueError unless both are of one length and hold truth values.

    The example of the vignette "exactMcNemar" of the R package exact2x2: 44 pairs, of which 9 and
    2 differ, so p is 2 * (1 + 11 + 55) / 2**11.

    >>> a = [True] * 21 + [True] * 9 + [False] * 2 + [False] * 12
    >>> b = [True] * 21 + [False] * 9 + [True] * 2 + [False] * 12
    >>> round(mcnemar_exact(a, b), 5)
    0.06543
    """
    first, second = _pairs(a, b)
    if first.dtype != bool or second.dtype != bool:
        raise ValueError("mcnemar_exact needs truth values: was each item answered rightly?")
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(~first & second))
    return float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue)


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's adjusted p values, in the order given; none gives none.

    Of several benchmarks some difference is below 0.05 by chance. Below 0.05 after the adjustment,
    the chance of even one false claim is 5 %, whether or not the benchmarks depend on each other
    (Holm 1979, Scandinavian Journal of Statistics 6:65). ValueError unless p is a row of
    probabilities; NaN is not left out, since that would hide that a test was made.

    The example of Wikipedia's "Holm-Bonferroni method", where the first and last are below 0.05:

    >>> [round(x, 3) for x in holm([0.01, 0.04, 0.03, 0.005]).tolist()]
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p, dtype=float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p is a row of probabilities from 0 to 1, without NaN")
    return multipletests(values, method="holm")[1]


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    seed: int,
    resamples: int = 10_000,
    clusters: ArrayLike | None = None,
) -> tuple[float, float, float]:
    """The mean of a - b over the same items, and its 95 % percentile bootstrap interval.

    Items are drawn with replacement, each with both its values; with `clusters`, one label an
    item, whole clusters are drawn, and the mean is still that over the items drawn (a ratio).
    Because only sum and size matter, the number of times each different pair of them is drawn is
    drawn at once (multinomial): the same distribution as drawing items, and fast for
    right-or-wrong scores, which have only three differences. The quantiles are taken a little
    further out, as the t interval of so few items or clusters is wider than the normal one (the
    "expanded" interval of Hesterberg 2015, The American Statistician 69:371). Of one nothing is
    known, and the limits are NaN. ValueError for unequal lengths, no item, a value that is no
    number, or an item without a label.

    Ten items, all better by one: every resample says the same.

    >>> paired_bootstrap([1] * 10, [0] * 10, seed=0)
    (1.0, 1.0, 1.0)
    """
    first, second = _pairs(a, b)
    differences = first.astype(float) - second.astype(float)
    if not np.isfinite(differences).all():
        raise ValueError("paired_bootstrap needs numbers, not NaN or infinity")
    if resamples < 1:
        raise ValueError(f"resamples is at least 1, is {resamples}")
    sums, sizes = differences, np.ones(len(differences))
    if clusters is not None:
        codes = _codes(clusters, len(differences))
        sums, sizes = np.bincount(codes, weights=differences), np.bincount(codes).astype(float)
    count = len(sums)
    if count == 1:
        return float(differences.mean()), np.nan, np.nan
    kinds, counts = np.unique(np.column_stack([sums, sizes]), axis=0, return_counts=True)
    sums, sizes = kinds.T.copy()  # of each kind of cluster
    generator = np.random.default_rng(seed)
    means = []
    for size in _chunks(resamples):
        drawn = generator.multinomial(counts.sum(), counts / counts.sum(), size=size)
        means.append((drawn @ sums) / (drawn @ sizes))
    tail = norm.cdf(t.ppf(0.025, count - 1) * np.sqrt(count / (count - 1)))
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(differences.mean()), float(low), float(high)


def paired_permutation(
    a: ArrayLike, b: ArrayLike, clusters: ArrayLike, seed: int, resamples: int = 9_999
) -> float:
    """The two-sided p of a mean difference over items in clusters, which are exchanged whole.

    If the two runs did not differ, each cluster's results could as well be the other run's (Fisher
    1935, The Design of Experiments). All exchanges where there are no more than `resamples`, else
    that many drawn ones. McNemar's test takes the items for independent and is wrong here far too
    often (benchmarks/results/stats_coverage.csv). ValueError as in `paired_bootstrap`.

    Three clusters, all better: of the eight exchanges the two extreme ones are as far out.

    >>> paired_permutation([1, 1, 1, 1], [0, 0, 0, 0], ["x", "x", "y", "z"], seed=0)
    0.25
    """
    first, second = _pairs(a, b)
    codes = _codes(clusters, len(first))
    sums = [np.bincount(codes, weights=each.astype(float)) for each in (first, second)]
    if len(sums[0]) == 1 or np.array_equal(*sums):
        return 1.0
    found = permutation_test(
        sums,
        lambda x, y, axis: (x - y).sum(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def clustered_interval(
    values: ArrayLike, clusters: ArrayLike, level: float = 0.95
) -> tuple[float, float]:
    """The interval of an accuracy whose items come in clusters.

    Wilson's, for as many items as the clusters are worth: n over the design effect, whose error is
    the cluster-robust one of a mean (Miller 2024) with the correction G / (G - 1) of G clusters;
    and the quantile of t with G - 1 degrees of freedom (both: Cameron and Miller 2015, Journal of
    Human Resources 50:317). Wilson's form because it holds near 0 and 1 as well, where mean plus
    and minus an error does not (Dean and Pagano 2015, Journal of Survey Statistics and Methodology
    3:484; benchmarks/results/stats_coverage.csv). Where all clusters have the same accuracy, as when all is
    right, the G clusters are taken for G answers. Of one cluster nothing is known: (0, 1).
    ValueError unless every value is from 0 to 1 and every item has a label.

    Two clusters of two, one all right and one all wrong, are worth one answer, and t has one degree
    of freedom: nothing is known. All right in 10 clusters is Wilson's 10 of 10, whatever the number
    of items:

    >>> [round(end, 2) for end in clustered_interval([1, 1, 0, 0], ["a", "a", "b", "b"])]
    [0.0, 1.0]
    >>> clustered_interval([1] * 20, list(range(10)) * 2) == wilson(10, 10)
    True
    """
    scores, codes = _clustered(values, clusters)
    count, n, mean = int(codes.max()) + 1, len(scores), float(scores.mean())
    if count == 1:
        return 0.0, 1.0
    residuals = np.bincount(codes, weights=scores - mean)
    if np.allclose(residuals, 0):
        return wilson(mean * count, count, level)
    variance = (residuals**2).sum() / n**2 * count / (count - 1)
    quantile = float(t.isf((1 - level) / 2, count - 1))
    worth = mean * (1 - mean) / variance * (norm.isf((1 - level) / 2) / quantile) ** 2
    return wilson(mean * worth, worth, level)


def design_effect(values: ArrayLike, clusters: ArrayLike) -> float:
    """How many times larger clustering makes the variance of the mean (Kish 1965, Survey Sampling).

    n items are worth n / design_effect independent ones. About 1 + (m - 1) * r for clusters of m
    items with correlation r; below 1 where the items of a cluster differ more than chance has it.
    NaN where it is not defined: one cluster, or all values the same. ValueError unless every value
    is from 0 to 1 and every item has a label.

    By hand: the robust variance is 0.25, the independent one (1 / 3) / 4.

    >>> round(design_effect([1, 1, 0, 0], ["a", "a", "b", "b"]), 6)
    3.0
    """
    scores, codes = _clustered(values, clusters)
    if not np.ptp(scores) or not np.ptp(codes):
        return np.nan
    model = OLS(scores, np.ones(len(scores)))
    robust = model.fit(cov_type="cluster", cov_kwds={"groups": codes})
    return float((robust.bse[0] / model.fit().bse[0]) ** 2)


def detectable_difference(
    n: int, discordant: float = 0.25, power: float = 0.8, level: float = 0.05
) -> float:
    """The smallest difference in accuracy that a paired test of n items sees with this power.

    `discordant` is the share of items that one run has right and the other wrong. The normal
    approximation (z_level/2 + z_power) * sqrt(discordant / n): Connor 1987 (Biometrics 43:207) with
    the variance of no difference in both places. His own sqrt(discordant - difference**2) at
    z_power promises a little more, which the exact test does not keep: at the difference given
    here, with a quarter discordant, its power is 0.77 to 0.82 for 40 to 4,183 items. NaN where this
    difference exceeds `discordant`, the largest there can be: none is seen that surely. ValueError
    for an n below 1 or a share outside 0 to 1.

    The 1,273 questions of MedQA see 3.9 points:

    >>> round(100 * detectable_difference(1273), 1)
    3.9
    """
    if n < 1:
        raise ValueError(f"n is at least 1, is {n}")
    if not 0 < discordant <= 1:
        raise ValueError(f"discordant is above 0 and at most 1, is {discordant}")
    if not 0 < level < power < 1:
        raise ValueError(f"0 < level < power < 1, not level {level} and power {power}")
    difference = (norm.isf(level / 2) + norm.ppf(power)) * np.sqrt(discordant / n)
    return float(difference) if difference <= discordant else np.nan


def detectable_unpaired(
    share: float, n_a: int, n_b: int, power: float = 0.8, level: float = 0.05
) -> float:
    """The difference that two accuracies near `share`, on other items, show with this power.

    (z_level/2 + z_power) standard errors, the normal approximation. Two runs on the 1,273 questions
    of MedQA, near 60 %, if nothing is known of their single answers:

    >>> round(100 * detectable_unpaired(0.6, 1273, 1273), 1)
    5.4
    """
    error = np.sqrt(share * (1 - share) * (1 / n_a + 1 / n_b))
    return float((norm.isf(level / 2) + norm.ppf(power)) * error)


def unpaired(
    correct_a: int, n_a: int, correct_b: int, n_b: int
) -> tuple[float, float, float, float]:
    """Two accuracies on different or unknown items: a - b, its 95 % interval, two-sided p.

    For a published score, of which no single answer is known. Newcombe's hybrid score interval
    (1998, Statistics in Medicine 17:873, method 10) and the score test of Miettinen and Nurminen
    1985, because the two hardly ever disagree. Fisher's exact test contradicts the interval in 1 to
    2 of 100 comparisons of equal models (40 to 300 items), and errs in 3 to 4 of 100 where 5 are
    allowed. All right or all wrong on both sides is p = 1. ValueError unless
    0 <= correct <= n and n is at least 1.

    Newcombe's Table II, (b) and (h):

    >>> [round(x, 4) for x in unpaired(9, 10, 3, 10)[:3]]
    [0.6, 0.1705, 0.809]
    >>> [round(x, 4) for x in unpaired(10, 10, 0, 10)[:3]]
    [1.0, 0.6075, 1.0]
    """
    for name, correct, n in (("a", correct_a, n_a), ("b", correct_b, n_b)):
        if not 0 <= correct <= n or n < 1:
            raise ValueError(f"correct_{name} is 0 to n_{name}, is {correct} of {n}")
    counts = (correct_a, n_a, correct_b, n_b)
    low, high = proportion.confint_proportions_2indep(*counts, method="newcomb")
    p = 1.0
    if 0 < correct_a + correct_b < n_a + n_b:
        with np.errstate(divide="ignore"):  # statsmodels works out the ratios as well
            _, p = proportion.test_proportions_2indep(*counts, method="score", return_results=False)
    return correct_a / n_a - correct_b / n_b, float(low), float(high), float(p)


def calibration(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> pd.DataFrame:
    """A row a bin of confidence: low, high, n, and the mean confidence and accuracy in it.

    Equal bins over 0 to 1, each closed above and open below, save the first, which holds 0 as well
    (Guo et al. 2017, arXiv:1706.04599). An empty bin has n = 0 and NaN.
    ValueError unless confidence is from 0 to 1, correct is true or false and bins is at least 1.

    >>> calibration([0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1], bins=2).round(3)
       low  high  n  confidence  accuracy
    0  0.0   0.5  2       0.250       0.0
    1  0.5   1.0  3       0.683       1.0
    """
    sure, right = _confidences(confidence, correct)
    if bins < 1:
        raise ValueError(f"bins is at least 1, is {bins}")
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.maximum(np.searchsorted(edges, sure, side="left") - 1, 0)
    n = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
        means = [np.bincount(bin_of, weights=x, minlength=bins) / n for x in (sure, right)]
    return pd.DataFrame(
        {"low": edges[:-1], "high": edges[1:], "n": n, "confidence": means[0], "accuracy": means[1]}
    )


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """The mean distance of confidence and accuracy over the bins of `calibration`, weighted by n.

    It is never negative, so few items in many bins give a positive value even for a calibrated
    model; compare only values of one n and one number of bins. Errors as in `calibration`.

    The example of torchmetrics' BinaryCalibrationError:

    >>> confidence, correct = [0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1]
    >>> round(expected_calibration_error(confidence, correct, bins=2), 4)
    0.29
    """
    table = calibration(confidence, correct, bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["n"]).sum() / table["n"].sum())


def brier(confidence: ArrayLike, correct: ArrayLike) -> float:
    """The mean of (confidence - correct)**2: 0 is best, and 0.25 is what always 0.5 earns.

    Unlike the calibration error it needs no bins, and also rewards telling right from wrong.
    ValueError unless confidence is from 0 to 1 and correct is true or false.

    The example of scikit-learn's brier_score_loss:

    >>> round(brier([0.1, 0.9, 0.8, 0.3], [0, 1, 1, 0]), 4)
    0.0375
    """
    sure, right = _confidences(confidence, correct)
    return float(np.mean((sure - right) ** 2))


def _pairs(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(a), np.asarray(b)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise ValueError(f"two equally long rows of values, not {first.shape} and {second.shape}")
    return first, second


def _chunks(total: int) -> list[int]:
    return [CHUNK] * (total // CHUNK) + [total % CHUNK] * (total % CHUNK > 0)


def _codes(clusters: ArrayLike, count: int) -> np.ndarray:
    given = np.asarray(clusters)
    if given.shape != (count,):
        raise ValueError(f"clusters is one label an item: {count} items, labels {given.shape}")
    codes, labels = pd.factorize(given)
    if (codes < 0).any() or "" in labels.tolist():
        raise ValueError("clusters has an item without a label; one that stands alone takes its id")
    return codes


def _clustered(values: ArrayLike, clusters: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    scores = np.asarray(values, dtype=float)
    if scores.ndim != 1 or not scores.size or not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("values is a row of numbers from 0 to 1, at least one, without NaN")
    return scores, _codes(clusters, len(scores))


def _confidences(confidence: ArrayLike, correct: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    sure, right = (np.asarray(x, dtype=float) for x in _pairs(confidence, correct))
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError("confidence is from 0 to 1, without NaN")
    if not np.isin(right, [0, 1]).all():
        raise ValueError("correct is true or false: was each item answered rightly?")
    return sure, right
