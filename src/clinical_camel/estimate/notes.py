"""The tokens of step 04, counted before it runs, with the functions that write its prompts."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from clinical_camel import data, models, note_synthesis
from clinical_camel.data import Consultation
from clinical_camel.estimate.sizes import find_size
from clinical_camel.estimate.work import (
    CHARACTERS,
    NO_TOKENIZER,
    Work,
    count_generation,
    is_local,
    sample_evenly,
    stretch,
)

CONSULTATIONS = 48  # of each set that are tokenized, the longest among them


def count_notes(task: note_synthesis.NoteTask, tokenizer: Any, context: int) -> Work:
    """Count an upper bound: every output has `max_new_tokens` tokens.

    Of many consultations, CONSULTATIONS of all lengths are tokenized.
    """
    prompts, unknown, rows = [], [], 0
    estimates = [f"upper bound: every output has {task.max_new_tokens} tokens"]
    exemplars = {
        name: data.load_training_consultations(spec)
        for name, spec in task.note_exemplars.items()
        if is_local(spec)
    }
    for spec in task.consultations:
        if not is_local(spec):
            if size := find_size(spec):
                count = min(task.consultation_limit or size.rows, size.rows)
                tokens = min(size.tokens, context - task.max_new_tokens)
                rows += count
                prompts += [max(1, tokens)] * count
                estimates.append(f"{data.label(spec)}: {size.describe(count)}")
            else:
                unknown.append(f"{data.label(spec)}: not on this machine, not counted")
            continue
        pool = exemplars.get(note_synthesis.name_corpus(spec))
        consultations = data.load_consultations(spec, task.consultation_limit)
        rows += len(consultations)
        ordered = sorted(consultations, key=_measure_length, reverse=True)
        sampled = [
            _count_note_prompts(row, task, pool, tokenizer, context)
            for row in sample_evenly(ordered, CONSULTATIONS)
        ]
        prompts += itertools.chain.from_iterable(stretch(sampled, len(ordered)))
    if task.server:
        estimates.append(f"{task.server}: its memory is not counted; its time as without a server")
    work = count_generation(prompts, task.max_new_tokens, task.token_budget)
    count = len(task.adapters) * (1 + len(task.other_decodings))
    return work.repeat(
        count,
        rows=rows,
        estimates=tuple([NO_TOKENIZER] * (tokenizer is None) + estimates),
        unknown=tuple(unknown),
    )


def _measure_length(consultation: Consultation) -> int:
    return sum(len(turn.text) for turn in consultation.turns)


def _count_note_prompts(
    consultation: Consultation,
    task: note_synthesis.NoteTask,
    pool: Sequence[Consultation] | None,
    tokenizer: Any,
    context: int,
) -> list[int]:
    """Return the tokens of each prompt for one note; [] for a transcript that is skipped."""
    headings, limit = task.list_headings(consultation), context - task.max_new_tokens
    exemplar = note_synthesis.choose_exemplar(pool, headings) if pool else None
    messages = note_synthesis.build_messages(consultation, headings, task.prompt, exemplar)
    if tokenizer is None:
        tokens = sum(len(message["content"]) for message in messages) // CHARACTERS
    else:
        tokens = len(models.tokenize_text(tokenizer, models.render_chat(tokenizer, messages)))
    parts = [tokens]
    if tokens > limit:
        windows = [limit] * math.ceil(tokens / limit) if limit > 0 else []
        parts = {"skip": [], "truncate": [limit], "windows": windows}[task.too_long]
    return parts * (len(headings) if task.unit == "section" else 1)
