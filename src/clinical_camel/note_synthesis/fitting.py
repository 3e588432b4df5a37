"""Fit a transcript into the context of a model: complete, skipped, truncated or in windows."""

import dataclasses
import sys
import textwrap
from collections.abc import Callable, Sequence

from clinical_camel import models
from clinical_camel.data import Consultation, Turn
from clinical_camel.models import LLM
from clinical_camel.note_synthesis.prompts import build_messages
from clinical_camel.note_synthesis.settings import NoteTask

OVERLAP = 2  # turns that two windows share: a question stays with its answer
Fits = Callable[[Sequence[Turn]], bool]


def render_prompt(
    llm: LLM,
    consultation: Consultation,
    headings: Sequence[str],
    prompt: str,
    exemplar: Consultation | None = None,
) -> str:
    """Return the rendered prompt for these headings, up to the start of the model's reply.

    `render_chat` splits control tokens in a transcript ("< /s>"), so that a speaker cannot end the
    user turn.
    """
    messages = build_messages(consultation, headings, prompt, exemplar)
    return models.render_chat(llm.tokenizer, messages)


def fit_transcript(
    llm: LLM,
    consultation: Consultation,
    headings: Sequence[str],
    task: NoteTask,
    exemplar: Consultation | None = None,
) -> list[Consultation]:
    """Return the consultation as parts whose prompts leave `task.max_new_tokens` for the note.

    One part with all turns if they fit. Otherwise, by `task.too_long`: "skip" returns no part,
    "truncate" one part with the last turns. "windows" returns several parts that contain every
    word; each starts with the last two turns of the previous one. No part is returned if not even
    one turn fits.
    """
    limit = llm.max_length - task.max_new_tokens

    def fits(turns: Sequence[Turn]) -> bool:
        shorter = dataclasses.replace(consultation, turns=list(turns))
        text = render_prompt(llm, shorter, headings, task.prompt, exemplar)
        return len(models.tokenize_text(llm.tokenizer, text)) <= limit

    llm.tokenizer.model_max_length = sys.maxsize  # tokens are only counted: no length warning
    turns = consultation.turns
    if fits(turns):
        return [consultation]
    if task.too_long == "skip" or not fits([Turn(speaker="other", text="?")] * (OVERLAP + 1)):
        return []
    if task.too_long == "truncate":
        parts = [turns[-n:] for n in [_find_largest(len(turns), lambda n: fits(turns[-n:]))] if n]
    else:
        pieces = [piece for turn in turns for piece in _split_turn(turn, fits)]
        parts = _make_windows(pieces, fits)
    return [dataclasses.replace(consultation, turns=part) for part in parts]


def _find_largest(limit: int, holds: Callable[[int], bool]) -> int:
    """Return the largest number up to `limit` for which a monotone condition holds; 0 for none.

    >>> (_find_largest(100, lambda n: n <= 37), _find_largest(5, lambda n: True),
    ...  _find_largest(5, lambda n: False))
    (37, 5, 0)
    """
    low, high = 0, 1  # holds at low; doubling first, so that no much longer text is rendered
    while high <= limit and holds(high):
        low, high = high, high * 2
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _split_turn(turn: Turn, fits: Fits) -> list[Turn]:
    """Split a turn at white space until each piece fits together with two others."""
    pieces, width = [turn], len(turn.text)
    while width > 1 and not fits([max(pieces, key=lambda piece: len(piece.text))] * (OVERLAP + 1)):
        width = (width + 1) // 2
        texts = textwrap.wrap(turn.text, width, break_on_hyphens=False)
        pieces = [Turn(speaker=turn.speaker, text=text) for text in texts]
    return pieces


def _make_windows(turns: list[Turn], fits: Fits) -> list[list[Turn]]:
    windows, start = [], 0
    while True:
        rest = turns[start:]
        size = max(1, _find_largest(len(rest), lambda n, rest=rest: fits(rest[:n])))
        windows.append(rest[:size])
        if size == len(rest):
            return windows
        start += max(1, size - OVERLAP)
