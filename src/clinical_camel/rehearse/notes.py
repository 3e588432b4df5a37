"""Step 04: the first and the last batches of notes, and the time of all batches between them.

A CPU computes several batches at once, so as many are measured together. With more than two at
once, short trials are approximate: rows move between the batches.
"""

import collections
import contextlib
import functools
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from peft import PeftModel

from clinical_camel import models
from clinical_camel.models import LLM
from clinical_camel.models.workers import compute_at_once, count_at_once, list_batches
from clinical_camel.note_synthesis.settings import NoteTask
from clinical_camel.note_synthesis.writing import NotePrompt, plan_prompts
from clinical_camel.rehearse.intervals import DRIFT
from clinical_camel.rehearse.record import Part
from clinical_camel.rehearse.task import Task

FEW = 8  # new tokens of the first trial
Tables = tuple[pd.DataFrame, pd.DataFrame]
Group = Sequence["Batch"]  # batches that are computed at once


class MemoryJournal:
    """A journal that is not a file: `done` and `append`, as `runs.Journal` has them."""

    def __init__(self) -> None:
        self.done: dict[str, Any] = {}

    def append(self, name: str, payload: Any) -> None:
        self.done[name] = payload


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts that are generated together; `width`: tokens of the longest."""

    prompts: tuple[NotePrompt, ...]
    width: int

    def count_tokens(self, new_tokens: int) -> int:
        return len(self.prompts) * (self.width + new_tokens)


def replace_notes(task: Task, write_notes: Callable[..., Tables]) -> Callable[..., Tables]:
    """Return the function that takes the place of `note_synthesis.write_notes` in the notebook.

    It returns a note for every consultation: what was not generated repeats what was.
    """

    def replaced(
        llms: Mapping[str, LLM], corpora, notes: NoteTask, exemplars=None, *, journal=None
    ) -> Tables:
        with task.replace():
            parts = 1 + len(notes.other_decodings)
            seconds = task.seconds / (len(llms) * parts)
            written = MemoryJournal()
            for name, llm in llms.items():
                prompts = [
                    prompt
                    for corpus, rows in corpora.items()
                    for row in rows
                    for prompt in plan_prompts(llm, corpus, row, notes, exemplars)
                ]
                part, texts = _Measurement(llm, notes).run(prompts, name, seconds)
                task.measured.parts += part
                task.save()
                for prompt, text in zip(prompts, itertools.cycle(texts or [("", True)])):
                    written.done[f"{name}/{prompt.id}"] = {"text": text[0], "ended": text[1]}
        return write_notes(llms, corpora, notes, exemplars, journal=written)

    return replaced


def plan_batches(llm: LLM, prompts: Sequence[NotePrompt], notes: NoteTask) -> list[Batch]:
    """Return the batches of `models.generate`: longest prompts first, within the token budget."""
    rows = [[p] * len(models.tokenize_text(llm.tokenizer, p.text)) for p in prompts]
    rows.sort(key=len, reverse=True)
    batches = list_batches(rows, 0, notes.max_new_tokens, notes.token_budget)
    return [Batch(tuple(row[0] for row in batch), len(batch[0])) for _, batch in batches]


def join_batches(batches: Sequence[Batch], at_once: int) -> list[Group]:
    """Return what is computed at once: groups of so many batches, in order.

    As in `models.workers`: the first batch is alone, and the last group may have fewer.
    """
    groups = [batches[i : i + at_once] for i in range(1, len(batches), at_once)]
    return [batches[:1], *groups]


@dataclass(slots=True)
class _Measurement:
    """The measured batches of one model with one decoding."""

    llm: LLM
    notes: NoteTask

    def run(
        self, prompts: Sequence[NotePrompt], name: str, seconds: float
    ) -> tuple[list[Part], list[tuple[str, bool]]]:
        """Return the forecast for all prompts, and the texts that were written with their ends."""
        batches = plan_batches(self.llm, prompts, self.notes)
        if not batches:
            return [], []
        at_once = count_at_once(len(batches), self.llm.model.device)
        groups = join_batches(batches, at_once)
        full = groups[at_once > 1 :]  # from the first with so many batches
        measure = functools.partial(self.generate, at_once)
        begin, longest = time.monotonic(), self.notes.max_new_tokens
        deadline = begin + seconds
        new = few = min(FEW, longest)
        measure(batches[-1:], 1)  # the first pass may prepare weights
        first, per_token, texts = measure(full[0], few)
        rest = (deadline - time.monotonic()) / min(2, len(full))
        if per_token:
            affordable = int((rest - first) / per_token) + few
            new = min(longest, max(few, affordable))
        if new > few:
            first, per_token, texts = measure(full[0], new)
        first += (longest - new) * per_token
        last = None
        if len(full) > 1:  # also without time: other groups may take much less than the first
            count = new if time.monotonic() < deadline else few
            last, per_token, more = measure(full[-1], count)
            last += (longest - count) * per_token
            texts += more
        part = _forecast(f"notes by {name}", groups, full[0], longest, first, last)
        part.measured = time.monotonic() - begin
        if new < longest:
            part.name += f", {new} of {longest} tokens measured"
        return [part], texts

    def generate(
        self, at_once: int, group: Group, new_tokens: int
    ) -> tuple[float, float, list[tuple[str, bool]]]:
        """Return the seconds of a group of so many new tokens at most, those of a token, the texts.

        A token is timed within the pass: the prompts of a large batch take so long that the
        difference of two passes says little of a few tokens.
        """
        notes, start = self.notes, time.monotonic()
        decoding = models.Decoding(
            new_tokens, notes.temperature, notes.top_p, notes.top_k, notes.repetition_penalty
        )
        with compute_at_once(at_once), time_passes(self.llm) as begun:
            results = models.generate(
                self.llm,
                [prompt.text for batch in group for prompt in batch.prompts],
                decoding,
                token_budget=max(batch.count_tokens(new_tokens) for batch in group),
                seed=notes.seed,
            )
            texts = [(text, ended) for _, text, ended in results]
        return time.monotonic() - start, find_token_time(begun.values()), texts


@contextlib.contextmanager
def time_passes(llm: LLM) -> Iterator[dict[int, list[float]]]:
    """Yield, by thread, when each pass of the model begins: first the prompts, then each token."""
    begun: dict[int, list[float]] = collections.defaultdict(list)
    model = llm.activate()
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    handle = base.register_forward_pre_hook(
        lambda *_: begun[threading.get_ident()].append(time.monotonic())
    )
    try:
        yield begun
    finally:
        handle.remove()


def find_token_time(begun: Iterable[Sequence[float]]) -> float:
    """Return the seconds of a token in the slowest thread (median); 0.0 with fewer than two.

    `begun`: for each thread, when the passes began. The first lasts as long as the prompts.
    """
    steps = [[b - a for a, b in itertools.pairwise(times[1:])] for times in begun]
    return max((statistics.median(times) for times in steps if times), default=0.0)


def _forecast(
    name: str,
    groups: Sequence[Group],
    group: Group,
    new_tokens: int,
    first: float,
    last: float | None,
) -> Part:
    """Return the time of all groups, on the line through `group` and the last one.

    `first`, `last`: their seconds. The batches of a group are computed beside each other, so it
    takes the time of its longest. `last` is None if `group` is the only one of its kind.
    """

    def size(batches: Group) -> int:
        return max(batch.count_tokens(new_tokens) for batch in batches)

    if last is None or size(group) == size(groups[-1]):
        times = [first] * len(groups)
    else:
        slope = (first - last) / (size(group) - size(groups[-1]))
        times = [last + slope * (size(batches) - size(groups[-1])) for batches in groups]
    measured = [group] if last is None else [group, groups[-1]]
    done, total = sum(map(len, measured)), sum(map(len, groups))
    seconds = sum(times)
    share = DRIFT if len(groups) <= len(measured) else 2 * DRIFT
    if last is None and len(groups) > 1:
        share = 0.5
    low, high = seconds * (1 - share), seconds * (1 + share)
    return Part(name, "batches", done, total, 0.0, seconds, low, high)
