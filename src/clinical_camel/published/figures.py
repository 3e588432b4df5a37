"""Published accuracies with their intervals, a panel per benchmark."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clinical_camel.published.item_sets import name_system

SHOTS = {0: ("0-shot", "o", "#0072B2", 0.18), 5: ("5-shot", "s", "#D55E00", -0.18)}
NO_SHOTS = ("shots not stated", "^", "#000000", 0.0)


def plot_published(table: pd.DataFrame) -> Figure:
    """Plot published accuracies: a panel per benchmark, one below the other, a row per system.

    `table` holds rows of `assess_published`. The interval is Wilson's, where the number of items is
    known; the dashed line is chance. A hollow marker is a recalled value without a source. n is
    beside the name; a question mark means that it was inferred from the value.
    """
    names = list(dict.fromkeys(table["benchmark"]))
    panels = [table[table["benchmark"] == name] for name in names]
    counts = [len(_list_systems(rows)) for rows in panels]
    size = (7.5, 0.8 + 0.9 * len(names) + 0.34 * sum(counts))
    figure, axes = plt.subplots(
        len(names), figsize=size, height_ratios=counts, squeeze=False, layout="constrained"
    )
    for axis, name, rows in zip(axes.flat, names, panels, strict=True):
        _plot_published_panel(axis, rows)
        axis.set_title(name, fontsize=11)
    handles = {}
    for axis in axes.flat:
        handles |= dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    order = sorted(handles)  # 0-shot, 5-shot, chance, shots not stated
    figure.legend(
        [handles[name] for name in order], order, loc="outside lower center", ncols=4, fontsize=9
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
    axis.set_yticks(range(len(systems)), labels, fontsize=9)
    axis.set_ylim(-0.6, len(systems) - 0.4)
    axis.set_xlim(0, 100)
    axis.set_xlabel("accuracy, %", fontsize=10)
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
