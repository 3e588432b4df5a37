"""HTML pages: a transcript next to its notes, and the worst sentences and omissions.

Transcripts and outputs are untrusted text: everything is escaped and hidden from MathJax.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from clinical_camel import grounding
from clinical_camel.core.values import escape_html
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.corpora import Corpora
from clinical_camel.note_synthesis.prompts import flatten_text, format_turns

# For light backgrounds; each label has a sign too, for readers who do not see the colour.
LABELS = {
    "supported": ("#cfe8f7", "✓"),
    "unsupported": ("#fde3c8", "?"),
    "contradicted": ("#e9c7dd", "✗"),
    "covered": ("#cfe8f7", "●"),
    "partly covered": ("#f6f1c2", "◐"),
    "omitted": ("#fde3c8", "○"),
}
Annotations = Mapping[str, tuple[str, str]]  # (a key of LABELS, a remark) by sentence
Turns = Mapping[int, tuple[str, str]]  # ("Speaker: ", text) by number


def render_side_by_side(
    consultation: Consultation,
    notes: Mapping[str, str],
    note_annotations: Annotations | None = None,
    turn_annotations: Mapping[int, tuple[str, str]] | None = None,
) -> str:
    """Return an HTML page with the transcript on the left and the notes on the right.

    `note_annotations`: (key of LABELS, remark) by sentence of a note. `turn_annotations`: the same
    by turn, counted from 1. An annotated passage is coloured, with its sign before it and the
    remark after it. With any annotation the turns are numbered and a fixed legend is shown.
    """
    turns = dict(enumerate(format_turns(consultation), start=1))
    is_annotated = bool(note_annotations or turn_annotations)
    transcript = _title("transcript") + _format_turns(turns, turn_annotations or {}, is_annotated)
    written = "".join(
        _title(name) + _format_note(text, note_annotations or {}) for name, text in notes.items()
    )
    return _page(_columns(transcript, written), is_annotated)


def render_worst(worst: pd.DataFrame, notes: pd.DataFrame, corpora: Corpora) -> str:
    """Return an HTML page with the rows of `rank_hallucinations` or `rank_omissions`.

    On the left are the source turns of the sentence, or the turns that state the omitted facts,
    with the answer to a question. On the right is the complete note.
    """
    texts = notes.set_index(["corpus", "model", "id"])["note"]
    parts = []
    for number, row in enumerate(worst.to_dict("records"), start=1):
        consultation = next(c for c in corpora[row["corpus"]] if c.id == row["id"])
        sources = [int(turn) for turn in row["turns"].split(", ") if turn]
        turns = _add_answers(dict(enumerate(format_turns(consultation), start=1)), sources)
        title = f"{number}. {row['model']}, {row['corpus']} {row['id']}"
        if omitted := row.get("omitted", ""):
            title += f": omits {omitted}"
        of_note = {} if omitted else {row["sentence"]: (row["verdict"], row["reasons"])}
        excerpt = _format_turns(turns, {}, True) or "<div>(no turn)</div>"
        note = _format_note(texts[row["corpus"], row["model"], row["id"]], of_note)
        parts.append(_title(title) + _columns(excerpt, note))
    return _page("".join(parts) or "<p>None.</p>", bool(parts))


def _add_answers(turns: Turns, sources: Sequence[int]) -> Turns:
    """Return the source turns in order, and the answer after each question.

    >>> _add_answers({1: ("", "Pain?"), 2: ("", "No."), 3: ("", "Good.")}, [1])
    {1: ('', 'Pain?'), 2: ('', 'No.')}
    """
    answers = {number + 1 for number in sources if turns[number][1].endswith("?")}
    return {number: turns[number] for number in turns if number in {*sources, *answers}}


def _page(content: str, is_annotated: bool) -> str:
    legend = " &nbsp; ".join(
        f'<span title="{name}" style="background:{colour}">{sign}</span> {name}'
        for name, (colour, sign) in LABELS.items()
    )
    style = "color:#111;background:#fff;padding:.5em"
    return (
        f'<div class="tex2jax_ignore mathjax_ignore" style="{style}">'
        f"<p>{legend if is_annotated else ''}</p>{content}</div>"
    )


def _columns(first: str, second: str) -> str:
    style = "display:flex;gap:1.5em;align-items:flex-start"
    half = '<div style="flex:1;min-width:0">'
    return f'<div style="{style}">{half}{first}</div>{half}{second}</div></div>'


def _title(text: str) -> str:
    return f"<p><b>{_escape(text)}</b></p>"


def _format_turns(
    turns: Turns, annotations: Mapping[int, tuple[str, str]], is_numbered: bool
) -> str:
    lines = []
    for number, (speaker, text) in turns.items():
        line = f"{number}. {speaker}{text}" if is_numbered else speaker + text
        is_plain = number not in annotations
        lines.append(_escape(line) if is_plain else _annotate(line, *annotations[number]))
    return "".join(f"<div>{line}&nbsp;</div>" for line in lines)


def _format_note(text: str, annotations: Annotations) -> str:
    """Return the lines of a note with its annotated sentences."""
    lines = []
    for line in (text or "(nothing)").splitlines():
        rest, parts = " ".join(line.split()), []
        for sentence in grounding.split_note(line) if annotations else ():
            before, match, after = rest.partition(sentence)
            if match and sentence in annotations:
                parts += [_escape(before), _annotate(sentence, *annotations[sentence])]
                rest = after
        lines.append(f"<div>{' '.join([*parts, _escape(rest)])}&nbsp;</div>")
    return "".join(lines)


def _annotate(text: str, label: str, remark: str) -> str:
    """Return a coloured passage with its sign before it and the remark after it.

    >>> _annotate("<b>", "unsupported", "<i>").count("<")
    4
    """
    colour, sign = LABELS[label]
    after = f' <span style="font-size:smaller">({_escape(remark)})</span>' if remark else ""
    return f'<span style="background:{colour}">{sign} {_escape(text)}{after}</span>'


def _escape(text: str) -> str:
    """Return text for HTML on one line."""
    return escape_html(flatten_text(text))
