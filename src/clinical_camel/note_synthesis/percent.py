"""A share with its interval, in percent."""


def format_percent(share: float, low: float, high: float, sign: str = "") -> str:
    """Return the share with its interval; without brackets if the interval is NaN.

    >>> format_percent(0.57, 0.48, 0.66), format_percent(0.57, 0.48, 0.66, sign=" %")
    ('57 [48, 66]', '57 % [48, 66]')
    """
    interval = f" [{100 * low:.0f}, {100 * high:.0f}]" if low == low else ""
    return f"{100 * share:.0f}{sign}{interval}"
