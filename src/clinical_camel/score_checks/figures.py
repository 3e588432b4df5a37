"""The reliability diagram: accuracy against confidence."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clinical_camel import stats
from clinical_camel.core.colours import MODEL_COLOURS, MODEL_MARKERS
from clinical_camel.core.values import escape_label

COLUMNS = 2  # panels side by side
SHIFT = 0.8  # points between models, so that their intervals do not hide each other
MIN_ANSWERS = 10  # a group with fewer answers has no point


def plot_calibration(table: pd.DataFrame) -> Figure:
    """Plot a reliability diagram per benchmark: accuracy against confidence, a colour per model.

    At most COLUMNS panels are side by side.

    `table` is `compute_calibration` for one variant, protocol and number of shots. A point is a
    group of at least MIN_ANSWERS answers, with its 95 % Wilson interval. The dotted line is perfect
    calibration.
    """
    benchmarks = list(table["benchmark"].unique())
    columns = min(max(1, len(benchmarks)), COLUMNS)
    lines = -(-max(1, len(benchmarks)) // columns)
    size = (3.6 * columns, 0.5 + 3.6 * lines)
    figure, axes = plt.subplots(
        lines, columns, figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(benchmarks) or 1 :]:
        axis.remove()
    for axis, benchmark in zip(axes.flat, benchmarks, strict=False):
        rows = table[table["benchmark"] == benchmark]
        axis.plot([0, 100], [0, 100], linestyle=":", color="grey", label="perfectly calibrated")
        for k, (model, group) in enumerate(rows.groupby("model", sort=False)):
            _plot_calibration_points(axis, k, model, group[group["n"] >= MIN_ANSWERS])
        axis.set(title=escape_label(benchmark), xlim=(0, 104), ylim=(0, 104))
        axis.set_xlabel("confidence in the predicted option, %")
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy, %")
    if benchmarks:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    else:
        axes[0, 0].set_title("a written reply has no confidence")
    return figure


def _plot_calibration_points(axis: Axes, k: int, model: str, group: pd.DataFrame) -> None:
    intervals = [
        stats.wilson_interval(round(row.accuracy * row.n), row.n) for row in group.itertuples()
    ]
    low, high = 100 * np.array(intervals, dtype=float).reshape(-1, 2).T
    accuracy = 100 * group["accuracy"].to_numpy(dtype=float)
    axis.errorbar(
        100 * group["confidence"].to_numpy(dtype=float) + k * SHIFT,
        accuracy,
        yerr=np.maximum([accuracy - low, high - accuracy], 0),  # 1e-15 below 0 by rounding
        fmt=MODEL_MARKERS[k % len(MODEL_MARKERS)],
        color=MODEL_COLOURS[k % len(MODEL_COLOURS)],
        markersize=5,
        linewidth=1.2,
        label=escape_label(model),
    )
