"""What the notebook shows: scores with their intervals, and a transcript beside its notes.

Nothing that came from a transcript or a model is live on the page: text is escaped, and kept from
MathJax; file names in figures are kept from matplotlib's mathematics.
"""

import html
import re
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.prompts import plain_text, spoken
from clinical_camel.note_synthesis.scores import METRICS
from clinical_camel.note_synthesis.structure import STATUSES

# For light backgrounds; told apart by their sign too, for those who do not see the colour.
MARKS = {
    "supported": ("#cfe8f7", "✓"),
    "kept": ("#cfe8f7", "✓"),
    "unsupported": ("#fde3c8", "?"),
    "omitted": ("#fde3c8", "○"),
    "contradicted": ("#e9c7dd", "✗"),
}


def plot_scores(summary: pd.DataFrame, part: str = "whole") -> Figure:
    """Each metric of each model with its interval, a panel a corpus."""
    table = summary[summary["part"] == part]
    corpora = list(dict.fromkeys(table["corpus"]))
    figure, panels = plt.subplots(
        len(corpora), figsize=(7.5, 2.6 * len(corpora) + 0.4), squeeze=False, sharex=True
    )
    for axes, corpus in zip(panels[:, 0], corpora, strict=True):
        rows = table[table["corpus"] == corpus]
        for k, (_, row) in enumerate(rows.iterrows()):
            places = np.arange(len(METRICS)) + 0.15 * (k - (len(rows) - 1) / 2)
            _errorbar(axes, places, [row], METRICS, "os^Dv"[k % 5], plain_label(row["model"]))
        axes.set(ylabel="mean, 0 to 1", ylim=(0, None), title=plain_label(f"{corpus}, {part}"))
    panels[-1, 0].set_xticks(range(len(METRICS)), METRICS.values())
    panels[0, 0].legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.45))
    sns.despine(figure)
    figure.tight_layout()
    return figure


def _errorbar(axes, places, rows, metrics, marker: str, label: str) -> None:
    values = np.array([row[name] for row in rows for name in metrics], dtype=float)
    low = np.array([row[f"{name}_low"] for row in rows for name in metrics], dtype=float)
    high = np.array([row[f"{name}_high"] for row in rows for name in metrics], dtype=float)
    spread = np.nan_to_num(np.abs(np.array([values - low, high - values])))
    axes.errorbar(places, values, yerr=spread, fmt=marker, capsize=3, markersize=5, label=label)


def plot_parts(summary: pd.DataFrame, metric: str = "rougeL") -> Figure:
    """One metric by division of the note, a panel a corpus: which part is written well?"""
    corpora = list(dict.fromkeys(summary["corpus"]))
    parts = list(dict.fromkeys(summary["part"]))
    figure, panels = plt.subplots(
        len(corpora), figsize=(7.5, 2.6 * len(corpora) + 0.4), squeeze=False, sharex=True
    )
    for axes, corpus in zip(panels[:, 0], corpora, strict=True):
        models = summary[summary["corpus"] == corpus].groupby("model", sort=False)
        for k, (name, rows) in enumerate(models):
            rows = rows.set_index("part").reindex(parts)
            places = np.arange(len(parts)) + 0.13 * (k - (len(models) - 1) / 2)
            each = [row for _, row in rows.iterrows()]
            _errorbar(axes, places, each, [metric], "os^Dv"[k % 5], plain_label(name))
        axes.set(ylabel=METRICS[metric], ylim=(0, None), title=plain_label(corpus))
    panels[-1, 0].set_xticks(range(len(parts)), parts)
    panels[0, 0].legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.45))
    sns.despine(figure)
    figure.tight_layout()
    return figure


def plot_decodings(table: pd.DataFrame, metric: str = "rougeL") -> Figure:
    """One metric and the share of notes that are ok, by model, for each way of decoding.

    `table`: corpus, decoding, model, notes, ok, the metric with _low and _high; a row each.
    """
    names = [plain_label(f"{row.corpus}, {row.model}") for row in table.itertuples()]
    lines = list(dict.fromkeys(names))
    size = (8, 0.5 * len(lines) + 1.5)
    figure, (left, right) = plt.subplots(1, 2, figsize=size, sharey=True)
    for k, (decoding, rows) in enumerate(table.groupby("decoding", sort=False)):
        places = [
            lines.index(plain_label(f"{r.corpus}, {r.model}")) + 0.18 * k for r in rows.itertuples()
        ]
        spread = [rows[metric] - rows[f"{metric}_low"], rows[f"{metric}_high"] - rows[metric]]
        spread = np.nan_to_num(np.abs(np.array(spread, dtype=float)))
        style = {"fmt": "os^Dv"[k % 5], "capsize": 3, "label": plain_label(decoding)}
        left.errorbar(rows[metric], places, xerr=spread, **style)
        right.plot(rows["ok"] / rows["notes"], places, "os^Dv"[k % 5])
    left.set_yticks(range(len(lines)), lines)
    left.set(xlabel=f"{METRICS[metric]} with 95 % interval", ylim=(len(lines) - 0.5, -0.3))
    right.set(xlabel="share of notes with status ok", xlim=(-0.03, 1.03))
    left.legend(fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0))
    sns.despine(figure)
    figure.tight_layout()
    return figure


def plot_statuses(counts: pd.DataFrame) -> Figure:
    """What became of every note, as shares of a bar; a bar a corpus and model."""
    figure, axes = plt.subplots(figsize=(7.5, 0.45 * len(counts) + 1.3))
    names = [plain_label(f"{row.corpus}, {row.model}") for row in counts.itertuples()]
    left = np.zeros(len(counts))
    colours = sns.color_palette("colorblind", len(STATUSES))
    hatches = ("", "//", "xx", "..", "\\\\", "++", "oo")
    for name, colour, hatch in zip(STATUSES, colours, hatches, strict=True):
        share = (counts[name] / counts["notes"]).to_numpy()
        if share.any():
            style = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": name}
            axes.barh(names, share, left=left, **style)
        left += share
    axes.invert_yaxis()
    axes.set(xlabel="share of the notes", xlim=(0, 1))
    axes.legend(fontsize=8, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0))
    sns.despine(figure)
    figure.tight_layout()
    return figure


def plain_label(text: str) -> str:
    """A name for a figure: no mathematics, one line, at most 40 characters."""
    line = plain_text(str(text))
    return (line if len(line) <= 40 else f"{line[:39]}…").replace("$", r"\$")


def side_by_side(
    consultation: Consultation,
    notes: Mapping[str, str],
    note_marks: Mapping[str, str] | None = None,
    turn_marks: Mapping[str, str] | None = None,
) -> str:
    """A page of HTML: the transcript at the left, the notes at the right, everything escaped.

    `note_marks` has a mark (a key of MARKS) by line of a note, `turn_marks` by what was said; a
    line with a mark is coloured and has its sign in front, and the signs are explained below.
    """
    left = _lines("transcript", spoken(consultation), turn_marks or {})
    right = "".join(
        _lines(name, [("", line) for line in (text or "(nothing)").splitlines()], note_marks or {})
        for name, text in notes.items()
    )
    used = {*(note_marks or {}).values(), *(turn_marks or {}).values()}
    legend = " ".join(f"{_mark(name)} {name}" for name in MARKS if name in used)
    style = "display:flex;gap:1.5em;align-items:flex-start;color:#111;background:#fff;padding:.5em"
    return (
        f'<div class="tex2jax_ignore mathjax_ignore"><div style="{style}">'
        f'<div style="flex:1">{left}</div><div style="flex:1">{right}</div></div>'
        f"<p>{legend}</p></div>"
    )


def _lines(title: str, lines: list[tuple[str, str]], marks: Mapping[str, str]) -> str:
    shown = [_line(who + text, marks.get(text, "")) for who, text in lines]
    return f"<p><b>{_escaped(title)}</b></p>{''.join(shown)}"


def _line(text: str, mark: str) -> str:
    if not mark:
        return f"<div>{_escaped(text)}&nbsp;</div>"
    return f'<div style="background:{MARKS[mark][0]}">{_mark(mark)} {_escaped(text)}</div>'


def _mark(name: str) -> str:
    colour, sign = MARKS[name]
    return f'<span title="{name}" style="background:{colour}">{sign}</span>'


def _escaped(text: str) -> str:
    """Text for HTML on one line; a dollar or backslash stands alone, so that no formula begins.

    >>> _escaped("<b onclick='x'>$5</b>")
    '&lt;b onclick=&#x27;x&#x27;&gt;<span>$</span>5&lt;/b&gt;'
    """
    plain = html.escape(plain_text(text), quote=True)
    return re.sub(r"[$\\]", lambda found: f"<span>{found[0]}</span>", plain)
