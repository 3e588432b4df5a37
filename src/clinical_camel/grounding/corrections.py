"""Drop what a speaker takes back: "the 50, no, sorry, the 100 milligram" is 100 mg."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from clinical_camel.grounding.normalization import MONTHS
from clinical_camel.grounding.quantities import extract_quantities
from clinical_camel.grounding.terms import is_drug_name
from clinical_camel.grounding.units import PATTERN

REACH = 60  # characters on each side of "sorry" that may hold a value
_SIGN = (
    r"(?:no,? (?:no,? )?(?:wait|sorry|actually|i mean|not)|wait,? no|actually,? no|sorry|i mean"
    r"|or rather|make that|correction|scratch that|hang on|i tell a lie|my mistake)"
)
_TAKEN_BACK = re.compile(rf"[\s.,;:!?-]*\b{_SIGN}(?:[\s.,;:!?-]+{_SIGN})*(?!\w)[\s.,;:!?-]*")
_LEADS = re.compile(
    r"(?:(?:the|a|an|on|in|at|for|of|it|is|it's|was|its|my|your|his|her|about|only|actually|that"
    r"|that's|i|take|not) )*"
)
_UNIT = re.compile(rf"{PATTERN}(?![\w.])")
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_RELATIVES = (
    "mother mum mom father dad brother sister aunt uncle grandmother grandfather son daughter"
)
_CLASS_OF = (
    dict.fromkeys(("left", "right"), "side")
    | dict.fromkeys(_DAYS.split(), "day")
    | dict.fromkeys(MONTHS, "month")
    | dict.fromkeys(_RELATIVES.split(), "relative")
)
_NUMERIC = ("dose", "duration", "number", "frequency", "age")


class Value(NamedTuple):
    """A value in a text: its kind, its number if it has one, its place."""

    kind: str
    number: str
    start: int
    end: int


def drop_withdrawn(text: str) -> str:
    """Return a normalized text without the values that the speaker takes back at once.

    A value of the same kind must follow: "sorry" and "I mean" have other uses, too.

    >>> drop_withdrawn("it began on tuesday. sorry, wednesday")
    'it began on wednesday'
    >>> drop_withdrawn("4 micrograms... sorry, milligrams of glimepiride")
    '4 milligrams of glimepiride'
    """
    start = 0
    while match := _TAKEN_BACK.search(text, start):
        before, after = text[: match.start()], text[match.end() :]
        remaining = _withdraw(before, after)
        start = match.end() if remaining is None else len(remaining)
        text = text if remaining is None else remaining + after
    return text


def _withdraw(before: str, after: str) -> str | None:
    """Return the text before a correction without the value that is taken back; None without."""
    window = before[-REACH:]
    values = [v for v in _list_values(window) if _is_last(window[v.end :], after)]
    if not values:
        return None
    lead = _LEADS.match(after)
    offset = len(before) - len(window)
    follows = after[lead.end() : lead.end() + REACH] if lead else after[:REACH]
    new = next((v for v in _list_values(follows) if v.start == 0), None)
    for value in values:
        if new and _is_alike(value, new):
            return before[: offset + value.start]
        if value.number and not new and _UNIT.match(follows):
            return f"{before[: offset + value.start]}{value.number} "
    return None


def _list_values(text: str) -> Iterator[Value]:
    """Yield the quantities, sides, days, months, relatives and drugs of a text."""
    for quantity in extract_quantities(text):
        yield Value(quantity.kind, quantity.number, quantity.start, quantity.end)
    for word in re.finditer(r"[a-z]+", text):
        kind = _CLASS_OF.get(word[0]) or ("drug" if is_drug_name(word[0]) else "")
        if kind:
            yield Value(kind, "", *word.span())


def _is_last(gap: str, after: str) -> bool:
    """Whether a value ends the text before, but for words that are said again after it."""
    words = re.findall(r"[a-z']+", gap)
    return len(words) <= 2 and set(words) <= set(re.findall(r"[a-z']+", after[:REACH]))


def _is_alike(first: Value, second: Value) -> bool:
    return first.kind == second.kind or {first.kind, second.kind} <= {*_NUMERIC}
