"""Expressions of speech that notes put in another word: "about the same" is unchanged."""

import re

from clinical_camel.grounding.tables import read_table

_EXPRESSIONS = {row["word"]: row["pattern"] for row in read_table("speech.csv")}
_NAMES = list(_EXPRESSIONS)
_ANY = re.compile(
    rf"(?<![\w'])(?:{'|'.join(f'({pattern})' for pattern in _EXPRESSIONS.values())})(?![\w'])"
)
_SPELLED = re.compile(r"\b(?:[a-z] ){1,4}[a-z]\b(?<!\b[ai] [ai])(?<!\b[ai] .)")  # "m b a"


def unify_speech(text: str) -> str:
    """Return a normalized text with one word for each expression, and spelled letters joined.

    >>> unify_speech("my mom had an m r i , all at once")
    'my mother had an mri , suddenly'
    """
    text = _SPELLED.sub(lambda match: match[0].replace(" ", ""), text)
    return _ANY.sub(lambda match: _NAMES[match.lastindex - 1], text)
