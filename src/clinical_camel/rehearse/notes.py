"""Step 04: the first and the last batches of notes, and the time of all batches between them.

A CPU computes several batches at once, so as many are measured together. With more than two at
once, short trials are approximate: rows move between the batches. Generation is measured without
compiling it, so a compiled run should take less.
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
COMPILED = "notes measured without compile_generation; with it they should take less time"
WIDER = 1.5  # times DRIFT, if only some groups of batches were measured
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
            if notes.compile_generation and COMPILED not in task.measured.remarks:
                task.measured.remarks.append(COMPILED)
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


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds of a group: of its prompts, and of each new token of all rows.

    `ended`: passes after which every reply had ended; 0 if the limit ended them.
    """

    prompts: float
    token: float = 0.0
    ended: int = 0


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
        first, texts = measure(full[0], few)
        rest = (deadline - time.monotonic()) / min(2, len(full))
        if first.token:
            new = min(longest, max(few, int((rest - first.prompts) / first.token)))
        if new > few:
            first, texts = measure(full[0], new)
        last = None
        if len(full) > 1:  # also without time: the last group has more rows, with shorter prompts
            last, more = measure(full[-1], new if time.monotonic() < deadline else few)
            texts += more
        part = _forecast(f"notes by {name}", groups, full[0], longest, first, last)
        part.measured = time.monotonic() - begin
        if new < longest:
            part.name += f", {new} of {longest} tokens measured"
        return [part], texts

    def generate(
        self, at_once: int, group: Group, new_tokens: int
    ) -> tuple[Timing, list[tuple[str, bool]]]:
        """Return the times of a group with so many new tokens at most, and its texts."""
        notes, start = self.notes, time.monotonic()
        decoding = models.Decoding.from_settings(
            notes.model_copy(update={"max_new_tokens": new_tokens})
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
        return find_timing(time.monotonic() - start, begun.values(), new_tokens), texts


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


def find_timing(elapsed: float, begun: Iterable[Sequence[float]], new_tokens: int) -> Timing:
    """Return the times of batches that took `elapsed` seconds together, by the slowest thread.

    `begun`: for each thread, when the passes began: of the prompts, then of each token. A token is
    timed within its batch: the prompts of a large one take so long that the difference of two
    batches says little of a few tokens.
    """
    slowest = Timing(elapsed)
    for times in begun:
        steps = [b - a for a, b in itertools.pairwise(times[1:])]
        if steps and statistics.median(steps) >= slowest.token:
            token, count = statistics.median(steps), len(times) - 1
            ended = count if count < new_tokens - 1 else 0  # every reply had ended before
            slowest = Timing(max(0.0, elapsed - count * token), token, ended)
    return slowest


def _forecast(
    name: str,
    groups: Sequence[Group],
    group: Group,
    new_tokens: int,
    first: Timing,
    last: Timing | None,
) -> Part:
    """Return the time of all groups, from those of `group` and of the last one.

    The prompts take time by their tokens, a new token by the rows: both lie on a line through the
    two. The batches of a group are computed beside each other, so it takes the time of its longest.
    `last` is None if `group` is the only one of its kind.
    """
    ends = groups[-1] if last else group
    last = last or first

    def count_rows(batches: Group) -> int:
        return max(len(batch.prompts) for batch in batches)

    def count_tokens(batches: Group) -> int:
        return max(batch.count_tokens(0) for batch in batches)

    passes = max(timing.ended or new_tokens - 1 for timing in (first, last))
    times = []
    for batches in groups:
        points = [count_tokens(one) for one in (batches, group, ends)]
        prompts = interpolate(*points, first.prompts, last.prompts)
        points = [count_rows(one) for one in (batches, group, ends)]
        times.append(prompts + passes * interpolate(*points, first.token, last.token))
    measured = [group] if ends is group else [group, ends]
    done, total = sum(map(len, measured)), sum(map(len, groups))
    seconds = sum(times)
    share = DRIFT if len(groups) <= len(measured) else WIDER * DRIFT
    return Part(
        name, "batches", done, total, 0.0, seconds, seconds * (1 - share), seconds * (1 + share)
    )


def interpolate(x: float, first: float, last: float, at_first: float, at_last: float) -> float:
    """Return the value at `x` on the line through two points, at least 0.0.

    Their mean if both have one place.

    >>> interpolate(2, 1, 3, 10.0, 20.0), interpolate(2, 1, 1, 10.0, 20.0)
    (15.0, 15.0)
    """
    if first == last:
        return (at_first + at_last) / 2
    return max(0.0, at_first + (x - first) * (at_last - at_first) / (last - first))
