"""Figures of step 06: scores, exposures, scaling, forgetting, specialties, seeds."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clinical_camel.controlled_comparison.reading import is_base
from clinical_camel.controlled_comparison.scaling import SIZE, calculate_published_gain
from clinical_camel.controlled_comparison.tables import list_lost, name_contrast
from clinical_camel.core.values import escape_label
from clinical_camel.core.wording import join

# Okabe and Ito
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
NAMED = 4  # arms whose names fit into an entry of the legend
MARKERS = "os^Dv<>P"
PANELS_PER_ROW = 2
UNITS = {"complete": "complete answers, %", "probability": "probability, %"}  # of no accuracy
BANDS = 6  # groups of facts with similar exposures, for the mean in the scatter
FEWEST = 10  # facts of a band that has a mean


def plot_scores(scores: pd.DataFrame) -> Figure:
    """Plot the score of every arm with its interval and its number of runs: a panel per outcome.

    `scores` is the table of `score_arms`. The dashed line is chance, if the measure has one.
    """
    outcomes = list(scores["outcome"].unique())
    arms = _order_arms(scores["arm"])
    runs = scores.groupby("arm")["seeds"].max()
    figure, axes = _make_panels(outcomes, 1.0 + 0.22 * len(arms), "")
    for axis, outcome in zip(axes.flat, outcomes, strict=False):
        rows = scores[scores["outcome"] == outcome]
        _plot_outcome(axis, rows, arms)
        label = UNITS.get(rows["measure"].iloc[0], "accuracy, %")
        label += " (no chance level)" if rows["chance"].isna().all() else ""
        axis.set_xlabel(label, fontsize=9)
    labels = [f"{escape_label(arm)}, {_count_runs(runs[arm])}" for arm in arms]
    axes[0, 0].set_yticks(range(len(arms)), labels)
    axes[0, 0].set_ylim(len(arms) - 0.5, -0.5)
    return figure


def _count_runs(count: int) -> str:
    return f"{count} runs" if count > 1 else "1 run"


def _plot_outcome(axis: Axes, rows: pd.DataFrame, arms: Sequence[str]) -> None:
    for row in rows.itertuples():
        place, colour = arms.index(row.arm), "grey" if is_base(row.arm) else COLOURS[0]
        limits = [100 * row.low, 100 * row.high]
        axis.plot(limits, [place, place], color=colour, linewidth=1.5)
        axis.plot(100 * row.accuracy, place, "o", color=colour, markersize=5)
    axis.axvline(100 * rows["chance"].mean(), linestyle="--", color="grey", linewidth=1)
    axis.set_xlim(0, 100)


def _make_panels(titles: Sequence[str], height: float, label: str) -> tuple[Figure, np.ndarray]:
    """Return a figure with a panel per title, in inches of height, and its axes, rows by columns.

    Every panel has the numbers of the horizontal axis, the lowest of each column its label; spare
    panels are hidden.
    """
    rows, columns = -(-len(titles) // PANELS_PER_ROW), min(PANELS_PER_ROW, len(titles))
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.2 * columns + 0.8, height * rows), squeeze=False, sharex=True,
        sharey=True, layout="constrained",
    )  # fmt: skip
    for axis, title in zip(axes.flat, titles, strict=False):
        axis.set_title(escape_label(title), fontsize=10)
        axis.xaxis.set_tick_params(labelbottom=True)
    for axis in axes.flat[len(titles) :]:
        axis.set_axis_off()
    for axis in axes.flat[max(0, len(titles) - columns) : len(titles)]:
        axis.set_xlabel(label)
    return figure, axes


def _order_arms(names: pd.Series) -> list[str]:
    """Return the arms in the order of their first appearance, the base model first."""
    arms = list(dict.fromkeys(names))
    return sorted(arms, key=lambda arm: not is_base(arm))


def plot_contrasts(contrasts: pd.DataFrame, smallest_effect: float) -> Figure:
    """Plot each primary contrast with its interval, and the zone of effects without interest."""
    rows = contrasts[contrasts["is_primary"]]
    labels = [f"{name_contrast(row)}\n{row['verdict']}" for row in rows.to_dict("records")]
    figure, axis = _plot_intervals(rows, labels, "difference in accuracy, percentage points")
    axis.axvspan(-100 * smallest_effect, 100 * smallest_effect, color="#E8E8E8", zorder=0)
    return figure


def plot_specialties(subgroups: pd.DataFrame, treatment: str, control: str) -> Figure:
    """Plot the difference of two arms in each specialty, with its interval."""
    rows = subgroups.sort_values("difference", ascending=False)
    labels = [f"{row.specialty} (n = {row.n})" for row in rows.itertuples()]
    pair = name_contrast({"treatment": treatment, "control": control})
    return _plot_intervals(rows, labels, f"{pair}, percentage points")[0]


def _plot_intervals(rows: pd.DataFrame, labels: Sequence[str], title: str) -> tuple[Figure, Axes]:
    """Plot differences with their intervals, the first on top; one that is NaN stays empty."""
    lines = 1 + sum(label.count("\n") + 1 for label in labels) * 0.27
    figure, axis = plt.subplots(figsize=(7, lines), layout="constrained")
    for place, row in enumerate(rows.itertuples()):
        axis.plot([100 * row.low, 100 * row.high], [place, place], color=COLOURS[0], linewidth=2)
        axis.plot(100 * row.difference, place, "o", color=COLOURS[0])
    axis.axvline(0, color="grey", linewidth=1)
    escaped = ["\n".join(map(escape_label, label.split("\n"))) for label in labels]
    axis.set_yticks(range(len(rows)), escaped)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel(escape_label(title))
    return figure, axis


def plot_exposures(recall: pd.DataFrame) -> Figure:
    """Plot each fact: how often it was seen in training against how often it was answered.

    `recall` is the table of `summarize_recall`: arm, id, exposures, recall. The line joins the mean
    recall of facts with similar exposures, of at least FEWEST facts. Points are moved by a little,
    so that none hides others.
    """
    arms = list(dict.fromkeys(recall["arm"]))
    figure, axes = _make_panels(arms, 2.5, "exposures per run")
    generator = np.random.default_rng(0)
    for axis, arm in zip(axes.flat, arms, strict=False):
        facts = recall[recall["arm"] == arm]
        moved = 100 * facts["recall"] + generator.uniform(-3, 3, len(facts))
        axis.plot(facts["exposures"], moved, ".", color=COLOURS[0], alpha=0.25)
        bands = facts.groupby(pd.qcut(facts["exposures"], BANDS, duplicates="drop"), observed=True)
        means = bands[["exposures", "recall"]].mean()[bands.size() >= FEWEST]
        axis.plot(means["exposures"], 100 * means["recall"], "o-", color=COLOURS[1], markersize=4)
    axes[0, 0].set_ylabel("runs with a\ncorrect answer, %")
    return figure


def plot_scaling(points: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Plot accuracy against x on a logarithmic axis, a panel per quantity, with the fitted lines.

    `points` and `fits` are the tables of `list_points` and `fit_curves`. Amounts of text have the
    mean slope of EntiGraph's curve beside them, drawn through the middle of all points.
    """
    quantities = list(dict.fromkeys(points["quantity"]))
    figure, axes = plt.subplots(
        len(quantities), figsize=(7, 3.4 * len(quantities)), squeeze=False, layout="constrained"
    )
    curves = list(dict.fromkeys(points["curve"]))
    for axis, quantity in zip(axes.flat, quantities, strict=True):
        for curve, group in points[points["quantity"] == quantity].groupby("curve", sort=False):
            k = curves.index(curve)
            accuracy, low, high = (100 * group[name] for name in ("accuracy", "low", "high"))
            axis.errorbar(
                group["x"], accuracy, yerr=[accuracy - low, high - accuracy], capsize=3,
                fmt=MARKERS[k % len(MARKERS)], color=COLOURS[k % len(COLOURS)],
                label=escape_label(curve),
            )  # fmt: skip
            for fit in fits[fits["curve"] == curve].itertuples():
                line = fit.accuracy_at_1 + fit.gain_per_doubling * np.log2(group["x"].astype(float))
                axis.plot(group["x"], 100 * line, color=COLOURS[k % len(COLOURS)], linewidth=1)
        here = points[points["quantity"] == quantity]
        if quantity != SIZE:
            doublings = np.log2(here["x"].astype(float))
            gains = calculate_published_gain() * (doublings - doublings.mean())
            line = sorted(zip(here["x"], 100 * (here["accuracy"].mean() + gains), strict=True))
            axis.plot(*zip(*line, strict=True), ":", color="grey", label="mean slope of EntiGraph")
        places = sorted(set(here["x"]))
        axis.set(xscale="log", xlabel=quantity, ylabel=f"{here['outcome'].iloc[0]}, % correct")
        axis.set_xticks(places, [_format_count(place) for place in places])
        axis.minorticks_off()
        axis.legend(fontsize=9)
    return figure


def _format_count(number: float) -> str:
    return f"{number / 1e6:.1f} M" if number >= 1e5 else f"{number:.0f}"


def plot_forgetting(scores: pd.DataFrame, primary: str, forgetting: str) -> Figure:
    """Plot what each arm knows of its texts against what it still knows from before.

    `scores` is the table of `score_arms`. Up is more new knowledge, right is less forgetting. Arms
    not above chance there cannot be compared: they are grey points.
    """
    table = scores.set_index(["outcome", "arm"])
    both = [arm for arm in _order_arms(scores["arm"]) if (primary, arm) in table.index]
    arms = [arm for arm in both if (forgetting, arm) in table.index]
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    at_chance = list_lost(scores, forgetting)
    lost = [arm for arm in arms if arm in at_chance]
    for k, arm in enumerate(arm for arm in arms if arm not in lost):
        new, old = table.loc[(primary, arm)], table.loc[(forgetting, arm)]
        colour = "grey" if is_base(arm) else COLOURS[k % len(COLOURS)]
        axis.errorbar(
            100 * old["accuracy"], 100 * new["accuracy"],
            xerr=[[100 * (old["accuracy"] - old["low"])], [100 * (old["high"] - old["accuracy"])]],
            yerr=[[100 * (new["accuracy"] - new["low"])], [100 * (new["high"] - new["accuracy"])]],
            fmt=MARKERS[k % len(MARKERS)], color=colour, capsize=2, label=escape_label(arm),
        )  # fmt: skip
    if lost:
        points = [
            100 * table.loc[[(name, arm) for arm in lost], "accuracy"]
            for name in (forgetting, primary)
        ]
        names = join(lost) if len(lost) <= NAMED else f"{len(lost)} arms"
        label = escape_label(f"not above chance: {names}")
        axis.plot(*points, "o", color="darkgrey", markersize=4, label=label)
    for line, name in ((axis.axvline, forgetting), (axis.axhline, primary)):
        chance = scores.loc[scores["outcome"] == name, "chance"].mean()
        line(100 * chance, linestyle="--", color="grey", linewidth=1)
    axis.set_xlabel(f"{escape_label(forgetting)}: accuracy, %")
    axis.set_ylabel(f"{escape_label(primary)}: accuracy, %")
    axis.legend(fontsize=9, bbox_to_anchor=(1.02, 1), loc="upper left")
    return figure
