"""Figures of step 04. Names that come from a user are escaped, so that "$" starts no formula."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from clinical_camel import grounding
from clinical_camel.core.colours import MODEL_MARKERS
from clinical_camel.core.figures import measure_errors, plot_intervals, tidy_figure
from clinical_camel.core.values import escape_label
from clinical_camel.core.wording import format_percent
from clinical_camel.note_synthesis.baselines import BASELINES
from clinical_camel.note_synthesis.faithfulness import WHOLE
from clinical_camel.note_synthesis.scores import METRICS
from clinical_camel.note_synthesis.structure import STATUSES

MAIN = "rougeL"  # the metric of a figure that has one


def plot_scores(summary: pd.DataFrame) -> Figure:
    """Plot each metric of the note of each model with its interval, one panel per corpus."""
    summary = summary[summary["part"] == "whole"]
    figure, panels = _make_panels(summary)
    for corpus, axes in panels.items():
        rows = summary[summary["corpus"] == corpus]
        for k, (_, row) in enumerate(rows.iterrows()):
            x = np.arange(len(METRICS)) + 0.15 * (k - (len(rows) - 1) / 2)
            _plot_intervals(axes, x, [row], METRICS, k, row["model"])
        axes.set(ylabel="mean, 0 to 1", ylim=(0, None), title=escape_label(f"{corpus}, whole"))
    axes.set_xticks(range(len(METRICS)), METRICS.values())
    return _finish(figure, panels)


def plot_parts(summary: pd.DataFrame) -> Figure:
    """Plot ROUGE-L by division of the note, one panel per corpus, with n of each division.

    A filled marker with an interval is the mean with 0 for each missing part. If parts are missing,
    a hollow marker is the mean of the written parts.
    """
    parts = list(dict.fromkeys(summary["part"]))
    figure, panels = _make_panels(summary, sharex=False, height=2.9)
    for corpus, axes in panels.items():
        own = summary[summary["corpus"] == corpus]
        models = own.groupby("model", sort=False)
        for k, (name, rows) in enumerate(models):
            x = np.arange(len(parts)) + 0.13 * (k - (len(models) - 1) / 2)
            rows = [row for _, row in rows.set_index("part").reindex(parts).iterrows()]
            _plot_intervals(axes, x, rows, [MAIN], k, name)
            present = [row[f"{MAIN}_if_present"] if row["missing"] else np.nan for row in rows]
            marker = MODEL_MARKERS[k % len(MODEL_MARKERS)]
            axes.plot(x, present, marker, markerfacecolor="white", color=f"C{k}")
        axes.set(ylabel=METRICS[MAIN], ylim=(0, None), title=escape_label(corpus))
        counts = own.groupby("part")["n"].max().reindex(parts, fill_value=0)
        axes.set_xticks(range(len(parts)), [f"{part}\nn = {counts[part]}" for part in parts])
    return _finish(figure, panels)


def _make_panels(
    summary: pd.DataFrame, sharex: bool = True, height: float = 2.6
) -> tuple[Figure, dict[str, Axes]]:
    corpora = list(dict.fromkeys(summary["corpus"]))
    size = (7.5, height * len(corpora) + 0.4)
    figure, panels = plt.subplots(len(corpora), figsize=size, squeeze=False, sharex=sharex)
    return figure, dict(zip(corpora, panels[:, 0], strict=True))


def _finish(figure: Figure, panels: dict[str, Axes]) -> Figure:
    first = next(iter(panels.values()))
    first.legend(fontsize=9, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.45))
    return tidy_figure(figure)


def _plot_intervals(axes: Axes, x, rows, metrics, k: int, label: str) -> None:
    value, *limits = (
        np.array([row[f"{name}{end}"] for row in rows for name in metrics], dtype=float)
        for end in ("", "_low", "_high")
    )
    style = {"fmt": MODEL_MARKERS[k % len(MODEL_MARKERS)], "capsize": 3, "color": f"C{k}"}
    style |= {"clip_on": False}  # a marker at 0 is complete
    plot_intervals(axes, (x, value), limits, label, **style)


def plot_decodings(table: pd.DataFrame) -> Figure:
    """Plot ROUGE-L and the share of notes with status ok, by model and decoding.

    `table`: the result of `score_decodings`.
    """
    names = [escape_label(f"{row.corpus}, {row.model}") for row in table.itertuples()]
    lines = list(dict.fromkeys(names))
    size = (8, 0.5 * len(lines) + 1.5)
    figure, (scores, shares) = plt.subplots(1, 2, figsize=size, sharey=True)
    places = pd.Series([lines.index(name) for name in names], table.index)
    for k, (decoding, rows) in enumerate(table.groupby("decoding", sort=False)):
        y = places[rows.index] + 0.18 * k
        lengths = measure_errors(rows[MAIN], rows[f"{MAIN}_low"], rows[f"{MAIN}_high"])
        marker = MODEL_MARKERS[k % len(MODEL_MARKERS)]
        style = {"fmt": marker, "capsize": 3, "label": escape_label(decoding)}
        scores.errorbar(rows[MAIN], y, xerr=lengths, **style)
        shares.plot(rows["ok"] / rows["notes"], y, marker)
    scores.set_yticks(range(len(lines)), lines)
    scores.set(xlabel=f"{METRICS[MAIN]} with 95 % interval", xlim=(0, None))
    scores.set(ylim=(len(lines) - 0.5, -0.3))
    shares.set(xlabel="notes with status ok", xlim=(-0.03, 1.03))
    shares.xaxis.set_major_formatter(PercentFormatter(1))
    scores.legend(fontsize=9, ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0))
    return tidy_figure(figure)


def plot_statuses(counts: pd.DataFrame) -> Figure:
    """Plot the share of outputs with each status, one bar per corpus and writer.

    The form of a baseline is not judged (`write_baselines`), and its label says so.
    """
    figure, axes = plt.subplots(figsize=(7.5, 0.45 * len(counts) + 1.3))
    remarks = {name: " (form not judged)" for name in BASELINES}
    names = [
        escape_label(f"{row.corpus}, {row.model}{remarks.get(row.model, '')}")
        for row in counts.itertuples()
    ]
    shares = counts[list(STATUSES)].div(counts["notes"], axis=0)
    colours = sns.color_palette("colorblind", len(STATUSES))
    _stack_bars(axes, names, shares, colours, ("", "//", "xx", "..", "\\\\", "++", "oo"))
    axes.set(xlabel="share of the outputs", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    return tidy_figure(figure)


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
    axes.legend(fontsize=9, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0))


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
    return tidy_figure(figure)


def _name_writer(row) -> str:
    return escape_label(row.model if row.notes == WHOLE else f"{row.model}, {row.notes}")


def _plot_verdicts(axes: Axes, rows: pd.DataFrame) -> None:
    shares = rows.pivot_table(index="writer", columns="kind", values="share", sort=False)
    names = [f"{name} (n = {rows.loc[rows['writer'] == name, 'n'].max()})" for name in shares.index]
    colours = [sns.color_palette("colorblind", 4)[i] for i in (0, 3, 1)]
    _stack_bars(axes, names, shares[list(grounding.VERDICTS)], colours, ("", "xx", "//"))
    rows = rows[rows["kind"] == "supported"]
    lengths = measure_errors(rows["share"], rows["low"], rows["high"])
    axes.errorbar(rows["share"], names, xerr=lengths, fmt="none", ecolor="black", capsize=3)
    axes.set(xlabel="share of the sentences of a note, mean over notes", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))


def _plot_coverage(axes: Axes, rows: pd.DataFrame) -> None:
    if rows.empty:
        axes.set_axis_off()
        return
    texts = [format_percent(r.share, r.low, r.high, 0) for r in rows.itertuples()]
    rows = rows.assign(cell=[text.replace(" [", "\n[") for text in texts])
    shares, cells = (
        rows.pivot_table(index="kind", columns="writer", values=v, sort=False, aggfunc="first")
        for v in ("share", "cell")
    )
    counts = rows.groupby("kind", sort=False)[["items", "n"]].max()
    labels = [f"{kind}\n({facts} facts, {n} visits)" for kind, facts, n in counts.itertuples()]
    style = {"vmin": 0, "vmax": 1, "cmap": "Blues", "cbar": False, "fmt": "", "linewidths": 1}
    style |= {"annot_kws": {"fontsize": 9}, "yticklabels": labels}
    sns.heatmap(shares, annot=cells.fillna(""), ax=axes, **style)
    axes.set(xlabel="", ylabel="", title="% of the facts covered, with 95 % interval")
    axes.tick_params(axis="x", rotation=20)
    plt.setp(axes.get_xticklabels(), ha="right")
    axes.tick_params(axis="y", rotation=0, labelsize=9)
