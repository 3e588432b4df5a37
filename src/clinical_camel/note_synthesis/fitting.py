"""A transcript and the context of a model: whole, refused, shortened in the open, or in windows."""

import dataclasses
import sys
import textwrap
from collections.abc import Callable, Sequence

from clinical_camel import models
from clinical_camel.data import Consultation, Turn
from clinical_camel.models import LLM
from clinical_camel.note_synthesis.prompts import build_messages

OVERLAP = 2  # turns that a window shares with the one before: a question stays with its answer
Fits = Callable[[Sequence[Turn]], bool]


def render(
    llm: LLM,
    visit: Consultation,
    sections: Sequence[str],
    prompt: str,
    example: Consultation | None = None,
) -> str:
    """The prompt for these sections as the model meets it, up to where it must write.

    Special tokens of the model that stand in a transcript are written apart ("< / s >"): what a
    patient says must not end the user's turn.
    """
    messages = build_messages(visit, sections, prompt, example)
    for message in messages:
        for token in llm.tokenizer.all_special_tokens:
            message["content"] = message["content"].replace(token, " ".join(token))
    return models.render_chat(llm.tokenizer, messages)


def fit(
    llm: LLM,
    visit: Consultation,
    sections: Sequence[str],
    room: int,
    too_long: str,
    prompt: str = "plain",
    example: Consultation | None = None,
) -> list[Consultation]:
    """The consultation in the parts that a prompt of at most `room` tokens can hold.

    One of all turns; else, with "truncate", one of the last turns, or with "windows" several that
    hold every word, each beginning with the last two turns of the one before. None at all with
    "skip", or where not even one turn fits.
    """

    def fits(turns: Sequence[Turn]) -> bool:
        shorter = dataclasses.replace(visit, turns=list(turns))
        text = render(llm, shorter, sections, prompt, example)
        return len(models.encode(llm.tokenizer, text)) <= room

    llm.tokenizer.model_max_length = sys.maxsize  # texts are counted here: no warning of a long one
    turns = visit.turns
    if fits(turns):
        return [visit]
    if too_long == "skip" or not fits([Turn(speaker="other", text="?")] * (OVERLAP + 1)):
        return []
    if too_long == "truncate":
        parts = [turns[-n:] for n in [_most(len(turns), lambda n: fits(turns[-n:]))] if n]
    else:
        parts = _windows([piece for turn in turns for piece in _pieces(turn, fits)], fits)
    return [dataclasses.replace(visit, turns=part) for part in parts]


def _most(limit: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to `limit` for which it holds, if it does for all below; 0 for none.

    >>> _most(100, lambda n: n <= 37), _most(5, lambda n: True), _most(5, lambda n: False)
    (37, 5, 0)
    """
    low, high = 0, 1  # it holds at low; doubling first, so that nothing much longer is looked at
    while high <= limit and holds(high):
        low, high = high, high * 2
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _pieces(turn: Turn, fits: Fits) -> list[Turn]:
    """The turn, cut at white space into as many as it takes for one to fit beside two others."""
    pieces, width = [turn], len(turn.text)
    while width > 1 and not fits([max(pieces, key=lambda piece: len(piece.text))] * (OVERLAP + 1)):
        width = (width + 1) // 2
        cut = textwrap.wrap(turn.text, width, break_on_hyphens=False)
        pieces = [Turn(speaker=turn.speaker, text=text) for text in cut]
    return pieces


def _windows(turns: list[Turn], fits: Fits) -> list[list[Turn]]:
    windows, start = [], 0
    while True:
        rest = turns[start:]
        kept = max(1, _most(len(rest), lambda n, rest=rest: fits(rest[:n])))
        windows.append(rest[:kept])
        if kept == len(rest):
            return windows
        start += max(1, kept - OVERLAP)
