"""What the notebook shows: scores with their intervals, and a transcript beside its notes.

Nothing that came from a transcript or a model is live on the page: text is escaped, and kept from
MathJax; file names in figures are kept from matplotlib's mathematics.
"""

import html
import re
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from clinical_camel import grounding
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.prompts import plain_text, spoken
from clinical_camel.note_synthesis.scores import METRICS
from clinical_camel.note_synthesis.structure import STATUSES

# For light backgrounds; told apart by their sign too, for those who do not see the colour.
MARKS = {
    "supported": ("#cfe8f7", "✓"),
    "unsupported": ("#fde3c8", "?"),
    "contradicted": ("#e9c7dd", "✗"),
    "kept": ("#cfe8f7", "●"),
    "partly kept": ("#f6f1c2", "◐"),
    "omitted": ("#fde3c8", "○"),
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
    axes.errorbar(
        places,
        values,
        yerr=_spread(values, low, high),
        fmt=marker,
        capsize=3,
        markersize=5,
        label=label,
    )


def _spread(values, low, high) -> np.ndarray:
    """The two lengths of each error bar as matplotlib takes them; none where nothing is known."""
    return np.nan_to_num(np.abs(np.array([values - low, high - values], dtype=float)))


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
        spread = _spread(rows[metric], rows[f"{metric}_low"], rows[f"{metric}_high"])
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


def plot_check(summary: pd.DataFrame) -> Figure:
    """A row of two panels a corpus: the verdicts on the sentences, and the facts kept by kind."""
    corpora = list(dict.fromkeys(summary["corpus"]))
    writers = list(dict.fromkeys(summary["model"]))
    count = len(corpora) or 1  # without a sentence the panels are empty
    size = (10, (0.35 * len(writers) + 3.2) * count)
    figure, panels = plt.subplots(count, 2, figsize=size, squeeze=False)
    for place, ((left, right), corpus) in enumerate(zip(panels, corpora, strict=False)):
        rows = summary[summary["corpus"] == corpus]
        sentences, facts = (rows[rows["of"] == of] for of in ("sentences", "facts kept"))
        _shares(left, sentences, "model", writers, "kind", grounding.VERDICTS)
        kinds = list(dict.fromkeys(facts["kind"]))
        _shares(right, facts, "kind", kinds, "model", writers)
        left.set(xlabel="share of the sentences of the notes")
        right.set(xlabel="share of the facts of the visit that the note keeps")
        left.set_title(plain_label(corpus), loc="left", pad=6 if place else 40)
        if not place:
            for axes in (left, right):
                axes.legend(fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    sns.despine(figure)
    figure.tight_layout()
    return figure


def _shares(axes, table: pd.DataFrame, lines: str, names, series: str, each) -> None:
    """Shares with their intervals: a line a name, with the largest n of it, and a marker each."""
    colours = sns.color_palette("colorblind", len(each))
    step = 0.7 / len(each)
    for k, (one, colour) in enumerate(zip(each, colours, strict=True)):
        rows = table[table[series] == one]
        places = [names.index(name) + step * (k - (len(each) - 1) / 2) for name in rows[lines]]
        spread = _spread(rows["share"], rows["low"], rows["high"])
        style = {"fmt": "os^DvP*X"[k % 8], "color": colour, "markersize": 5, "capsize": 2}
        axes.errorbar(rows["share"], places, xerr=spread, label=plain_label(one), **style)
    counts = table.groupby(lines)["n"].max()
    labels = [f"{plain_label(name)} ({counts.get(name, 0)})" for name in names]
    axes.set_yticks(range(len(names)), labels)
    axes.set(xlim=(-0.03, 1.03), ylim=(max(len(names), 1) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)


def plain_label(text: str) -> str:
    """A name for a figure: no mathematics, one line, at most 40 characters."""
    line = plain_text(str(text))
    return (line if len(line) <= 40 else f"{line[:39]}…").replace("$", r"\$")


Marks = Mapping[str, tuple[str, str]]  # a key of MARKS and a remark, by what is marked


def side_by_side(
    consultation: Consultation,
    notes: Mapping[str, str],
    note_marks: Marks | None = None,
    turn_marks: Mapping[int, tuple[str, str]] | None = None,
) -> str:
    """A page of HTML: the transcript at the left, the notes at the right, everything escaped.

    `note_marks` has a mark (a key of MARKS) and a remark by sentence of a note, `turn_marks` by
    turn, counted from 1. What has a mark is coloured, has its sign in front and the remark behind;
    with any mark the turns are numbered and the signs explained above, always the same ones.
    """
    turns = dict(enumerate(spoken(consultation), start=1))
    marked = bool(note_marks or turn_marks)
    left = _title("transcript") + _turns(turns, turn_marks or {}, marked)
    right = "".join(_title(name) + _note(text, note_marks or {}) for name, text in notes.items())
    return _page(_columns(left, right), marked)


def read_worst(worst: pd.DataFrame, notes: pd.DataFrame, visits: Mapping) -> str:
    """A page of HTML: each row of `worst_sentences` or `worst_omissions`, its turns and its note.

    At the left the turns that the sentence rests on, or in which the omitted facts were said, and
    the answer to a question; at the right the whole note.
    """
    texts = notes.set_index(["corpus", "model", "id"])["note"]
    parts = []
    for place, row in enumerate(worst.to_dict("records"), start=1):
        visit = next(v for v in visits[row["corpus"]] if v.id == row["id"])
        wanted = [int(number) for number in row["turns"].split(", ") if number]
        turns = _with_answers(dict(enumerate(spoken(visit), start=1)), wanted)
        named, omitted = {}, row.get("omitted", "")
        if not omitted:
            named = {row["sentence"]: (row["verdict"], row["reasons"])}
        left = _turns(turns, dict.fromkeys(wanted, ("omitted", "")) if omitted else {}, True)
        title = f"{place}. {row['model']}, {row['corpus']} {row['id']}"
        title += f": left out {omitted}" if omitted else ""
        right = _note(texts[row["corpus"], row["model"], row["id"]], named)
        parts.append(_title(title) + _columns(left or "<div>(no turn)</div>", right))
    return _page("".join(parts) or "<p>None.</p>", bool(parts))


def _with_answers(turns: Mapping[int, tuple[str, str]], wanted: Sequence[int]) -> dict:
    """The wanted turns in order; after a question what was said to it.

    >>> _with_answers({1: ("", "Pain?"), 2: ("", "No."), 3: ("", "Good.")}, [1])
    {1: ('', 'Pain?'), 2: ('', 'No.')}
    """
    answers = {number + 1 for number in wanted if turns[number][1].endswith("?")}
    return {number: turns[number] for number in turns if number in {*wanted, *answers}}


def _page(inside: str, marked: bool) -> str:
    legend = " &nbsp; ".join(f"{_mark(name)} {name}" for name in MARKS) if marked else ""
    style = "color:#111;background:#fff;padding:.5em"
    return (
        f'<div class="tex2jax_ignore mathjax_ignore" style="{style}"><p>{legend}</p>{inside}</div>'
    )


def _columns(left: str, right: str) -> str:
    style = "display:flex;gap:1.5em;align-items:flex-start"
    half = '<div style="flex:1;min-width:0">'
    return f'<div style="{style}">{half}{left}</div>{half}{right}</div></div>'


def _title(text: str) -> str:
    return f"<p><b>{_escaped(text)}</b></p>"


def _turns(turns: Mapping[int, tuple[str, str]], marks: Mapping, numbered: bool) -> str:
    shown = []
    for number, (who, text) in turns.items():
        line = f"{number}. {who}{text}" if numbered else who + text
        shown.append(_marked(line, *marks[number]) if number in marks else _escaped(line))
    return "".join(f"<div>{line}&nbsp;</div>" for line in shown)


def _note(text: str, marks: Marks) -> str:
    """The lines of a note; within a line each sentence that has a mark is marked."""
    lines = []
    for line in (text or "(nothing)").splitlines():
        rest, shown = " ".join(line.split()), []
        for sentence in grounding.split_note(line) if marks else ():
            before, found, after = rest.partition(sentence)
            if found and sentence in marks:
                shown += [_escaped(before), _marked(sentence, *marks[sentence])]
                rest = after
        lines.append(f"<div>{' '.join([*shown, _escaped(rest)])}&nbsp;</div>")
    return "".join(lines)


def _marked(text: str, mark: str, remark: str) -> str:
    """What is marked, with its sign in front and the remark behind.

    >>> _marked("<b>", "unsupported", "<i>").count("<")
    4
    """
    behind = f' <span style="font-size:smaller">({_escaped(remark)})</span>' if remark else ""
    style = f"background:{MARKS[mark][0]}"
    return f'<span style="{style}">{MARKS[mark][1]} {_escaped(text)}{behind}</span>'


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
