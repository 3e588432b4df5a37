"""Figures of step 08. Names that come from a user are escaped, so that "$" starts no formula."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from clinical_camel.core.figures import measure_errors, plot_intervals, tidy_figure
from clinical_camel.core.values import escape_label
from clinical_camel.eval_replies.diagnoses import (
    ALL_GROUPS,
    MIN_RECORDS,
    OUTCOMES,
    select_large_groups,
)
from clinical_camel.eval_replies.overlap import METRICS
from clinical_camel.eval_replies.wording import UNIT, name_unit

MARKERS = "os^DvP*X"
HATCHES = ("", "//", "xx", "..", "\\\\")
LEGEND_ENTRIES = 5  # in a row
MARGIN = 0.05  # of the height of a panel, below 0


def plot_outcomes(summary: pd.DataFrame) -> Figure:
    """Plot what the replies to records name, by dataset and model: the shares of OUTCOMES."""
    rows = summary[summary["icd_group"] == ALL_GROUPS]
    shares = rows[list(OUTCOMES)].div(rows["n"], axis=0)
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(rows) + 1.4))
    places, start = np.arange(len(rows)), np.zeros(len(rows))
    colours = sns.color_palette("colorblind", len(HATCHES))
    for name, colour, hatch in zip(shares, colours, HATCHES, strict=True):
        share = shares[name].to_numpy(float)
        if share.any():
            style = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": name}
            axes.barh(places, share, left=start, **style)
        start += share
    axes.set_yticks(places, map(_label_row, rows.to_dict("records")), fontsize=10)
    axes.invert_yaxis()
    axes.set(xlabel="share of the records", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(fontsize=9, ncols=5, loc="lower left", bbox_to_anchor=(0, 1.0))
    return tidy_figure(figure)


def _label_row(row: Mapping) -> str:
    """Return dataset and model on lines of their own, so that no line breaks before "n"."""
    dataset, model = escape_label(name_unit(row)), escape_label(row["model"])
    return f"{dataset}\n{model} (n = {row['n']})"


def plot_overlap(summary: pd.DataFrame) -> Figure:
    """Plot every overlap score of each writer with its interval, one panel per dataset."""
    units = list(summary.groupby(UNIT, sort=False))
    size = (8, 2.5 * len(units) + 0.3)
    figure, panels = plt.subplots(len(units), figsize=size, squeeze=False, sharex=True)
    for axes, (_, rows) in zip(panels[:, 0], units, strict=True):
        for k, row in enumerate(rows.to_dict("records")):
            x = np.arange(len(METRICS)) + 0.16 * (k - (len(rows) - 1) / 2)
            columns = ([row[f"{name}{end}"] for name in METRICS] for end in ("", "_low", "_high"))
            value, low, high = (np.array(column, float) for column in columns)
            style = {"fmt": MARKERS[k % 8], "capsize": 2, "color": f"C{k}"}
            plot_intervals(axes, (x, value), (low, high), row["model"], **style)
        title = f"{name_unit(rows.iloc[0])}, n = {rows['n'].max()}"
        top = max(axes.get_ylim()[1], 0.05)
        axes.set(ylabel="mean, 0 to 1", title=escape_label(title))
        axes.set_ylim(-MARGIN * top, top)  # below 0, so that a marker at 0 is complete
    panels[-1, 0].set_xticks(range(len(METRICS)), METRICS.values())
    _add_legend(figure, panels[0, 0])
    return tidy_figure(figure)


def _add_legend(figure: Figure, axes: Axes) -> None:
    """Add the legend of an axes above all panels and titles."""
    handles, labels = axes.get_legend_handles_labels()
    style = {"fontsize": 9, "loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    figure.legend(handles, labels, ncols=_count_columns(len(labels)), **style)


def _count_columns(entries: int) -> int:
    """Return the columns of a legend: one row of up to LEGEND_ENTRIES, else equal rows.

    >>> [_count_columns(entries) for entries in (1, 5, 6, 11)]
    [1, 5, 3, 4]
    """
    return math.ceil(entries / math.ceil(entries / LEGEND_ENTRIES))


def plot_diagnoses(summary: pd.DataFrame, models: Sequence[str]) -> Figure:
    """Plot the accuracy of models by ICD group, one panel per dataset, all records first.

    The title of a panel has the number of ICD groups with fewer than MIN_RECORDS records, which are
    not drawn.
    """
    summary, small = select_large_groups(summary[summary["model"].isin(models)])
    units = list(summary.groupby(UNIT, sort=False))
    counts = [rows["icd_group"].nunique() for _, rows in units]
    size = (8, 0.7 * sum(counts) + 1.1 * len(counts) + 0.9)
    figure, panels = plt.subplots(len(units), figsize=size, squeeze=False, height_ratios=counts)
    for axes, (key, rows) in zip(panels[:, 0], units, strict=True):
        names = rows.groupby(["icd_group", "icd_description"], sort=False)["n"].max()
        labels = [f"{escape_label(group)}\nn = {n}" for (_, group), n in names.items()]
        places = {group: i for i, (group, _) in enumerate(names.index)}
        models = rows.groupby("model", sort=False)
        for k, (model, own) in enumerate(models):
            y = own["icd_group"].map(places) + 0.16 * (k - (len(models) - 1) / 2)
            value = own["accuracy"].to_numpy(float)
            lengths = measure_errors(value, own["low"], own["high"])
            style = {"fmt": MARKERS[k % 8], "capsize": 2, "markersize": 5, "color": f"C{k}"}
            axes.errorbar(value, y, xerr=lengths, label=escape_label(model), **style)
        axes.set_yticks(range(len(labels)), labels, fontsize=9)
        title = escape_label(name_unit(rows.iloc[0]))
        if hidden := small.get(key):
            title += f"\nnot shown: {hidden} ICD groups with n < {MIN_RECORDS}"
        axes.set_title(title, fontsize=10)
        axes.set(xlim=(-0.02, 1.02), ylim=(len(labels) - 0.5, -0.5))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    panels[-1, 0].set_xlabel("correct diagnoses, with 95 % interval")
    _add_legend(figure, panels[0, 0])
    return tidy_figure(figure)


def plot_wins(summary: pd.DataFrame) -> Figure:
    """Plot the win rate of each model against the baseline, a row per dataset and judge."""
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(summary) + 1.5))
    judges = list(dict.fromkeys(summary["judge"]))
    labels = []
    for i, row in enumerate(summary.to_dict("records")):
        k = judges.index(row["judge"])
        value = np.array([row["win_rate"]], float)
        first = row["judge"] not in labels
        name = escape_label(row["judge"]) if first else None
        labels.append(row["judge"])
        lengths = measure_errors(value, [row["low"]], [row["high"]])
        style = {"fmt": MARKERS[k % 8], "capsize": 3, "color": f"C{k}", "label": name}
        axes.errorbar(value, [i], xerr=lengths, **style)
    names = list(map(_label_row, summary.to_dict("records")))
    axes.axvline(0.5, color="grey", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(names)), names, fontsize=10)
    axes.set(xlabel="win rate against the baseline, with 95 % interval", xlim=(-0.02, 1.02))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(fontsize=9, ncols=LEGEND_ENTRIES, loc="lower left", bbox_to_anchor=(0, 1.0))
    return tidy_figure(figure)
