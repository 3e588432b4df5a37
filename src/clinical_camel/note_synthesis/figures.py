"""Figures of step 04. Names that come from a user are escaped, so that "$" starts no formula."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from clinical_camel import grounding
from clinical_camel.core.values import escape_label
from clinical_camel.note_synthesis.faithfulness import WHOLE
from clinical_camel.note_synthesis.percent import format_percent
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
    a hollow marker is the mean of the written parts.
    """
    parts = list(dict.fromkeys(summary["part"]))
    figure, panels = _make_panels(summary)
    for corpus, axes in panels.items():
        models = summary[summary["corpus"] == corpus].groupby("model", sort=False)
        for k, (name, rows) in enumerate(models):
            x = np.arange(len(parts)) + 0.13 * (k - (len(models) - 1) / 2)
            rows = [row for _, row in rows.set_index("part").reindex(parts).iterrows()]
            _plot_intervals(axes, x, rows, [metric], k, name)
            present = [row[f"{metric}_if_present"] if row["missing"] else np.nan for row in rows]
            axes.plot(x, present, MARKERS[k % 5], markerfacecolor="white", color=f"C{k}")
        axes.set(ylabel=METRICS[metric], ylim=(0, None), title=escape_label(corpus))
    counts = summary.groupby("part", sort=False)["n"].max()
    return _finish(figure, panels, [f"{part}\nn = {counts[part]}" for part in parts])


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
    style |= {"color": f"C{k}", "clip_on": False}  # a marker at 0 is complete
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
    shares.set(xlabel="notes with status ok", xlim=(-0.03, 1.03))
    shares.xaxis.set_major_formatter(PercentFormatter(1))
    scores.legend(fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0))
    return _tidy(figure)


def plot_statuses(counts: pd.DataFrame) -> Figure:
    """Plot the share of notes with each status, one bar per corpus and model."""
    figure, axes = plt.subplots(figsize=(7.5, 0.45 * len(counts) + 1.3))
    names = [escape_label(f"{row.corpus}, {row.model}") for row in counts.itertuples()]
    shares = counts[list(STATUSES)].div(counts["notes"], axis=0)
    colours = sns.color_palette("colorblind", len(STATUSES))
    _stack_bars(axes, names, shares, colours, ("", "//", "xx", "..", "\\\\", "++", "oo"))
    axes.set(xlabel="share of the outputs", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    return _tidy(figure)


def _stack_bars(axes: Axes, names: list[str], shares: pd.DataFrame, colours, hatches) -> None:
    """Draw a bar per row from the columns that are not zero everywhere, the first row on top."""
    start = np.zeros(len(shares))
    for label, colour, hatch in zip(shares, colours, hatches, strict=True):
        share = shares[label].to_numpy()
        if share.any():
            style = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": label}
            axes.barh(names, share, left=start, **style)
        start += share
    axes.invert_yaxis()
    axes.legend(fontsize=8, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0))


def plot_faithfulness(summary: pd.DataFrame) -> Figure:
    """Plot the verdicts on sentences as stacked bars, and the facts covered by kind as a table.

    Two panels per corpus. A bar is a writer, with its number of notes; the error bar is the
    interval of the supported share. A cell of the table is a mean share with its interval. A kind
    of fact that no visit states has no line.
    """
    corpora = list(dict.fromkeys(summary["corpus"]))
    heights = []
    for corpus in corpora or [""]:
        rows = summary[summary["corpus"] == corpus]
        writers = rows[["model", "notes"]].drop_duplicates()
        heights += [0.42 * max(3, len(writers)) + 1.2, 0.42 * rows["kind"].nunique() + 1.4]
    figure, panels = plt.subplots(
        len(heights), figsize=(8, sum(heights)), height_ratios=heights, squeeze=False
    )
    for corpus, bars, table in zip(corpora, panels[::2, 0], panels[1::2, 0], strict=False):
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
    colours = [sns.color_palette("colorblind", 4)[i] for i in (0, 3, 1)]
    _stack_bars(axes, names, shares[list(grounding.VERDICTS)], colours, ("", "xx", "//"))
    rows = rows[rows["kind"] == "supported"]
    lengths = _error_lengths(rows["share"], rows["low"], rows["high"])
    axes.errorbar(rows["share"], names, xerr=lengths, fmt="none", ecolor="black", capsize=3)
    axes.set(xlabel="share of the sentences of a note, mean over notes", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))


def _plot_coverage(axes: Axes, rows: pd.DataFrame) -> None:
    if rows.empty:
        axes.set_axis_off()
        return
    texts = map(format_percent, rows["share"], rows["low"], rows["high"])
    rows = rows.assign(cell=[text.replace(" [", "\n[") for text in texts])
    shares, cells = (
        rows.pivot_table(index="kind", columns="writer", values=v, sort=False, aggfunc="first")
        for v in ("share", "cell")
    )
    counts = rows.groupby("kind", sort=False)[["items", "n"]].max()
    labels = [f"{kind}\n({facts} facts, {n} visits)" for kind, facts, n in counts.itertuples()]
    style = {"vmin": 0, "vmax": 1, "cmap": "Blues", "cbar": False, "fmt": "", "linewidths": 1}
    style |= {"annot_kws": {"fontsize": 8}, "yticklabels": labels}
    sns.heatmap(shares, annot=cells.fillna(""), ax=axes, **style)
    axes.set(xlabel="", ylabel="", title="% of the facts covered, with 95 % interval")
    axes.tick_params(axis="x", rotation=20)
    plt.setp(axes.get_xticklabels(), ha="right")
    axes.tick_params(axis="y", rotation=0, labelsize=8)
