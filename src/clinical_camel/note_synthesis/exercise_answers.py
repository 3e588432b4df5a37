"""Answers of the exercises: the sentence of a note that a reader copied, however it was copied."""

import re
import unicodedata
from collections.abc import Sequence

from clinical_camel import grounding

_PLAIN = str.maketrans("“”„«»‘’‚`´‐‑‒–—−", '"""""' + "'" * 5 + "-" * 6)
_LEAD = re.compile(r"^(?:[^\w(]+|\d{1,2}[.)]\s+|[a-z ]{1,40}:\s+)+")  # bullet, tick, heading
_REMARK = re.compile(r"\s*\((?:no )?turns? ?[\d, ]*\)\s*$")  # copied with the sentence


def is_empty(answer: object) -> bool:
    """Return whether nothing was answered yet."""
    return answer is None or not str(answer).strip()


def match_answer(answer: object, sentences: Sequence[str]) -> tuple[str, str]:
    """Return the sentence that was copied, or "" and what is wrong with the answer.

    Case, white space, bullets, the forms of quotes and dashes, a full stop at the end and the signs
    and turns of `render_side_by_side` do not count.

    >>> match_answer("✓ it is  gout (turn 3)", ["It is gout.", "Rest."])
    ('It is gout.', '')
    """
    if not isinstance(answer, str):
        return "", "Write the sentence as text in quotes."
    by_text = {_normalise(sentence): sentence for sentence in sentences}
    if sentence := by_text.get(_normalise(answer)):
        return sentence, ""
    parts = [part for part in grounding.split_note(answer) if _normalise(part) in by_text]
    if len(parts) == 1:
        return by_text[_normalise(parts[0])], ""
    if parts:
        return "", "Copy one sentence only."
    return "", "This sentence is not in the note: copy one exactly."


def _normalise(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).translate(_PLAIN).casefold()
    plain = _REMARK.sub("", " ".join(plain.split()).strip("\"'"))
    return _LEAD.sub("", plain).rstrip(" .\"'")
