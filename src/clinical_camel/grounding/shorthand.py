"""Spell out the shorthand of notes: "pt c/o SOB, h/o HTN" is "patient complains of shortness …".

From the lists of abbreviations in US and UK teaching hospitals, from memory. Abbreviations with two
common meanings (MS, RA, PT, CP as cerebral palsy) are left as they are, or expanded only where the
text decides: "CVA" before "tenderness" is no stroke, "PE:" is a heading.
"""

import re

from clinical_camel.grounding.tables import read_table

_ROWS = read_table("shorthand.csv")
_ANY_CASE = {row["short"]: row["long"] for row in _ROWS if row["case"] == "any"}
_CAPITALS = {row["short"]: row["long"] for row in _ROWS if row["case"] == "capitals"}
_WORD = re.compile(r"(?<![\w/-])(?:w/ ?(?!o\b)|[A-Za-z][\w/-]*)")
_DOTTED = re.compile(r"\b([A-Za-z])\.([A-Za-z])\.(?:([A-Za-z])\.)?(?:([A-Za-z])\.)?")
_SPELLED = re.compile(r"\b(?:[A-Za-z] ){1,3}[A-Za-z]\b")
_NOT = re.compile(r":|-? ?(?:tender|angle)")  # "PE:" is a heading, "CVA tenderness" is no stroke


def expand_shorthand(text: str) -> str:
    """Return the text with the shorthand of notes spelled out; the case matters for some.

    >>> expand_shorthand("76 y/o pt c/o CP, s/p MI, h/o HTN, q.h.s. PRN")
    '76 year old pt complains of chest pain, status post myocardial infarction, \
history of hypertension, qhs as needed'
    """
    if "." in text:
        text = _DOTTED.sub(lambda match: "".join(filter(None, match.groups())), text)
    return _WORD.sub(_expand, _SPELLED.sub(_join_letters, text))


def _expand(match: re.Match) -> str:
    word = match[0]
    if word.startswith(("w/ ", "W/ ")):
        return "with "
    long = _CAPITALS.get(word) or _CAPITALS.get(word.removesuffix("s"))  # "two CVAs"
    if long and not _NOT.match(match.string, match.end()):
        return long
    if "/" in word and word.lower() not in _ANY_CASE:
        parts = [_CAPITALS.get(w) or _ANY_CASE.get(w.lower()) for w in word.split("/")]
        return "/".join(parts) if all(parts) else word
    return _ANY_CASE.get(word.lower(), word)


def _join_letters(match: re.Match) -> str:
    """Return "copd" for "c o p d" as a transcript has it; other single letters stay apart."""
    word = match[0].replace(" ", "").lower()
    return word if word in _ANY_CASE else match[0]
