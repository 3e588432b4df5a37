"""Parts that the figures of several steps share: error bars and a tidy layout."""

from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clinical_camel.core.values import escape_label


def measure_errors(value, low, high) -> np.ndarray:
    """Return the two lengths of each error bar for matplotlib; 0 where the interval is unknown.

    >>> measure_errors([0.5, 1.0], [0.25, np.nan], [1.0, np.nan]).tolist()
    [[0.25, 0.0], [0.5, 0.0]]
    """
    value, low, high = (np.asarray(part, float) for part in (value, low, high))
    return np.nan_to_num(np.abs(np.array([value - low, high - value])))


def plot_intervals(axes: Axes, places, limits, label: str, **style: Any) -> None:
    """Plot values with vertical intervals: `places` are x and value, `limits` low and high."""
    x, value = places
    style = {"markersize": 5, "label": escape_label(label)} | style
    axes.errorbar(x, value, yerr=measure_errors(value, *limits), **style)


def tidy_figure(figure: Figure) -> Figure:
    """Return the figure without its upper and right spines, and without empty margins."""
    sns.despine(figure)
    figure.tight_layout()
    return figure
