"""Clean ShareGPT: which conversations are removed, and why.

People uploaded what a web page showed them: with markup and refusals, truncated anywhere, in every
language. A conversation stays unchanged or is removed, never repaired. The paper's cleaning is only
recalled (other languages and degenerate conversations were removed), so these rules are ours;
FastChat's cleaning was read for comparison.
"""

import re
from collections.abc import Iterable
from typing import Any

from clinical_camel.data import readers
from clinical_camel.data.shapes import Dialogue, check_row

_FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)  # code may contain markup
_PAGE = re.compile(
    r"</?(?:div|span|p|button|svg|path|br|a|ul|ol|li|table|tbody|tr|td|th|pre|code|strong|em|img"
    r"|h[1-6])(?:\s[^<>]*)?/?>|&(?:nbsp|lt|gt|amp|quot|#\d+);|\bCopy code\b"
    r"|^\s*\d+ / \d+\s*$|^\s*Regenerate response\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial intelligence)\b|\bas a (?:large )?language model\b"
    r"|\bI(?:'m| am) (?:just |only )?an? (?:ai|artificial intelligence)(?: language)? (?:model|"
    r"assistant)\b|\bI(?:'m| am) sorry,? but I (?:cannot|can't|can not|am unable|'m unable)"
    r"|\bI (?:cannot|can't|am unable to|am not able to) (?:assist|fulfil|comply|provide (?:medical|"
    r"legal)|engage|browse)|\bmy knowledge cutoff\b|\bOpenAI\b.{0,60}\b(?:policy|policies)\b",
    re.IGNORECASE,
)
OPENING = 2_000  # letters used to detect the language


def find_rejection_reason(row: dict[str, Any]) -> str:
    """Return why a raw conversation is removed, "" if it stays."""
    try:
        dialogue = readers.read_sharegpt(row)
    except ValueError:
        return "not readable"
    if not dialogue.messages or not all(m["content"].strip() for m in dialogue.messages):
        return "empty turn"
    if check_row(dialogue):
        return "wrong order"
    replies = [m["content"] for m in dialogue.messages if m["role"] == "assistant"]
    if any(_PAGE.search(_FENCED.sub(" ", m["content"])) for m in dialogue.messages):
        return "remnant of a web page"
    if any(_REFUSAL.search(reply) for reply in replies):
        return "refusal or boilerplate"
    if len({_normalize(reply) for reply in replies}) < len(replies):
        return "repeats itself"
    return "" if _is_english(" ".join(m["content"] for m in dialogue.messages)) else "not English"


def read_clean(row: dict[str, Any]) -> Dialogue | None:
    """Return the conversation, or None if it is rejected: the reader of a `Source`."""
    return None if find_rejection_reason(row) else readers.read_sharegpt(row)


def drop_duplicates(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """Return the first of conversations that are equal, ignoring case and white space."""
    first: dict[str, Dialogue] = {}
    for dialogue in dialogues:
        text = "\n".join(f"{m['role']}: {_normalize(m['content'])}" for m in dialogue.messages)
        first.setdefault(text, dialogue)
    return list(first.values())


def _normalize(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_english(text: str) -> bool:
    """py3langid, as `grounding.detect_language`, without code; texts without a letter pass."""
    import py3langid  # here, not above: only this needs it

    prose = _FENCED.sub(" ", text)[:OPENING]
    return not re.search(r"[^\W\d_]", prose) or py3langid.classify(prose)[0] == "en"
