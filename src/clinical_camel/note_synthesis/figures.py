"""Figures of step 04. Names that come from a user are escaped, so that "$" starts no formula."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clinical_camel import grounding
from clinical_camel.note_synthesis.faithfulness import WHOLE
from clinical_camel.note_synthesis.prompts import flatten_text
from clinical_camel.note_synthesis.scores import METRICS
from clinical_camel.note_synthesis.structure import STATUSES

MARKERS = "os^DvP*X"


def plot_scores(summary: pd.DataFrame, part: str = "whole") -> Figure:
    """Plot each metric of each model with its interval, one panel per corpus."""
    summary = summary[summary["part"] == part]
    figure, panels = _make_panels(summary)
    for corpus, axes in panels.items():
        rows = summary[summary["corpus"] == corpus]
        for k, (_, row) in enumerate(rows.iterrows()):
            x = np.arange(len(METRICS)) + 0.15 * (k - (len(rows) - 1) / 2)
            _plot_intervals(axes, x, [row], METRICS, k, row["model"])
        axes.set(ylabel="mean, 0 to 1", ylim=(0, None), title=escape_label(f"{corpus}, {part}"))
    return _finish(figure, panels, METRICS.values())


def plot_parts(summary: pd.DataFrame, metric: str = "rougeL") -> Figure:
    """Plot one metric by division of the note, one panel per corpus.

    A filled marker with an interval is the mean with 0 for each missing part. If parts are missing,
    their number is written next to it, and a hollow marker is the mean of the written parts.
    """
    parts = list(dict.fromkeys(summary["part"]))
    figure, panels = _make_panels(summary)
    for corpus, axes in panels.items():
        models = summary[summary["corpus"] == corpus].groupby("model", sort=False)
        for k, (name, rows) in enumerate(models):
            x = np.arange(len(parts)) + 0.13 * (k - (len(models) - 1) / 2)
            rows = [row for _, row in rows.set_index("part").reindex(parts).iterrows()]
            _plot_intervals(axes, x, rows, [metric], k, name)
            _mark_missing(axes, x, rows, metric, k)
        axes.set(ylabel=METRICS[metric], ylim=(0, None), title=escape_label(corpus))
    counts = summary.groupby("part", sort=False)["n"].max()
    return _finish(figure, panels, [f"{part}\nn = {counts[part]}" for part in parts])


def _mark_missing(axes: Axes, x, rows, metric: str, k: int) -> None:
    for place, row in zip(x, rows, strict=True):
        if row["missing"] and row[metric] == row[metric]:
            style = {"markersize": 5, "markerfacecolor": "white", "color": f"C{k}"}
            axes.plot(place, row[f"{metric}_if_present"], MARKERS[k % 5], **style)
            label = f" {row['missing']:.0f} missing"
            axes.text(place, row[metric], label, fontsize=7, color=f"C{k}", va="top")


def _make_panels(summary: pd.DataFrame) -> tuple[Figure, dict[str, Axes]]:
    corpora = list(dict.fromkeys(summary["corpus"]))
    size = (7.5, 2.6 * len(corpora) + 0.4)
    figure, panels = plt.subplots(len(corpora), figsize=size, squeeze=False, sharex=True)
    return figure, dict(zip(corpora, panels[:, 0], strict=True))


def _finish(figure: Figure, panels: dict[str, Axes], ticks) -> Figure:
    axes = list(panels.values())
    axes[-1].set_xticks(range(len(ticks)), ticks)
    axes[0].legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.45))
    return _tidy(figure)


def _tidy(figure: Figure) -> Figure:
    sns.despine(figure)
    figure.tight_layout()
    return figure


def _plot_intervals(axes: Axes, x, rows, metrics, k: int, label: str) -> None:
    value, low, high = (
        np.array([row[f"{name}{end}"] for row in rows for name in metrics], dtype=float)
        for end in ("", "_low", "_high")
    )
    style = {"fmt": MARKERS[k % 5], "capsize": 3, "markersize": 5, "label": escape_label(label)}
    style["color"] = f"C{k}"
    axes.errorbar(x, value, yerr=_error_lengths(value, low, high), **style)


def _error_lengths(value, low, high) -> np.ndarray:
    """Return the two lengths of each error bar for matplotlib; 0 where the interval is unknown."""
    return np.nan_to_num(np.abs(np.array([value - low, high - value], dtype=float)))


def plot_decodings(table: pd.DataFrame, metric: str = "rougeL") -> Figure:
    """Plot one metric and the share of notes with status ok, by model and decoding.

    `table`: the result of `score_decodings`.
    """
    names = [escape_label(f"{row.corpus}, {row.model}") for row in table.itertuples()]
    lines = list(dict.fromkeys(names))
    size = (8, 0.5 * len(lines) + 1.5)
    figure, (scores, shares) = plt.subplots(1, 2, figsize=size, sharey=True)
    places = pd.Series([lines.index(name) for name in names], table.index)
    for k, (decoding, rows) in enumerate(table.groupby("decoding", sort=False)):
        y = places[rows.index] + 0.18 * k
        lengths = _error_lengths(rows[metric], rows[f"{metric}_low"], rows[f"{metric}_high"])
        style = {"fmt": MARKERS[k % 5], "capsize": 3, "label": escape_label(decoding)}
        scores.errorbar(rows[metric], y, xerr=lengths, **style)
        shares.plot(rows["ok"] / rows["notes"], y, MARKERS[k % 5])
    scores.set_yticks(range(len(lines)), lines)
    scores.set(xlabel=f"{METRICS[metric]} with 95 % interval", xlim=(0, None))
    scores.set(ylim=(len(lines) - 0.5, -0.3))
    shares.set(xlabel="share of notes with status ok", xlim=(-0.03, 1.03))
    scores.legend(fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0))
    return _tidy(figure)


def plot_statuses(counts: pd.DataFrame) -> Figure:
    """Plot the share of notes with each status, one bar per corpus and model."""
    figure, axes = plt.subplots(figsize=(7.5, 0.45 * len(counts) + 1.3))
    names = [escape_label(f"{row.corpus}, {row.model}") for row in counts.itertuples()]
    start = np.zeros(len(counts))
    colours = sns.color_palette("colorblind", len(STATUSES))
    hatches = ("", "//", "xx", "..", "\\\\", "++", "oo")
    for name, colour, hatch in zip(STATUSES, colours, hatches, strict=True):
        share = (counts[name] / counts["notes"]).to_numpy()
        if share.any():
            style = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": name}
            axes.barh(names, share, left=start, **style)
        start += share
    axes.invert_yaxis()
    axes.set(xlabel="share of the notes", xlim=(0, 1))
    axes.legend(fontsize=8, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0))
    return _tidy(figure)


def plot_faithfulness(summary: pd.DataFrame) -> Figure:
    """Plot the verdicts on sentences as stacked bars, and the facts covered by kind as a table.

    One row of panels per corpus. A bar is a writer, with its number of notes; the error bar is the
    interval of the supported share. A kind of fact that no visit states has no line.
    """
    corpora = list(dict.fromkeys(summary["corpus"]))
    groups = summary[["corpus", "model", "notes"]].drop_duplicates().groupby("corpus").size()
    height = 0.42 * max([4, *groups]) + 1.6
    size = (11, height * max(1, len(corpora)))
    figure, panels = plt.subplots(max(1, len(corpora)), 2, figsize=size, squeeze=False)
    for (bars, table), corpus in zip(panels, corpora, strict=False):
        rows = summary[summary["corpus"] == corpus]
        rows = rows.assign(writer=[_name_writer(row) for row in rows.itertuples()])
        _plot_verdicts(bars, rows[rows["measure"] == "sentences"])
        bars.set_title(escape_label(corpus), loc="left", pad=26)
        _plot_coverage(table, rows[rows["measure"] == "facts covered"])
    return _tidy(figure)


def _name_writer(row) -> str:
    return escape_label(row.model if row.notes == WHOLE else f"{row.model}, {row.notes}")


def _plot_verdicts(axes: Axes, rows: pd.DataFrame) -> None:
    shares = rows.pivot_table(index="writer", columns="kind", values="share", sort=False)
    names = [f"{name} (n = {rows.loc[rows['writer'] == name, 'n'].max()})" for name in shares.index]
    start, colours = np.zeros(len(shares)), sns.color_palette("colorblind", 4)
    styles = zip(
        grounding.VERDICTS, (colours[0], colours[3], colours[1]), ("", "xx", "//"), strict=True
    )
    for verdict, colour, hatch in styles:
        style = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": verdict}
        axes.barh(names, shares[verdict], left=start, **style)
        start += shares[verdict].to_numpy()
    rows = rows[rows["kind"] == "supported"]
    lengths = _error_lengths(rows["share"], rows["low"], rows["high"])
    axes.errorbar(rows["share"], names, xerr=lengths, fmt="none", ecolor="black", capsize=3)
    axes.invert_yaxis()
    axes.set(xlabel="share of the sentences of a note, mean over notes", xlim=(0, 1))
    axes.legend(fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))


def _plot_coverage(axes: Axes, rows: pd.DataFrame) -> None:
    if rows.empty:
        axes.set_axis_off()
        return
    shares = rows.pivot_table(index="kind", columns="writer", values="share", sort=False)
    items = rows.groupby("kind", sort=False)["items"].max()
    labels = [f"{kind} ({items[kind]})" for kind in shares.index]
    style = {"vmin": 0, "vmax": 1, "cmap": "Blues", "cbar": False, "fmt": ".0f", "linewidths": 1}
    sns.heatmap(shares, annot=100 * shares, yticklabels=labels, ax=axes, **style)
    axes.set(xlabel="", ylabel="", title="% of the facts covered, by kind (facts)")
    axes.tick_params(axis="x", rotation=30)
    plt.setp(axes.get_xticklabels(), ha="right")
    axes.tick_params(axis="y", rotation=0)


def escape_label(text: str) -> str:
    """Return a name for a figure: no mathematics, one line, at most 40 characters."""
    line = flatten_text(str(text))
    return (line if len(line) <= 40 else f"{line[:39]}…").replace("$", r"\$")
