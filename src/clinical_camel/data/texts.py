"""What a text must not hold: one check of every text that is read, by its kind.

    own files     entities, inline tags, invisible characters and outer white space are undone;
                  blocks of markup, control characters and equal options are refused
    published     the texts stay as published, character by character (they are the benchmark); what
    sets          would be undone or refused is counted, and said

Kinds of text: title, section, turn (of a dialogue), question, option, transcript, note.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from clinical_camel.data.markup import undo_markup
from clinical_camel.data.shapes import Article, Consultation, Dialogue, Question, Row, RowT

INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff]"
    "|(?<=[\x20-\u024f])[\u200c\u200d]|[\u200c\u200d](?=[\x20-\u024f])"  # not of emoji, Persian
)
CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufff9-\uffff\ud800-\udfff"
    "\ue000-\uf8ff\U000e0000-\U000e007f]"
)
ASCII_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")  # the part of CONTROL below U+0080
_LINE_END = re.compile("\r\n?|[\u2028\u2029\x0b\x0c]")
# UTF-8 that was decoded as Windows-1252: "Ã©" for "é", "â€™" for an apostrophe
_MOJIBAKE = re.compile(
    "\u00c3[\u0080-\u00bf]|\u00c2[\u0080-\u00bf]|\u00e2\u20ac[\u0080-\u00ff\u0152-\u2122]"
)
_GENOTYPE = re.compile(r"(?:([A-Za-z])(?i:\1))+|[A-Za-z]{1,2}")

_LABEL = re.compile(r"\(?([A-Ja-j]|[1-9])[.):]\s*(?=[^\s\d])")
_CUE = re.compile(r"\d:\d\d\S*\s*-->\s*\d[\d:.,]*")
_LIGATURES = re.compile("[\ufb00-\ufb06]")  # of PDF files

ONE_LINE = ("title", "option")
Convert = Callable[[str, str, str], str]  # place, kind, text -> text


def clean_row(row: RowT) -> RowT:
    """Return a row of a user's own file with its texts cleaned. Raises ValueError, with each place.

    >>> row = Question(id="1", question="Which?\\r\\n", options=[" A&amp;E", "x"], answer=0)
    >>> clean_row(row).question, clean_row(row).options
    ('Which?', ['A&E', 'x'])
    """
    problems = [f"id: {_name_character(match[0])}" for match in [CONTROL.search(row.id)] if match]
    cleaned = convert_texts(row, partial(_clean_or_note, problems))
    if isinstance(cleaned, Question):
        problems += check_equal_options(cleaned) + _check_labels(cleaned.options)
    if problems:
        raise ValueError("; ".join(problems))
    return cleaned


def _clean_or_note(problems: list[str], place: str, kind: str, text: str) -> str:
    try:
        return clean_text(text, kind)
    except ValueError as error:
        problems.append(f"{place}: {error}")
        return text


def clean_text(text: str, kind: str) -> str:
    """Return one text of this kind, cleaned. Raises ValueError for what cannot be undone safely."""
    if "<" in text or "&" in text or kind in ("title", "section"):
        text = undo_markup(text, has_code=kind == "turn", has_markdown=kind in ("title", "section"))
    text = INVISIBLE.sub("", _LINE_END.sub("\n", text))
    text = _LIGATURES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    if match := CONTROL.search(text):
        raise ValueError(f"{_name_character(match[0])}; replace or delete it")
    if kind == "transcript" and (match := _CUE.search(text)):
        raise ValueError(f"{match[0]!r} is the time of a cue; delete it, or read transcripts@...")
    if match := _MOJIBAKE.search(text):
        raise ValueError(
            f"{match[0]!r} is UTF-8 that was read as Windows-1252; convert the file again"
        )
    text = text.strip()
    return re.sub(r"\s*\n\s*", " ", text) if kind in ONE_LINE else text


def _name_character(character: str) -> str:
    code = f"U+{ord(character):04X}"
    if character == "\ufffd":
        return f"{code}, which marks a character that was lost in a conversion"
    if unicodedata.category(character) == "Co":
        return f"{code}, a character of a symbol font"
    return f"control character {code} ({unicodedata.name(character, 'no name').lower()})"


def _check_labels(options: Sequence[str]) -> list[str]:
    """Return a problem if the options begin with their own letters or numbers: "A. rest"."""
    labels = [match[1] for match in map(_LABEL.match, options) if match]
    if "".join(labels).upper() not in ("ABCDEFGHIJ"[: len(options)], "123456789"[: len(options)]):
        return []
    return [f"options begin with their letters, {options[0]!r}; delete the letters"]


def check_equal_options(question: Question) -> list[str]:
    """Return the pairs of options that differ only in case, white space or final punctuation."""
    first: dict[str, int] = {}
    return [
        f"options[{i}] and options[{first[key]}] are the same, {question.options[i]!r}"
        for i, key in enumerate(map(fold_option, question.options))
        if first.setdefault(key, i) != i
    ]


def fold_option(option: str) -> str:
    """Fold an option for comparison; genotypes and units (Aa, mg) keep their case.

    >>> fold_option("Aspirin. "), fold_option("Aa")
    ('aspirin', 'Aa')
    """
    plain = INVISIBLE.sub("", unicodedata.normalize("NFC", option))
    words = plain.strip().rstrip(".;, ").split()
    return " ".join(w if _GENOTYPE.fullmatch(w) else w.casefold() for w in words)


def count_oddities(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Return what a published set holds that `clean_row` would change or refuse: kind -> row ids.

    White space at the ends counts only for questions and options, which are scored as they are.
    """
    ids: dict[str, dict[str, None]] = {}
    for row in rows:
        for kind, text in _list_texts(row, _KINDS[type(row)]):
            _note_oddities(ids, row.id, kind, text)
        if isinstance(row, Question) and check_equal_options(row):
            ids.setdefault("equal options", {})[row.id] = None
    return {kind: list(rows) for kind, rows in ids.items()}


def _note_oddities(ids: dict[str, dict], row_id: str, kind: str, text: str) -> None:
    if kind in ("question", "option") and text != text.strip():
        ids.setdefault(f"white space at the ends of the {kind}", {})[row_id] = None
    if ("<" in text or "&" in text) and _has_markup(text):
        ids.setdefault("markup or entities", {})[row_id] = None
    if text.isascii():  # most texts: a smaller pattern is several times as fast
        is_odd = ASCII_CONTROL.search(text)
    else:
        is_odd = INVISIBLE.search(text) or CONTROL.search(text)
    if is_odd:
        ids.setdefault("invisible characters", {})[row_id] = None


def _has_markup(text: str) -> bool:
    try:
        return undo_markup(text) != text
    except ValueError:
        return True


def convert_texts(row: RowT, convert: Convert) -> RowT:
    """Return the row with `convert(place, kind, text)` applied to each of its texts."""
    return _convert(row, _KINDS[type(row)], "", convert)


def _convert(value: Any, kind: Any, place: str, convert: Convert) -> Any:
    if isinstance(kind, str):
        return convert(place, kind, value)
    if isinstance(value, list):
        return [_convert(v, kind[0], f"{place}[{i}]", convert) for i, v in enumerate(value)]
    is_message = isinstance(value, dict)
    dot, converted = f"{place}." if place else "", {}
    for name, inner in kind.items():
        text = value[name] if is_message else getattr(value, name)
        converted[name] = _convert(text, inner, f"{dot}{name}", convert)
    return value | converted if is_message else dataclasses.replace(value, **converted)


def _list_texts(value: Any, kind: Any) -> Iterator[tuple[str, str]]:
    """Yield the kind of each text of a row, and the text; faster than `convert_texts`."""
    for name, inner in kind.items():
        text = value[name] if isinstance(value, dict) else getattr(value, name)
        if isinstance(inner, str):
            yield inner, text
        elif isinstance(inner[0], str):
            yield from ((inner[0], item) for item in text)
        else:
            for item in text:
                yield from _list_texts(item, inner[0])


_KINDS = {  # the kind of each text
    Article: {"title": "title", "sections": [{"heading": "title", "text": "section"}]},
    Dialogue: {"messages": [{"content": "turn"}]},
    Question: {"question": "question", "context": "question", "options": ["option"]},
    Consultation: {"turns": [{"speaker": "title", "text": "transcript"}], "note": "note"},
}
