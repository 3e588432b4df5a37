"""The mean of a table of conditions by seeds, both drawn at random, with its uncertainty.

Another set of diseases and another training would give another result, so both are resampled. In a
plain bootstrap of rows and columns, the noise of single answers counts three times (Owen 2007, The
Annals of Applied Statistics 1:386) and five seeds look too alike. Here the effects of conditions,
seeds and single cells are resampled separately. First they are scaled to unbiased variance
components: the reflated residual bootstrap of Carpenter, Goldstein and Rasbash (2003, Applied
Statistics 52:431). Radiologists who read the same images are analysed in the same way (multi-reader
multi-case studies; Hillis 2007, Statistics in Medicine 26:596).
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

LEVEL = 0.95
CHUNK = 1_000  # resamples at a time, which bounds the memory


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its 95 % interval, standard error and degrees of freedom.

    `sd_conditions`, `sd_seeds`: standard deviations of the true effects of conditions and seeds;
    `sd_cells`: of what is left. `sd_seeds` and its part of `error` are 0 for a single seed.
    """

    mean: float
    low: float
    high: float
    error: float
    df: float
    sd_conditions: float
    sd_seeds: float
    sd_cells: float


def estimate_mean(
    sums: np.ndarray, sizes: np.ndarray, seed: int, resamples: int = 10_000
) -> Estimate:
    """Return the mean over questions and its interval; conditions and seeds are resampled.

    `sums`: conditions by seeds, the sum of a score over the questions of the condition. `sizes`:
    the number of questions of each condition. The mean is a ratio of sums, so its error comes from
    the residuals of each condition, as in `stats.paired_bootstrap`. The quantiles of the resamples
    are expanded as the t interval is wider than the normal one. So the interval has the error and
    the degrees of freedom of the tests below; only skewed effects can make it disagree with them.
    The limits are NaN for a single condition. Raises ValueError if the shapes do not fit or a value
    is not a number.

    Every condition gains one in both seeds, so every resample has the same mean:

    >>> estimate_mean(np.full((4, 2), 3.0), np.full(4, 3), seed=0).mean
    1.0
    """
    sums, sizes = np.asarray(sums, float), np.asarray(sizes, float)
    if sums.ndim != 2 or sums.size == 0 or sizes.shape != sums.shape[:1]:
        raise ValueError(f"sums {sums.shape} and sizes {sizes.shape} do not fit")
    if not np.isfinite(sums).all() or not (sizes > 0).all():
        raise ValueError("sums must be finite numbers, and every size must be above 0")
    mean = float(sums.sum() / (sizes.sum() * sums.shape[1]))
    if len(sums) == 1:
        return Estimate(mean, *[np.nan] * 7)
    groups, variances, error, df = _split(sums, sizes, mean)
    quantile = norm.isf((1 - LEVEL) / 2)
    factor = t.isf((1 - LEVEL) / 2, df) / quantile
    drawn = _resample(groups, variances, np.random.default_rng(seed), resamples)
    low, high = np.quantile(drawn, [norm.cdf(-quantile), norm.cdf(quantile)])
    limits = mean + factor * low, mean + factor * high
    return Estimate(mean, *map(float, (*limits, error, df, *np.sqrt(variances))))


def _split(
    sums: np.ndarray, sizes: np.ndarray, mean: float
) -> tuple[list[np.ndarray], list[float], float, float]:
    """Return a two-way table's effects, variance components, and error and df of its mean.

    Effects and components are of conditions, of seeds and of cells. The components are those of the
    analysis of variance, at least 0. The degrees of freedom are those of Satterthwaite (1946,
    Biometrics Bulletin 2:110) for the components that are above 0.
    """
    count, seeds = sums.shape
    residuals = (sums - mean * sizes[:, None]) / sizes.mean()
    by_condition, by_seed = residuals.mean(1), residuals.mean(0)
    cells = residuals - by_condition[:, None] - by_seed
    square_conditions = seeds * np.sum(by_condition**2) / (count - 1)
    groups = [by_condition, by_seed, cells.ravel()]
    if seeds == 1:
        parts = [square_conditions, 0.0, 0.0]
        return groups, parts, (square_conditions / count) ** 0.5, count - 1
    square_seeds = count * np.sum(by_seed**2) / (seeds - 1)
    square_cells = np.sum(cells**2) / ((count - 1) * (seeds - 1))
    parts = [max(square_conditions - square_cells, 0.0) / seeds]
    parts += [max(square_seeds - square_cells, 0.0) / count, square_cells]
    variance = parts[0] / count + parts[1] / seeds + parts[2] / (count * seeds)
    terms = [(square_conditions, count - 1)] * bool(parts[0] > 0)
    terms += [(square_seeds, seeds - 1)] * bool(parts[1] > 0)
    if len(terms) != 1:  # with one component, its mean square is the complete variance
        terms += [(square_cells, (count - 1) * (seeds - 1))]
    spread = sum(square**2 / df for square, df in terms)
    df = (variance * count * seeds) ** 2 / spread if spread else count - 1
    return groups, parts, variance**0.5, df


def _resample(
    groups: list[np.ndarray], variances: list[float], generator: np.random.Generator, resamples: int
) -> np.ndarray:
    """Return `resamples` deviations of the mean, from effects scaled to their variances."""
    drawn = np.zeros(resamples)
    for effect, variance in zip(groups, variances, strict=True):
        square = np.mean(effect**2)
        if not square or not variance:
            continue
        scaled = effect * np.sqrt(variance / square)
        for start in range(0, resamples, CHUNK):
            part = drawn[start : start + CHUNK]
            part += generator.choice(scaled, (len(part), len(scaled))).mean(1)
    return drawn


def compute_p_difference(estimate: Estimate) -> float:
    """Return the two-sided p-value of a mean of 0: a t test with the error of the estimate."""
    if not estimate.error:
        return float(estimate.mean == 0)
    return float(2 * t.sf(abs(estimate.mean) / estimate.error, estimate.df))


def compute_p_equivalence(estimate: Estimate, smallest_effect: float) -> float:
    """Return the p-value of the hypothesis that the effect is at least `smallest_effect`.

    Two one-sided t tests, of which the larger p counts (Schuirmann 1987, Journal of
    Pharmacokinetics and Biopharmaceutics 15:657). Below 0.05, the 90 % interval lies within plus
    and minus `smallest_effect`: an effect of that size is ruled out. Without any variance, as in
    two copies of one model, nothing is ruled out: p is 1.
    """
    if not estimate.error:
        return 1.0
    return float(t.sf((smallest_effect - abs(estimate.mean)) / estimate.error, estimate.df))
