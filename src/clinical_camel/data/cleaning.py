"""ShareGPT, cleaned: which conversations are left out, and why.

People uploaded what a web page showed them: with its markup, its refusals, cut anywhere, in every
language. A conversation is kept as it is or left out, never mended, so the reasons add up. What the
paper did is only recalled (other languages and degenerate conversations were removed), so the rules
are ours; those of FastChat's cleaning were read for comparison.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from clinical_camel.data import readers
from clinical_camel.data.shapes import Dialogue, row_problems

REASONS = (  # in the order in which they are looked for
    "not readable",
    "empty turn",
    "wrong order",
    "remnant of a web page",
    "refusal or boilerplate",
    "repeats itself",
    "not English",
    "duplicate",
)
_FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)  # code may speak of markup
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
OPENING = 2_000  # letters that the language is told from


def fault(row: dict[str, Any]) -> str:
    """The first of REASONS that holds for a raw conversation by itself; "" if none does."""
    try:
        dialogue = readers.read_sharegpt(row)
    except ValueError:
        return "not readable"
    if not dialogue.messages or not all(m["content"].strip() for m in dialogue.messages):
        return "empty turn"
    if row_problems(dialogue):
        return "wrong order"
    replies = [m["content"] for m in dialogue.messages if m["role"] == "assistant"]
    if any(_PAGE.search(_FENCED.sub(" ", m["content"])) for m in dialogue.messages):
        return "remnant of a web page"
    if any(_REFUSAL.search(reply) for reply in replies):
        return "refusal or boilerplate"
    if len({_plain(reply) for reply in replies}) < len(replies):
        return "repeats itself"
    return "" if _english(" ".join(m["content"] for m in dialogue.messages)) else "not English"


def read_clean(row: dict[str, Any]) -> Dialogue | None:
    """The conversation, or None where something is wrong with it: a reader of a `Source`."""
    return None if fault(row) else readers.read_sharegpt(row)


def first_of_each(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """Of conversations that say the same, case and white space aside, the first."""
    kept: dict[str, Dialogue] = {}
    for dialogue in dialogues:
        kept.setdefault(_said(dialogue), dialogue)
    return list(kept.values())


def count(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """What cleaning does to raw conversations: a row before it and one for each of REASONS.

    Columns: step, left_out, remaining. Each is counted under its first reason.
    """
    faults, seen, total = Counter(), set(), 0
    for row in rows:
        total += 1
        reason = fault(row)
        if not reason:
            said = _said(readers.read_sharegpt(row))
            reason = "duplicate" if said in seen else ""
            seen.add(said)
        faults[reason] += 1
    return pd.DataFrame(_table(faults, total), columns=["step", "left_out", "remaining"])


def _table(faults: Counter, total: int) -> Iterator[tuple[str, int, int]]:
    yield "as published", 0, total
    for reason in REASONS:
        total -= faults[reason]
        yield reason, faults[reason], total


def _said(dialogue: Dialogue) -> str:
    return "\n".join(f"{m['role']}: {_plain(m['content'])}" for m in dialogue.messages)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _english(text: str) -> bool:
    """py3langid, as `grounding.language`; code is not counted, nor what has no letter at all."""
    import py3langid  # here, not above: only this needs it

    prose = _FENCED.sub(" ", text)[:OPENING]
    return not re.search(r"[^\W\d_]", prose) or py3langid.classify(prose)[0] == "en"
