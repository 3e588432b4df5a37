"""Step 03: some questions of each evaluation, and the time of all from the tokens computed."""

import itertools
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from clinical_camel import data, eval_fewshot
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.settings import Design
from clinical_camel.models import LLM
from clinical_camel.models.workers import compute_at_once, count_at_once
from clinical_camel.rehearse.intervals import forecast_part
from clinical_camel.rehearse.record import Part
from clinical_camel.rehearse.task import Task

FIRST = 8  # questions of the first trial of an evaluation
LONGEST_FILL = 20.0  # seconds that a batch may take to show its memory
COUNTED = ("row_tokens", "padding_tokens")  # of `llm.counts`; they grow with the questions
Benchmarks = Mapping[str, Sequence[Question]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model on one benchmark, asked in one way."""

    benchmark: str
    model: str
    variant: str
    protocol: str
    shots: int

    @property
    def name(self) -> str:
        parts = (self.benchmark, self.variant, self.protocol, f"{self.shots}-shot", self.model)
        return " ".join(parts)


def replace_answers(
    task: Task, answer_all: Callable[..., pd.DataFrame]
) -> Callable[..., pd.DataFrame]:
    """Return the function that takes the place of `eval_fewshot.answer_all` in the notebook.

    It returns the complete table: what was not computed has random answers, so that every table
    and figure after it takes the time that it will take.
    """

    def replaced(
        llms: Mapping[str, LLM], questions: Benchmarks, pools: Benchmarks, design: Design, journal
    ) -> pd.DataFrame:
        with task.replace():
            return _measure_all(task, answer_all, llms, (questions, pools, design, journal))

    return replaced


def list_evaluations(
    llms: Mapping[str, LLM], questions: Benchmarks, design: Design
) -> list[tuple[Evaluation, bool]]:
    """Return every evaluation in the order of the table, and whether it is computed itself.

    The others ask like an earlier one, whose answers they share.
    """
    evaluations = []
    for model, benchmark in itertools.product(llms, questions):
        protocols = eval_fewshot.list_protocols(design.protocols, benchmark)
        for variant, protocol, shots in itertools.product(
            design.variants, protocols, design.num_shots
        ):
            alike = eval_fewshot.find_alike(protocols, protocol, benchmark)
            evaluation = Evaluation(benchmark, model, variant, protocol, shots)
            evaluations.append((evaluation, alike == protocol))
    return evaluations


def choose_largest(evaluations: Sequence[Evaluation]) -> set[Evaluation]:
    """Return the evaluations whose memory is measured: those of the last model on one exam."""
    model, exam = evaluations[-1].model, evaluations[0].benchmark
    return {e for e in evaluations if (e.model, e.benchmark) == (model, exam)}


def _measure_all(task: Task, answer_all, llms, arguments) -> pd.DataFrame:
    questions, pools, design, journal = arguments
    evaluations = list_evaluations(llms, questions, design)
    computed = sum(is_computed for _, is_computed in evaluations)
    largest = choose_largest([e for e, _ in evaluations])
    deadline, tables, last = time.monotonic() + task.seconds, [], None
    for evaluation, is_computed in evaluations:
        if is_computed:
            seconds = max(0.0, deadline - time.monotonic()) / computed
            computed -= 1
            changed = {
                "protocols": [evaluation.protocol],
                "num_shots": [evaluation.shots],
                "variants": [evaluation.variant],
            }
            measure = _Measurement(
                lambda rows, changed=changed, e=evaluation: answer_all(
                    {e.model: llms[e.model]},
                    {e.benchmark: rows},
                    pools,
                    design.model_copy(update=changed),
                    journal,
                ),
                llms[evaluation.model],
                questions[evaluation.benchmark],
                design.token_budget,
                fill=evaluation in largest,
            )
            last, part = measure.run(evaluation.name, seconds)
            task.measured.parts.append(part)
            if not measure.is_filled:
                task.measured.remarks.append(f"{evaluation.name}: memory of smaller batches only")
            task.save()
        tables.append(fill_table(last, evaluation, questions[evaluation.benchmark], design.seed))
    return pd.concat(tables, ignore_index=True)


@dataclass(slots=True)
class _Measurement:
    """The measured questions of one evaluation.

    `fill`: answer as many as one batch holds, so that its memory is measured; `is_filled`: false
    if that would have taken too long.
    """

    answer: Callable[[Sequence[Question]], pd.DataFrame]
    llm: LLM
    questions: Sequence[Question]
    token_budget: int
    fill: bool
    is_filled: bool = True

    def run(self, name: str, seconds: float) -> tuple[pd.DataFrame, Part]:
        """Answer as many questions as `seconds` allow, at least FIRST; return them and the part.

        As many batches are computed at once as among all questions, if there are as many. A shared
        prefix is computed once, so the time follows the tokens, not the questions.
        """
        count, start = len(self.questions), time.monotonic()
        chunks = [self._measure(0, min(FIRST, count))]
        first = chunks[0]
        rest = seconds - (time.monotonic() - start)
        more = int(0.9 * rest / max(first.seconds / first.count, 1e-9))
        rows = max(1, self.token_budget // max(1, first.row_cost))  # of a batch
        at_once = count_at_once(math.ceil(count / rows), self.llm.model.device)
        rows *= at_once
        if self.fill:
            if rows * first.seconds / first.count <= max(LONGEST_FILL, 3 * seconds):
                more = max(more, rows)
            else:
                self.is_filled = False
        if more >= min(FIRST, rows) and count > first.count:
            more = min(count - first.count, more)
            is_filled = more >= rows
            more -= more % rows if is_filled else 0
            with compute_at_once(at_once if is_filled else 0):
                chunks.append(self._measure(first.count, more))
        last = chunks[-1]  # the first one warms up
        part = forecast_part(name, "questions", [last.seconds], count, last.count)
        part.done = sum(chunk.count for chunk in chunks)
        for bound in ("seconds", "low", "high"):
            setattr(part, bound, getattr(part, bound) + last.prefix_seconds)
        return pd.concat([chunk.table for chunk in chunks], ignore_index=True), part

    def _measure(self, start: int, count: int) -> "_Chunk":
        before, clock = dict(self.llm.counts), time.monotonic()
        table = self.answer(self.questions[start : start + count])
        took = time.monotonic() - clock
        grown = {name: n - before.get(name, 0) for name, n in self.llm.counts.items()}
        tokens, prefix = sum(grown.get(name, 0) for name in COUNTED), grown.get("prefix_tokens", 0)
        share = prefix / (tokens + prefix) if tokens + prefix else 0.0
        return _Chunk(table, count, took * (1 - share), took * share, prefix + tokens // count)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Questions answered together: seconds besides the shared prefix, and those for it.

    `row_cost`: tokens of a question with the prefix, as a batch counts them.
    """

    table: pd.DataFrame
    count: int
    seconds: float
    prefix_seconds: float
    row_cost: int


def fill_table(
    measured: pd.DataFrame, evaluation: Evaluation, questions: Sequence[Question], seed: int
) -> pd.DataFrame:
    """Return a row for every question; those that were not measured have random answers."""
    rows, rows_by_id = [], {row["id"]: row for row in measured.to_dict("records")}
    generator, template = random.Random(seed), next(iter(rows_by_id.values()))
    key = {
        "benchmark": evaluation.benchmark,
        "variant": evaluation.variant,
        "protocol": evaluation.protocol,
        "num_shots": evaluation.shots,
        "model": evaluation.model,
    }
    for question in questions:
        row = rows_by_id.get(question.id)
        rows.append((row or _invent_row(template, question, generator)) | key)
    return pd.DataFrame(rows, columns=list(measured.columns))


def _invent_row(
    template: Mapping[str, Any], question: Question, generator: random.Random
) -> dict[str, Any]:
    """Return a measured row for another question, with a random answer."""
    logprobs = [-generator.random() * 9 for _ in question.options]
    predicted = max(range(len(logprobs)), key=logprobs.__getitem__)
    return dict(template) | {
        "id": question.id,
        "subset": question.subset,
        "content_hash": data.content_hash(question),
        "answer": question.answer,
        "predicted": predicted,
        "predicted_norm": predicted,
        "correct": predicted == question.answer,
        "correct_norm": predicted == question.answer,
        "logprobs": " ".join(f"{value:.6f}" for value in logprobs) if template["logprobs"] else "",
    }
