"""Figures: scores by protocol, calibration, published accuracies."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clinical_camel import stats
from clinical_camel.core.values import escape_label
from clinical_camel.eval_fewshot.published import name_system

MODEL_MARKERS = "os^Dv"
PROTOCOL_MARKERS = "osD^vP*X<>hpd"
# Okabe and Ito. A model has one colour in all figures: the k-th of the study.
MODEL_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
# Tol's muted colours, the least similar to those of the first models first.
PROTOCOL_COLOURS = ["#882255", "#999933", "#000000", "#332288", "#88CCEE", "#CC6677", "#8C8C8C"]
PROTOCOL_COLOURS += ["#44AA99", "#DDCC77", "#117733", "#661100", "#6699CC", "#AA4466"]
MIN_ANSWERS = 10  # a group with fewer answers has no point in the reliability diagram
SHOTS = {0: ("0-shot", "o", "#0072B2", 0.18), 5: ("5-shot", "s", "#D55E00", -0.18)}
NO_SHOTS = ("shots not stated", "^", "#000000", 0.0)


def plot_scores(scores: pd.DataFrame) -> Figure:
    """Plot accuracy with its interval: a panel per benchmark, one below the other, with chance."""
    benchmarks = list(scores["benchmark"].unique())
    names = ["variant", "protocol", "num_shots"]
    counts = scores.groupby("benchmark")[names].apply(lambda rows: len(rows.drop_duplicates()))
    width = min(12, max(6, 1.2 * counts.max()))  # a tick label is about 1 inch
    figure, axes = plt.subplots(
        len(benchmarks), figsize=(width, 2.9 * len(benchmarks)), squeeze=False, layout="constrained"
    )
    for axis, benchmark in zip(axes[:, 0], benchmarks, strict=True):
        _plot_scores_panel(axis, scores[scores["benchmark"] == benchmark], names)
        axis.set_title(escape_label(benchmark))
        axis.set(ylabel="accuracy, %", ylim=(0, 100))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, fontsize=10)
    return figure


def _plot_scores_panel(axis: Axes, rows: pd.DataFrame, names: Sequence[str]) -> None:
    evaluations = list(dict.fromkeys(rows[names].itertuples(index=False, name=None)))
    for k, (model, group) in enumerate(rows.groupby("model", sort=False)):
        offset = 0.18 * (k - (rows["model"].nunique() - 1) / 2)
        places = [
            evaluations.index(evaluation) + offset
            for evaluation in group[names].itertuples(index=False, name=None)
        ]
        accuracy, low, high = (100 * group[name].to_numpy() for name in ("accuracy", "low", "high"))
        axis.errorbar(
            places,
            accuracy,
            yerr=[accuracy - low, high - accuracy],
            fmt=MODEL_MARKERS[k % len(MODEL_MARKERS)],
            color=MODEL_COLOURS[k % len(MODEL_COLOURS)],
            capsize=3,
            label=escape_label(model),
        )
    _plot_chance(axis, rows, [rows[names].eq(list(e)).all(axis=1) for e in evaluations])
    counts = rows.groupby(names)["n"].max()
    labels = []
    for variant, protocol, shots in evaluations:
        lines = [protocol]
        lines += [textwrap.fill(variant.replace("_", " "), 12)] if variant != "as_given" else []
        labels.append(
            "\n".join([*lines, f"{shots}-shot", f"n = {counts[variant, protocol, shots]}"])
        )
    axis.set_xticks(range(len(evaluations)), labels, fontsize=9)
    axis.set_xlim(-0.5, len(evaluations) - 0.5)


def _plot_chance(axis: Axes, rows: pd.DataFrame, places: Sequence[pd.Series]) -> None:
    """Plot the chance level as one line, or as one per place if free answers have another."""
    if _has_one_chance(rows):
        axis.axhline(100 * rows["chance"].mean(), linestyle="--", color="grey", label="chance")
        return
    for x, is_here in enumerate(places):
        chance = [100 * rows.loc[is_here, "chance"].mean()] * 2
        axis.plot([x - 0.4, x + 0.4], chance, "--", color="grey", label="" if x else "chance")


def _has_one_chance(rows: pd.DataFrame) -> bool:
    """Return whether no row or every row is of free answers, which nobody can guess."""
    is_free = rows["chance"] == 0
    return bool(is_free.all() or not is_free.any())


def plot_calibration(table: pd.DataFrame) -> Figure:
    """Plot a reliability diagram per benchmark: accuracy against confidence, a colour per model.

    `table` is `compute_calibration` for one variant, protocol and number of shots. A point is a
    group of at least MIN_ANSWERS answers, with its 95 % Wilson interval. The dotted line is perfect
    calibration.
    """
    benchmarks = list(table["benchmark"].unique())
    count = max(1, len(benchmarks))
    figure, axes = plt.subplots(
        1, count, figsize=(4.2 * count, 4.4), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, benchmark in zip(axes[0], benchmarks, strict=False):
        rows = table[table["benchmark"] == benchmark]
        axis.plot([0, 100], [0, 100], linestyle=":", color="grey", label="perfectly calibrated")
        for k, (model, group) in enumerate(rows.groupby("model", sort=False)):
            _plot_calibration_points(axis, k, model, group[group["n"] >= MIN_ANSWERS])
        axis.set(title=escape_label(benchmark), xlim=(0, 104), ylim=(0, 104))
        axis.set_xlabel("confidence in the predicted option, %")
    axes[0, 0].set_ylabel("accuracy, %")
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
        100 * group["confidence"].to_numpy(dtype=float),
        accuracy,
        yerr=np.maximum([accuracy - low, high - accuracy], 0),  # 1e-15 below 0 by rounding
        fmt=MODEL_MARKERS[k % len(MODEL_MARKERS)],
        color=MODEL_COLOURS[k % len(MODEL_COLOURS)],
        markersize=5,
        linewidth=1.2,
        label=escape_label(model),
    )


# -------------------------------------------------------------------------------- protocols


def plot_protocols(scores: pd.DataFrame) -> Figure:
    """Plot how much the protocol alone changes the score of one model.

    A row per benchmark and number of shots, a dot with its 95 % interval per protocol, a short line
    at chance. The text on the right is the range from the lowest to the highest score, in points.
    Each protocol has its own colour and marker. Raises ValueError for the
    scores of several models.
    """
    models = list(dict.fromkeys(scores["model"]))
    if len(models) != 1:
        raise ValueError(f"scores of {', '.join(models) or 'no model'}; select one model")
    protocols = list(dict.fromkeys(scores["protocol"]))
    groups = list(scores.groupby(["benchmark", "num_shots"], sort=False))[::-1]  # first on top
    height = 0.3 + 0.11 * len(protocols)
    figure, axis = plt.subplots(figsize=(9, 1.3 + height * len(groups)), layout="constrained")
    for y, (_, rows) in enumerate(groups):
        _plot_protocols_row(axis, y, rows, protocols)
    labels = [
        f"{escape_label(name)}\n{shots}-shot, n = {rows['n'].max():,}"
        for (name, shots), rows in groups
    ]
    axis.set_yticks(range(len(groups)), labels, fontsize=9)
    axis.set_ylim(-0.5, len(groups) - 0.5)
    axis.set_xlim(0, 100)
    axis.set_xlabel("accuracy, %")
    axis.grid(visible=True, axis="x", alpha=0.3)
    for y in range(len(groups) - 1):
        axis.axhline(y + 0.5, color="lightgrey", linewidth=0.8)
    axis.set_title(f"model: {escape_label(models[0])}", loc="left", fontsize=10)
    handles, names = axis.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    order = [name for name in [*protocols, "chance"] if name in unique]
    figure.legend(
        [unique[name] for name in order], order, loc="outside lower center", ncols=4, fontsize=10
    )
    return figure


def _plot_protocols_row(axis: Axes, y: int, rows: pd.DataFrame, protocols: Sequence[str]) -> None:
    step = 0.76 / max(len(protocols), 1)
    for score in rows.to_dict("records"):
        k = protocols.index(score["protocol"])
        accuracy, low, high = (100 * score[name] for name in ("accuracy", "low", "high"))
        axis.errorbar(
            accuracy,
            y + step * ((len(protocols) - 1) / 2 - k),
            xerr=[[accuracy - low], [high - accuracy]],
            fmt=PROTOCOL_MARKERS[k % len(PROTOCOL_MARKERS)],
            color=PROTOCOL_COLOURS[k % len(PROTOCOL_COLOURS)],
            markersize=6,
            linewidth=1.2,
            label=score["protocol"],
        )
        if not _has_one_chance(rows):
            height = y + step * ((len(protocols) - 1) / 2 - k)
            chance, ends = [100 * score["chance"]] * 2, [height - step / 2, height + step / 2]
            axis.plot(chance, ends, "--", color="grey", linewidth=1, label="chance")
    if _has_one_chance(rows):
        chance = [100 * rows["chance"].mean()] * 2
        axis.plot(chance, [y - 0.45, y + 0.45], "--", color="grey", linewidth=1, label="chance")
    lowest, highest = 100 * rows["accuracy"].min(), 100 * rows["accuracy"].max()
    text = f"{highest - lowest:.1f} points\n{lowest:.1f} to {highest:.1f}"
    place = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
    axis.annotate(text, (1.01, y), va="center", fontsize=9, **place)


# -------------------------------------------------------------------------------- published


def plot_published(table: pd.DataFrame) -> Figure:
    """Plot published accuracies: a panel per benchmark, a row per system.

    `table` holds rows of `assess_published`. The interval is Wilson's, where the number of items is
    known; the dashed line is chance. A hollow marker is a recalled value without a source. n is
    beside the name; a question mark means that it was inferred from the value.
    """
    names = list(dict.fromkeys(table["benchmark"]))
    most = max(len(_list_systems(rows)) for _, rows in table.groupby("benchmark"))
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    size = (1.2 + 4.4 * columns, 0.8 + lines * (0.9 + 0.34 * most))
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    for axis, name in zip(axes.flat, names, strict=False):
        _plot_published_panel(axis, table[table["benchmark"] == name])
        axis.set_title(name, fontsize=10)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    handles = {}
    for axis in axes.flat:
        handles |= dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    order = sorted(handles)  # 0-shot, 5-shot, chance, shots not stated
    figure.legend(
        [handles[name] for name in order], order, loc="outside lower center", ncols=6, fontsize=9
    )
    return figure


def _list_systems(rows: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(map(name_system, rows.to_dict("records"))))


def _plot_published_panel(axis: Axes, rows: pd.DataFrame) -> None:
    systems = _list_systems(rows)[::-1]  # the first on top
    counts: dict[str, list[str]] = {name: [] for name in systems}
    has_one_height = len(rows["shots"].drop_duplicates()) == 1
    for row in rows.to_dict("records"):
        system = name_system(row)
        _plot_published_dot(axis, systems.index(system), row, has_one_height)
        n = "unknown" if pd.isna(row["n"]) else f"{row['n']:,}"
        counts[system].append(n + ("?" if row["n_from"] == "inferred" else ""))
    labels = [f"{name}, n = {', '.join(dict.fromkeys(counts[name]))}" for name in systems]
    if rows["chance"].notna().any():
        axis.axvline(rows["chance"].max(), linestyle="--", color="grey", label="chance")
    axis.set_yticks(range(len(systems)), labels, fontsize=8)
    axis.set_ylim(-0.6, len(systems) - 0.4)
    axis.set_xlim(0, 100)
    axis.set_xlabel("accuracy, %", fontsize=9)
    axis.grid(visible=True, axis="x", alpha=0.3)


def _plot_published_dot(axis: Axes, y: float, row: dict, has_one_height: bool) -> None:
    shots = None if pd.isna(row["shots"]) else row["shots"]
    label, marker, colour, offset = SHOTS.get(shots, NO_SHOTS)
    spread = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
    axis.errorbar(
        row["value"],
        y if has_one_height else y + offset,
        xerr=None if pd.isna(row["low"]) else spread,
        fmt=marker,
        color=colour,
        markerfacecolor="white" if row["recalled"] else colour,
        markersize=5.5,
        linewidth=1.2,
        label=label + (" (recalled, no source found)" if row["recalled"] else ""),
    )
