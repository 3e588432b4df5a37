"""How tables and sentences write shares, differences and p-values."""

import math
from collections.abc import Mapping


def format_percent(share: float, low: float = math.nan, high: float = math.nan) -> str:
    """Return a share from 0 to 1 in percent, with its interval if there is one; "" for NaN.

    >>> format_percent(0.654, 0.599, 0.704), format_percent(-0.0001)
    ('65.4 [59.9, 70.4]', '0.0')
    """
    if math.isnan(share):
        return ""
    interval = "" if math.isnan(low) else f" [{100 * low:z.1f}, {100 * high:z.1f}]"
    return f"{100 * share:z.1f}{interval}"


def format_points(row: Mapping[str, float]) -> str:
    """Return the `difference` of a row, with `low` and `high`, in percentage points.

    >>> format_points({"difference": 0.1, "low": 0.05, "high": 0.15})
    '10.0 points [5.0, 15.0]'
    """
    text = format_percent(row["difference"], row["low"], row["high"])
    return text.replace(" [", " points [", 1) if "[" in text else f"{text} points"


def format_p(p: float, digits: int = 4, sign: str = "") -> str:
    """Return a p-value with `digits` decimals after `sign`, or that it is smaller; "" for NaN.

    >>> format_p(0.00002), format_p(0.0312), format_p(0.0312, digits=3, sign="= ")
    ('< 0.0001', '0.0312', '= 0.031')
    """
    if math.isnan(p):
        return ""
    least = 10**-digits
    return f"< {least:.{digits}f}" if p < least else f"{sign}{p:.{digits}f}"
