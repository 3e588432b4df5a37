"""Simulated coverage of the intervals in stats.py and error rates of its tests.

Each design simulates 10,000 data sets with a known truth, or 100,000 if only two counts matter. Its
rate is the share of 95 % intervals that cover the truth (aim: 93.5 to 96.5 %), the share of tests
at 5 % that detect a nonexistent difference (at most 5.5 %), or the power at the minimum detectable
effect (75 to 85 %). The standard error of a rate is 0.22 points for 10,000 data sets, of power 0.4.
Control rows use a wrong method on purpose and must miss their aim clearly. A row that misses its
aim stays in the table with a note.

Clusters have their own rate: Beta, or Dirichlet for pairs, with an intraclass correlation `icc`.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike

from clinical_camel import stats

REPETITIONS = 10_000
COUNTED = 100_000  # repetitions if only two counts matter: each pair is computed once
RESAMPLES = 1_000  # for clusters: 2,000 give 0.1 to 0.2 points more; for items the default, 10,000
SEEDS = 5  # per pair of counts, so that no single seed decides about a frequent pair
SEED = 0
CONDITIONS = np.repeat(np.arange(52), 6)  # as in mini_exam
SIZES = {
    "52 clusters of 6": CONDITIONS,
    "50 clusters of 1 to 9": np.repeat(np.arange(50), np.tile([1, 3, 5, 7, 9], 10)),
    "10 clusters of 6": CONDITIONS[:60],
}

AIMS = {
    "coverage": (0.935, 0.965),
    "error": (0.0, 0.055),
    "power": (0.75, 0.85),
    "control: coverage": (0.0, 0.90),
    "control: error": (0.10, 1.0),
}

Hits = Iterator[bool]
Simulation = Callable[[np.random.Generator, int], Hits]


# ------------------------------------------------------------------------------- simulated data


def simulate_answers(
    generator: np.random.Generator, clusters: np.ndarray, accuracy: float, icc: float
) -> np.ndarray:
    """Simulate correct or wrong answers; the accuracy of a cluster varies around `accuracy`."""
    spread = (1 - icc) / icc
    rates = generator.beta(accuracy * spread, (1 - accuracy) * spread, clusters.max() + 1)
    return generator.random(len(clusters)) < rates[clusters]


def simulate_counts(
    generator: np.random.Generator, repetitions: int, n: int, only_a: float, only_b: float
) -> list[list[int]]:
    """Simulate two runs on n independent items: (correct in a only, correct in b only)."""
    shares = [only_a, only_b, 1 - only_a - only_b]
    return generator.multinomial(n, shares, repetitions)[:, :2].tolist()


def simulate_runs(
    generator: np.random.Generator, clusters: np.ndarray, only_a: float, only_b: float, icc: float
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate two runs on clustered items; the shares of a cluster vary around those given."""
    shares = np.array([only_a, only_b, 1 - only_a - only_b]) * (1 - icc) / icc
    rates = generator.dirichlet(shares, clusters.max() + 1)[clusters]
    return split_runs(generator.random(len(clusters)), rates[:, 0], rates[:, 1])


def split_runs(
    u: np.ndarray, only_a: ArrayLike, only_b: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Return two runs from one number per item: only a correct, then only b correct, then both."""
    return (u < only_a) | (u >= only_a + only_b), u >= only_a


# ----------------------------------------------------------------------------- simulated methods


def covers(interval: tuple[float, float], truth: float) -> bool:
    """Whether the interval contains the true value, with tolerance for rounding at its ends."""
    return interval[0] - 1e-9 <= truth <= interval[1] + 1e-9


@cache
def exact_p(n: int, only_a: int, only_b: int) -> float:
    return stats.mcnemar_exact(*split_runs(np.arange(n), only_a, only_b))


@cache
def bootstrap_limits(
    n: int, only_a: int, only_b: int, resamples: int, index: int
) -> tuple[float, float]:
    a, b = split_runs(np.arange(n), only_a, only_b)
    seed = (only_a * n + only_b) * SEEDS + index
    return stats.paired_bootstrap(a, b, seed, resamples)[1:]


def wilson(generator: np.random.Generator, repetitions: int, n: int, accuracy: float) -> Hits:
    interval = cache(stats.wilson_interval)
    for right in generator.binomial(n, accuracy, repetitions).tolist():
        yield covers(interval(right, n), accuracy)


def clustered(
    generator: np.random.Generator,
    repetitions: int,
    clusters: np.ndarray,
    accuracy: float,
    icc: float,
    naive: bool = False,
) -> Hits:
    for _ in range(repetitions):
        right = simulate_answers(generator, clusters, accuracy, icc)
        if naive:
            yield covers(stats.wilson_interval(int(right.sum()), len(right)), accuracy)
        else:
            yield covers(stats.clustered_interval(right, clusters), accuracy)


def bootstrap(
    generator: np.random.Generator,
    repetitions: int,
    n: int,
    only_a: float,
    only_b: float,
    resamples: int,
) -> Hits:
    for k, counts in enumerate(simulate_counts(generator, repetitions, n, only_a, only_b)):
        yield covers(bootstrap_limits(n, *counts, resamples, k % SEEDS), only_a - only_b)


def clustered_bootstrap(
    generator: np.random.Generator,
    repetitions: int,
    clusters: np.ndarray,
    only_a: float,
    only_b: float,
    icc: float,
    naive: bool = False,
) -> Hits:
    for seed in range(repetitions):
        a, b = simulate_runs(generator, clusters, only_a, only_b, icc)
        labels = None if naive else clusters
        yield covers(stats.paired_bootstrap(a, b, seed, RESAMPLES, labels)[1:], only_a - only_b)


def unpaired(
    generator: np.random.Generator,
    repetitions: int,
    setting: tuple[float, int, float, int],
    test: bool = False,
) -> Hits:
    """Simulate two accuracies on different items: the interval, or with `test` the p-value."""
    accuracy_a, n_a, accuracy_b, n_b = setting
    compare = cache(stats.compare_unpaired)
    right_a = generator.binomial(n_a, accuracy_a, repetitions).tolist()
    right_b = generator.binomial(n_b, accuracy_b, repetitions).tolist()
    for a, b in zip(right_a, right_b, strict=True):
        _, low, high, p = compare(a, n_a, b, n_b)
        yield p < 0.05 if test else covers((low, high), accuracy_a - accuracy_b)


def mcnemar(
    generator: np.random.Generator, repetitions: int, n: int, only_a: float, only_b: float
) -> Hits:
    for counts in simulate_counts(generator, repetitions, n, only_a, only_b):
        yield exact_p(n, *counts) < 0.05


def clustered_test(
    generator: np.random.Generator,
    repetitions: int,
    clusters: np.ndarray,
    icc: float,
    naive: bool = False,
) -> Hits:
    for seed in range(repetitions):
        a, b = simulate_runs(generator, clusters, 0.125, 0.125, icc)
        if naive:
            yield stats.mcnemar_exact(a, b) < 0.05
        else:
            yield stats.paired_permutation(a, b, clusters, seed, RESAMPLES - 1) < 0.05


def families(
    generator: np.random.Generator, repetitions: int, real: int, adjust: bool = True
) -> Hits:
    """Simulate eight benchmarks of 300 items, `real` with a difference: any false claim?"""
    shares = [(0.175, 0.075)] * real + [(0.125, 0.125)] * (8 - real)
    counts = [simulate_counts(generator, repetitions, 300, *both) for both in shares]
    for family in zip(*counts, strict=True):
        p = np.array([exact_p(300, *both) for both in family])
        yield bool(((stats.adjust_holm(p) if adjust else p)[real:] < 0.05).any())


def detection(generator: np.random.Generator, repetitions: int, n: int) -> Hits:
    """Simulate a difference of the minimum detectable effect of n items, a quarter discordant."""
    difference = stats.min_detectable_effect(n, discordant=0.25)
    shares = (0.125 + difference / 2, 0.125 - difference / 2)
    return mcnemar(generator, repetitions, n, *shares)


# ------------------------------------------------------------------------------------ the designs


class Design(NamedTuple):
    """One row of the table; `kind` selects the aim, `method` and `design` name the row."""

    kind: str
    method: str
    design: str
    simulate: Simulation
    repetitions: int = REPETITIONS
    resamples: int = 0
    note: str = ""


NEAR_ONE = "15 wrong answers are too few to estimate how they cluster"
FEW = "conservative, with t of 9 degrees of freedom"
NARROW = "10 clusters are too few for a bootstrap, even with expanded limits"
NOT_EXACT = "0.0566 by enumeration: the score test is not exact"


def designs() -> Iterator[Design]:
    """Yield all rows of the table. No true difference is a whole number of items."""
    for n, accuracy in [(100, 0.25), (300, 0.5), (1273, 0.6), (135, 0.9), (40, 0.9)]:
        run = partial(wilson, n=n, accuracy=accuracy)
        yield Design("coverage", "wilson", f"{n} items, accuracy {accuracy}", run, COUNTED)
    yield from clustered_designs()
    yield from bootstrap_designs()
    yield from unpaired_designs()
    yield from paired_test_designs()


def clustered_designs() -> Iterator[Design]:
    for words, accuracy, icc, note in [
        ("52 clusters of 6", 0.6, 0.1, ""),
        ("52 clusters of 6", 0.6, 0.3, ""),
        ("50 clusters of 1 to 9", 0.6, 0.3, ""),
        ("10 clusters of 6", 0.6, 0.3, ""),
        ("52 clusters of 6", 0.9, 0.1, ""),
        ("52 clusters of 6", 0.95, 0.3, NEAR_ONE),
        ("10 clusters of 6", 0.9, 0.3, FEW),
    ]:
        run = partial(clustered, clusters=SIZES[words], accuracy=accuracy, icc=icc)
        design = f"{words}, accuracy {accuracy}, icc {icc}"
        yield Design("coverage", "clustered_interval", design, run, note=note)
    run = partial(clustered, clusters=CONDITIONS, accuracy=0.6, icc=0.3, naive=True)
    design = "52 clusters of 6, accuracy 0.6, icc 0.3"
    yield Design("control: coverage", "wilson, clusters ignored", design, run)


def bootstrap_designs() -> Iterator[Design]:
    for n, only_a, only_b, repetitions, resamples in [
        (1273, 0.145, 0.105, REPETITIONS, 2_000),
        (100, 0.17, 0.075, COUNTED, 10_000),
        (40, 0.17, 0.075, COUNTED, 10_000),
    ]:
        run = partial(bootstrap, n=n, only_a=only_a, only_b=only_b, resamples=resamples)
        design = f"{n} items, {only_a} and {only_b} discordant"
        yield Design("coverage", "paired_bootstrap", design, run, repetitions, resamples)
    shares = {"only_a": 0.17, "only_b": 0.075, "icc": 0.3}
    words = "0.17 and 0.075 discordant, icc 0.3"
    for size, clusters in SIZES.items():
        run = partial(clustered_bootstrap, clusters=clusters, **shares)
        method = "paired_bootstrap, clusters"
        note = NARROW * size.startswith("10 ")
        yield Design("coverage", method, f"{size}, {words}", run, REPETITIONS, RESAMPLES, note)
    run = partial(clustered_bootstrap, clusters=CONDITIONS, **shares, naive=True)
    method = "paired_bootstrap, clusters ignored"
    design = f"52 clusters of 6, {words}"
    yield Design("control: coverage", method, design, run, REPETITIONS, RESAMPLES)


def unpaired_designs() -> Iterator[Design]:
    for setting in [(0.6, 1273, 0.55, 1273), (0.9, 135, 0.8, 500), (0.5, 40, 0.5, 40)]:
        a, n_a, b, n_b = setting
        run = partial(unpaired, setting=setting)
        design = f"{n_a} at {a} and {n_b} at {b}"
        yield Design("coverage", "unpaired, interval", design, run, COUNTED)
    for accuracy, n_a, n_b in [(0.6, 1273, 1273), (0.9, 135, 500), (0.5, 40, 40)]:
        note = NOT_EXACT * (n_a == 40)
        run = partial(unpaired, setting=(accuracy, n_a, accuracy, n_b), test=True)
        design = f"{n_a} and {n_b} at {accuracy}"
        yield Design("error", "unpaired, p", design, run, COUNTED, note=note)


def paired_test_designs() -> Iterator[Design]:
    for n in (1273, 100):
        run = partial(mcnemar, n=n, only_a=0.125, only_b=0.125)
        yield Design("error", "mcnemar_exact", f"{n} items, a quarter discordant", run, COUNTED)
    words = "a quarter discordant, icc 0.3"
    for size, clusters in SIZES.items():
        run = partial(clustered_test, clusters=clusters, icc=0.3)
        design = f"{size}, {words}"
        yield Design("error", "paired_permutation", design, run, resamples=RESAMPLES - 1)
    run = partial(clustered_test, clusters=CONDITIONS, icc=0.3, naive=True)
    design = f"52 clusters of 6, {words}"
    yield Design("control: error", "mcnemar_exact, clusters ignored", design, run)
    for real in (0, 4):
        design = f"8 benchmarks, {real} with a real difference"
        yield Design("error", "holm, any false claim", design, partial(families, real=real))
    run = partial(families, real=0, adjust=False)
    method = "no holm, any false claim"
    yield Design("control: error", method, "8 benchmarks, 0 with a real difference", run)
    for n in (1273, 500, 100, 40):
        design = f"mcnemar_exact, {n} items, a quarter discordant"
        yield Design("power", "detectable_difference", design, partial(detection, n=n), COUNTED)


def simulate(design: Design) -> dict:
    """Simulate one design; return its rate, Wilson interval, and whether it meets the aim.

    The seed depends on the names of the row, so a new design leaves the other rows unchanged.
    """
    seed = [SEED, crc32(f"{design.method}, {design.design}".encode())]
    hits = sum(design.simulate(np.random.default_rng(seed), design.repetitions))
    rate, (least, most) = hits / design.repetitions, AIMS[design.kind]
    low, high = stats.wilson_interval(hits, design.repetitions)
    names = ("kind", "method", "design", "repetitions", "resamples")
    row = {name: getattr(design, name) for name in names}
    row |= {"rate": round(rate, 4), "low": round(low, 4), "high": round(high, 4)}
    return row | {
        "aim": f"{least} to {most}",
        "met": least <= rate <= most,
        "note": design.note,
    }
