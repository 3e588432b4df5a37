"""A forecast with its interval, from the measured part of some work."""

import statistics
from collections.abc import Sequence

from scipy import stats

from clinical_camel.rehearse.record import Part

DRIFT = 0.20  # share by which the run may differ: chosen after ten runs, see rehearsal.csv
CONFIDENCE = 0.95


def find_relative_error(values: Sequence[float]) -> float:
    """Return the half-width of the 95 % t interval of a mean, as a share of it; 0.5 for one value.

    One value has no spread; a forecast from it is marked as rough by the wide interval.
    """
    mean = statistics.fmean(values)
    if len(values) < 2 or not mean:
        return 0.5
    error = statistics.stdev(values) / len(values) ** 0.5
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error / mean


def forecast_part(
    name: str, unit: str, times: Sequence[float], total: float, done: float = 0
) -> Part:
    """Return the forecast for `total` units, from seconds of each measured unit.

    `done`: units that these times are of, if a time is not that of one unit. The interval adds
    DRIFT to the error of the mean, as independent errors; it cannot know what was not measured.
    """
    done = done or len(times)
    seconds = sum(times) / done * total
    share = find_relative_error(times) if done < total else 0.0
    margin = seconds * (share**2 + DRIFT**2) ** 0.5
    return Part(
        name, unit, done, total, sum(times), seconds, max(0.0, seconds - margin), seconds + margin
    )


def add_up(parts: Sequence[Part]) -> tuple[float, float, float]:
    """Return seconds, low and high of several parts; their errors are taken to be independent.

    DRIFT is common to all parts, so the sum is at least that uncertain.
    """
    seconds = sum(part.seconds for part in parts)
    below = sum((part.seconds - part.low) ** 2 for part in parts) ** 0.5
    above = sum((part.high - part.seconds) ** 2 for part in parts) ** 0.5
    drift = DRIFT * seconds
    return seconds, max(0.0, seconds - max(below, drift)), seconds + max(above, drift)
