"""How tables and sentences write shares, differences, p-values and lists."""

import math
from collections.abc import Mapping, Sequence


def format_bounds(low: float, high: float, form: str) -> str:
    """Return an interval in brackets after a space; "" if it is unknown.

    A bound just below zero is written as -0.00, unless `form` begins with z.

    >>> format_bounds(-0.25, 0.75, ".2f"), format_bounds(float("nan"), float("nan"), ".2f")
    (' [-0.25, 0.75]', '')
    """
    return f" [{low:{form}}, {high:{form}}]" if low == low and high == high else ""


def format_interval(
    value: float, low: float, high: float, form: str = ".3f", unit: str = ""
) -> str:
    """Return a value with its interval; without brackets if the interval is unknown.

    >>> format_interval(0.5, 0.25, 0.75), format_interval(-0.0, float("nan"), float("nan"))
    ('0.500 [0.250, 0.750]', '0.000')
    """
    form = f"z{form}"  # no minus sign before a zero
    return f"{value:{form}}{unit}{format_bounds(low, high, form)}"


def format_percent(
    share: float, low: float = math.nan, high: float = math.nan, digits: int = 1, unit: str = ""
) -> str:
    """Return a share from 0 to 1 in percent, with its interval if there is one; "" for NaN.

    >>> format_percent(0.654, 0.599, 0.704), format_percent(-0.0001)
    ('65.4 [59.9, 70.4]', '0.0')
    >>> format_percent(0.57, 0.48, 0.66, digits=0, unit=" %")
    '57 % [48, 66]'
    """
    if math.isnan(share):
        return ""
    return format_interval(100 * share, 100 * low, 100 * high, f".{digits}f", unit)


def format_accuracy(row: Mapping[str, float]) -> str:
    """Return the `accuracy` of a row, with `low` and `high`, in percent.

    >>> format_accuracy({"accuracy": 0.654, "low": 0.599, "high": 0.704})
    '65.4 [59.9, 70.4]'
    """
    return format_percent(row["accuracy"], row["low"], row["high"])


def format_points(row: Mapping[str, float], unit: str = " points") -> str:
    """Return the `difference` of a row, with `low` and `high`, in percentage points.

    With a limit below 0.05 points, all have two decimals: one would hide its side of zero.

    >>> format_points({"difference": 0.1, "low": 0.05, "high": 0.15})
    '10.0 points [5.0, 15.0]'
    >>> format_points({"difference": -0.068, "low": -0.139, "high": -0.0002}, unit="")
    '-6.80 [-13.90, -0.02]'
    """
    is_near = any(0 < abs(row[limit]) < 0.0005 for limit in ("low", "high"))
    digits = 2 if is_near else 1
    return format_percent(row["difference"], row["low"], row["high"], digits=digits, unit=unit)


def format_p(p: float, digits: int = 4, sign: str = "") -> str:
    """Return a p-value with `digits` decimals after `sign`, or that it is smaller; "" for NaN.

    >>> format_p(0.00002), format_p(0.0312), format_p(0.0312, digits=3, sign="= ")
    ('< 0.0001', '0.0312', '= 0.031')
    """
    if math.isnan(p):
        return ""
    least = 10**-digits
    return f"< {least:.{digits}f}" if p < least else f"{sign}{p:.{digits}f}"


def join(parts: Sequence[str]) -> str:
    """Return parts as a list in words.

    >>> join(["a", "b", "c"]), join(["a"]), join([])
    ('a, b and c', 'a', '')
    """
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
