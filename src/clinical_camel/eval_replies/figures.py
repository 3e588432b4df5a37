"""Figures of step 08. Names that come from a user are escaped, so that "$" starts no formula."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from clinical_camel.core.values import escape_label
from clinical_camel.eval_replies.diagnoses import ALL_GROUPS, OUTCOMES
from clinical_camel.eval_replies.overlap import METRICS, UNIT
from clinical_camel.eval_replies.writing import STATUSES

MARKERS = "os^DvP*X"
HATCHES = ("", "//", "xx", "..", "\\\\")


def plot_statuses(counts: pd.DataFrame) -> Figure:
    """Plot the share of replies with each status: a bar per task, dataset and model."""
    shares = counts[list(STATUSES)].div(counts["replies"], axis=0)
    names = [f"{row.task}, {row.corpus}: {row.model}" for row in counts.itertuples()]
    return _plot_shares(names, shares, "share of the replies")


def plot_outcomes(summary: pd.DataFrame) -> Figure:
    """Plot what the replies to records name, by dataset and model: the shares of OUTCOMES."""
    rows = summary[summary["icd_group"] == ALL_GROUPS]
    shares = rows[list(OUTCOMES)].div(rows["n"], axis=0)
    names = [f"{_name_unit(row)}: {row['model']} (n = {row['n']})" for _, row in rows.iterrows()]
    return _plot_shares(names, shares, "share of the records")


def _plot_shares(names: Sequence[str], shares: pd.DataFrame, label: str) -> Figure:
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(names) + 1.4))
    places, start = np.arange(len(names)), np.zeros(len(names))
    colours = sns.color_palette("colorblind", len(HATCHES))
    for name, colour, hatch in zip(shares, colours, HATCHES, strict=True):
        share = shares[name].to_numpy(float)
        if share.any():
            style = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": name}
            axes.barh(places, share, left=start, **style)
        start += share
    axes.set_yticks(places, map(escape_label, names))
    axes.invert_yaxis()
    axes.set(xlabel=label, xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(fontsize=8, ncols=5, loc="lower left", bbox_to_anchor=(0, 1.0))
    return _tidy(figure)


def plot_overlap(summary: pd.DataFrame) -> Figure:
    """Plot every overlap score of each writer with its interval, one panel per dataset."""
    units = list(summary.groupby(UNIT, sort=False))
    size = (8, 2.5 * len(units) + 0.5)
    figure, panels = plt.subplots(len(units), figsize=size, squeeze=False, sharex=True)
    for axes, (_, rows) in zip(panels[:, 0], units, strict=True):
        for k, row in enumerate(rows.to_dict("records")):
            x = np.arange(len(METRICS)) + 0.16 * (k - (len(rows) - 1) / 2)
            columns = ([row[f"{name}{end}"] for name in METRICS] for end in ("", "_low", "_high"))
            value, low, high = (np.array(column, float) for column in columns)
            _plot_intervals(axes, (x, value), (low, high), k, row["model"])
        title = f"{_name_unit(rows.iloc[0])}, n = {rows['n'].max()}"
        axes.set(ylabel="mean, 0 to 1", ylim=(0, None), title=escape_label(title))
    panels[-1, 0].set_xticks(range(len(METRICS)), METRICS.values())
    style = {"fontsize": 8, "ncols": 4, "loc": "upper center", "bbox_to_anchor": (0.5, 1.45)}
    panels[0, 0].legend(**style)
    return _tidy(figure)


def plot_diagnoses(summary: pd.DataFrame, models: Sequence[str]) -> Figure:
    """Plot the accuracy of models by ICD group, one panel per dataset, all groups first."""
    summary = summary[summary["model"].isin(models)]
    units = list(summary.groupby(UNIT, sort=False))
    counts = [rows["icd_group"].nunique() for _, rows in units]
    size = (8, 0.55 * sum(counts) + 1.6)
    figure, panels = plt.subplots(len(units), figsize=size, squeeze=False, height_ratios=counts)
    for axes, (_, rows) in zip(panels[:, 0], units, strict=True):
        names = rows.groupby(["icd_group", "icd_description"], sort=False)["n"].max()
        labels = [f"{escape_label(group)}\nn = {n}" for (_, group), n in names.items()]
        places = {group: i for i, (group, _) in enumerate(names.index)}
        models = rows.groupby("model", sort=False)
        for k, (model, own) in enumerate(models):
            y = own["icd_group"].map(places) + 0.16 * (k - (len(models) - 1) / 2)
            value = own["accuracy"].to_numpy(float)
            lengths = _error_lengths(value, own["low"], own["high"])
            style = {"fmt": MARKERS[k % 8], "capsize": 2, "markersize": 5, "color": f"C{k}"}
            axes.errorbar(value, y, xerr=lengths, label=escape_label(model), **style)
        axes.set_yticks(range(len(labels)), labels, fontsize=8)
        axes.set(xlim=(-0.02, 1.02), title=escape_label(_name_unit(rows.iloc[0])))
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    panels[-1, 0].set_xlabel("correct diagnoses, with 95 % interval")
    panels[0, 0].legend(fontsize=8, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.04))
    return _tidy(figure)


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
        lengths = _error_lengths(value, [row["low"]], [row["high"]])
        style = {"fmt": MARKERS[k % 8], "capsize": 3, "color": f"C{k}", "label": name}
        axes.errorbar(value, [i], xerr=lengths, **style)
    names = [
        f"{_name_unit(row)}: {row['model']} (n = {row['n']})" for row in summary.to_dict("records")
    ]
    axes.axvline(0.5, color="grey", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(names)), map(escape_label, names))
    axes.set(xlabel="win rate against the baseline, with 95 % interval", xlim=(-0.02, 1.02))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(fontsize=8, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0))
    return _tidy(figure)


def _plot_intervals(axes: Axes, places, limits, k: int, label: str) -> None:
    x, value = places
    style = {"fmt": MARKERS[k % 8], "capsize": 2, "markersize": 5, "color": f"C{k}"}
    lengths = _error_lengths(value, *limits)
    axes.errorbar(x, value, yerr=lengths, label=escape_label(label), **style)


def _error_lengths(value, low, high) -> np.ndarray:
    """Return the two lengths of each error bar for matplotlib; 0 where the interval is unknown."""
    value, low, high = (np.asarray(part, float) for part in (value, low, high))
    return np.nan_to_num(np.abs(np.array([value - low, high - value])))


def _name_unit(row) -> str:
    return ", ".join(row[name] for name in UNIT[1:] if row[name] != "all")


def _tidy(figure: Figure) -> Figure:
    sns.despine(figure)
    figure.tight_layout()
    return figure
