"""Figures: the scores of all models, and of one model by protocol."""

import math
import textwrap
from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clinical_camel.core.colours import MODEL_COLOURS, MODEL_MARKERS
from clinical_camel.core.values import escape_label

MOST_EVALUATIONS = 6  # in a panel; a tick label is about 1 inch
PROTOCOL_MARKERS = "osD^vP*X<>hpd"
# Tol's muted colours, the least similar to those of the first models first.
PROTOCOL_COLOURS = ["#882255", "#999933", "#000000", "#332288", "#88CCEE", "#CC6677", "#8C8C8C"]
PROTOCOL_COLOURS += ["#44AA99", "#DDCC77", "#117733", "#661100", "#6699CC", "#AA4466"]


def plot_scores(scores: pd.DataFrame) -> Figure:
    """Plot accuracy with its interval: a panel per benchmark, one below the other.

    A benchmark with more than MOST_EVALUATIONS evaluations has several panels. Dashed: chance.
    Dotted: always choosing the most frequent answer, where this is better.
    """
    names = ["variant", "protocol", "num_shots"]
    panels = list(_split_panels(scores, names))
    width = max(6, 1.2 * max(len(rows[names].drop_duplicates()) for _, rows in panels))
    figure, axes = plt.subplots(
        len(panels), figsize=(width, 2.9 * len(panels)), squeeze=False, layout="constrained"
    )
    highest = 100 * scores[["high", "majority"]].max().max()  # missing if nothing was answered
    top = 100 if math.isnan(highest) else min(100, 10 * math.ceil(highest / 10 + 0.5))
    for axis, (title, rows) in zip(axes[:, 0], panels, strict=True):
        _plot_scores_panel(axis, rows, names)
        axis.set_title(escape_label(title))
        axis.set(ylabel="accuracy, %", ylim=(0, top))
    pairs = [zip(*axis.get_legend_handles_labels(), strict=True) for axis in axes[:, 0]]
    handles = {label: handle for panel in pairs for handle, label in panel}
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=5, fontsize=10)
    return figure


def _split_panels(scores: pd.DataFrame, names: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the title and the scores of each panel; those of one benchmark are nearly equal."""
    for benchmark, rows in scores.groupby("benchmark", sort=False):
        keys = list(rows[names].itertuples(index=False, name=None))
        evaluations = list(dict.fromkeys(keys))
        size = math.ceil(len(evaluations) / math.ceil(len(evaluations) / MOST_EVALUATIONS))
        for start in range(0, len(evaluations), size):
            shown = evaluations[start : start + size]
            title = f"{benchmark}, continued" if start else benchmark
            yield title, rows[[key in shown for key in keys]]


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
            markersize=5,
            label=escape_label(model),
        )
    places = [rows[names].eq(list(e)).all(axis=1) for e in evaluations]
    _plot_chance(axis, rows, places)
    _plot_majority(axis, rows, places)
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


def _plot_majority(axis: Axes, rows: pd.DataFrame, places: Sequence[pd.Series]) -> None:
    """Plot the score of the most frequent answer at each place where it is above chance."""
    for x, is_here in enumerate(places):
        majority, chance = rows.loc[is_here, ["majority", "chance"]].max()
        if majority > chance:
            line = [100 * majority] * 2
            axis.plot([x - 0.4, x + 0.4], line, ":", color="black", label="most frequent answer")


def _has_one_chance(rows: pd.DataFrame) -> bool:
    """Return whether no row or every row is of free answers, which nobody can guess."""
    is_free = rows["chance"] == 0
    return bool(is_free.all() or not is_free.any())


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
    figure, axis = plt.subplots(figsize=(8, 1.3 + height * len(groups)), layout="constrained")
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
