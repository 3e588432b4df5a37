"""Errors planted into an accepted dialogue: do the checks reject it, and with which reason?"""

import re
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from clinical_camel import grounding
from clinical_camel.data import Dialogue
from clinical_camel.dbke import checks
from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.settings import SUPPORT, Synthesis

COLUMNS = ["error", "sentence", "changed", *SUPPORT]
INVENTED = "Zorblatine 20 mg once daily is the treatment of choice."  # no such drug exists


def plant_errors(sentence: str) -> Iterator[tuple[str, str]]:
    """Yield (error, changed sentence) for one assistant sentence.

    >>> list(plant_errors("Give 5 mg daily."))[0]
    ('changed number', 'Give 50 mg daily.')
    """
    if number := re.search(r"\b\d+\b", sentence):
        start, end = number.span()
        yield "changed number", f"{sentence[:start]}{int(number[0]) * 10 or 10}{sentence[end:]}"
    if negation := re.search(r"\b(?:not|never|no) ", sentence):
        start, end = negation.span()
        yield "removed negation", sentence[:start] + sentence[end:]
    elif verb := re.search(r"\b(?:is|are) ", sentence):
        yield "added negation", f"{sentence[: verb.end()]}not {sentence[verb.end() :]}"
    yield "invented drug", f"{sentence} {INVENTED}"


def tabulate_planted(
    dialogues: Sequence[Dialogue], requests: Mapping[str, Request], settings: Synthesis
) -> pd.DataFrame:
    """One row per kind of error, each in the first accepted article dialogue that can have it.

    Columns: error, sentence, changed, and for both definitions of support the rejection reason,
    without the sentence that it quotes; "" if the changed dialogue would be accepted.
    """
    rows: dict[str, tuple] = {}
    for dialogue in dialogues:
        if dialogue.source != "article" or len(rows) == 4:
            continue
        for k, sentence in _list_sentences(dialogue):
            for error, changed in plant_errors(sentence):
                if error not in rows:
                    reasons = _check_change(dialogue, k, (sentence, changed), requests, settings)
                    rows[error] = (error, sentence, changed, *reasons)
    return pd.DataFrame(rows.values(), columns=COLUMNS)


def _list_sentences(dialogue: Dialogue) -> Iterator[tuple[int, str]]:
    for k, message in enumerate(dialogue.messages):
        if message["role"] == "assistant":
            for sentence in grounding.split_sentences(message["content"]):
                if checks.needs_support(sentence):
                    yield k, sentence


def _check_change(
    dialogue: Dialogue,
    turn: int,
    change: tuple[str, str],
    requests: Mapping[str, Request],
    settings: Synthesis,
) -> Iterator[str]:
    """Yield the rejection reason of the changed dialogue for each definition of support."""
    messages = [dict(message) for message in dialogue.messages]
    text = " ".join(messages[turn]["content"].split())
    messages[turn]["content"] = text.replace(*change)
    changed = Dialogue(id=dialogue.id, source=dialogue.source, messages=messages)
    for support in SUPPORT:
        chosen = settings.model_copy(update={"support": support})
        yield checks.strip_quote(checks.check_dialogue(changed, requests[dialogue.id], chosen))
