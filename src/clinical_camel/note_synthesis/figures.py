"""Figures of step 04. Names that come from a user are escaped, so that "$" starts no formula."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clinical_camel import grounding
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
    """Plot one metric by division of the note, one panel per corpus."""
    parts = list(dict.fromkeys(summary["part"]))
    figure, panels = _make_panels(summary)
    for corpus, axes in panels.items():
        models = summary[summary["corpus"] == corpus].groupby("model", sort=False)
        for k, (name, rows) in enumerate(models):
            x = np.arange(len(parts)) + 0.13 * (k - (len(models) - 1) / 2)
            rows = [row for _, row in rows.set_index("part").reindex(parts).iterrows()]
            _plot_intervals(axes, x, rows, [metric], k, name)
        axes.set(ylabel=METRICS[metric], ylim=(0, None), title=escape_label(corpus))
    return _finish(figure, panels, parts)


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
    scores.set(xlabel=f"{METRICS[metric]} with 95 % interval", ylim=(len(lines) - 0.5, -0.3))
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
    """Plot the verdicts on sentences and the facts covered by kind, one row per corpus."""
    corpora = list(dict.fromkeys(summary["corpus"]))
    models = list(dict.fromkeys(summary["model"]))
    count = len(corpora) or 1  # without a sentence the panels are empty
    size = (10, (0.35 * len(models) + 3.2) * count)
    figure, panels = plt.subplots(count, 2, figsize=size, squeeze=False)
    for k, ((first, second), corpus) in enumerate(zip(panels, corpora, strict=False)):
        rows = summary[summary["corpus"] == corpus]
        sentences, facts = (rows[rows["measure"] == m] for m in ("sentences", "facts covered"))
        _plot_shares(first, sentences, ("model", models), ("kind", grounding.VERDICTS))
        kinds = list(dict.fromkeys(facts["kind"]))
        _plot_shares(second, facts, ("kind", kinds), ("model", models))
        first.set(xlabel="share of sentences in the notes")
        second.set(xlabel="share of facts covered by the note")
        first.set_title(escape_label(corpus), loc="left", pad=6 if k else 40)
        if k == 0:
            for axes in (first, second):
                axes.legend(fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    return _tidy(figure)


def _plot_shares(
    axes: Axes,
    table: pd.DataFrame,
    lines: tuple[str, Sequence[str]],
    series: tuple[str, Sequence[str]],
) -> None:
    """Plot shares with intervals: one line per name with its largest n, one marker per series.

    `lines` and `series`: a column of the table and its values in order.
    """
    (column, names), (series_column, values) = lines, series
    step = 0.7 / len(values)
    colours = sns.color_palette("colorblind", len(values))
    for k, (value, colour) in enumerate(zip(values, colours, strict=True)):
        rows = table[table[series_column] == value]
        y = [names.index(name) + step * (k - (len(values) - 1) / 2) for name in rows[column]]
        lengths = _error_lengths(rows["share"], rows["low"], rows["high"])
        style = {"fmt": MARKERS[k % 8], "color": colour, "markersize": 5, "capsize": 2}
        axes.errorbar(rows["share"], y, xerr=lengths, label=escape_label(value), **style)
    counts = table.groupby(column)["n"].max()
    labels = [f"{escape_label(name)} ({counts.get(name, 0)})" for name in names]
    axes.set_yticks(range(len(names)), labels)
    axes.set(xlim=(-0.03, 1.03), ylim=(max(len(names), 1) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)


def escape_label(text: str) -> str:
    """Return a name for a figure: no mathematics, one line, at most 40 characters."""
    line = flatten_text(str(text))
    return (line if len(line) <= 40 else f"{line[:39]}…").replace("$", r"\$")
