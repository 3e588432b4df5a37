"""Every model on every question: planned, answered in batches, kept as the answers come."""

import hashlib
import itertools
import json
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from clinical_camel import data, models
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.protocols import (
    EXEMPLAR_CHOICES,
    PROTOCOLS,
    READERS,
    VARIANTS,
    Protocol,
    build_prompt,
    choose_exemplars,
    continuations,
    vary,
)
from clinical_camel.models import LLM

SETTING = ["benchmark", "variant", "protocol", "num_shots", "model"]


@dataclass(frozen=True, slots=True)
class Design:
    """How the models are asked: every protocol, shots and variant, each with all the others."""

    protocols: Sequence[str]
    num_shots: Sequence[int]
    variants: Sequence[str] = ("as_given",)
    exemplar_choice: str = "fixed"
    seed: int = 0

    def __post_init__(self) -> None:
        chosen = {"protocols": PROTOCOLS, "variants": VARIANTS}
        for name, valid in chosen.items():
            for value in getattr(self, name):
                if value not in valid:
                    raise ValueError(f"{name}: {value!r} is not one of {', '.join(valid)}")
        if self.exemplar_choice not in EXEMPLAR_CHOICES:
            raise ValueError(
                f"exemplar_choice: {self.exemplar_choice!r} is not one of "
                f"{', '.join(EXEMPLAR_CHOICES)}"
            )

    def shown(
        self,
        benchmark: str,
        pools: Mapping[str, Sequence[Question]],
        questions: Sequence[Question],
        num_shots: int,
    ) -> dict[str, tuple[Question, ...]]:
        """The worked examples of each question, by its id."""
        pool = pools.get(benchmark, ())
        return choose_exemplars(
            benchmark, pool, questions, num_shots, self.exemplar_choice, self.seed
        )


def take_exemplars(
    questions: Mapping[str, Sequence[Question]],
    pools: Mapping[str, Sequence[Question]],
    count: int,
) -> tuple[dict[str, list[Question]], dict[str, list[Question]]]:
    """Questions and pools; where a benchmark's pool is empty, `count` of its questions become it.

    They are no longer among the questions then: the score is on fewer, and the counts say so.
    """
    left, taken = {}, {}
    for benchmark, rows in questions.items():
        pool = list(pools.get(benchmark, ()))
        if not pool and benchmark in pools and count:
            pool = data.sample(list(rows), count)
        kept = {e.id for e in pool} if not pools.get(benchmark) else set()
        taken[benchmark] = pool
        left[benchmark] = [q for q in rows if q.id not in kept]
    return left, taken


def plan(
    questions: Mapping[str, Sequence[Question]],
    pools: Mapping[str, Sequence[Question]],
    design: Design,
) -> None:
    """Refuses, before a model is loaded, what could not be run. ValueError names the parameter."""
    shots = max(design.num_shots)
    for benchmark, rows in questions.items():
        shown = design.shown(benchmark, pools, rows, shots)
        for question in rows:
            if any(_same(example, question) for example in shown[question.id]):
                raise ValueError(
                    f"exemplars: a worked example of {benchmark} is also one of its questions, "
                    f"{question.id}"
                )


def _same(example: Question, question: Question) -> bool:
    """Whether they ask the same. Four of MMLU's examples are questions of another subject: those
    are not shown there."""
    return (example.question, sorted(example.options)) == (
        question.question,
        sorted(question.options),
    )


def fingerprint(*sets: Mapping[str, Sequence[Question]]) -> str:
    """A hash of all questions and examples, in order: which answers may be used again."""
    rows = [[name, *map(data.content_hash, rows)] for each in sets for name, rows in each.items()]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def answer_all(
    llms: Mapping[str, LLM],
    questions: Mapping[str, Sequence[Question]],
    pools: Mapping[str, Sequence[Question]],
    design: Design,
    token_budget: int,
    journal,
) -> pd.DataFrame:
    """Every model on every question, variant, protocol and number of shots: one row an answer.

    Columns: those of SETTING, id, subset, content_hash, answer, and what `read_scores` or
    `read_reply` say. `answer` is the right option as the question was asked, so after shuffling.
    A question longer than the model's context has `fits=False` and no prediction. `journal` keeps
    each answer as it comes.
    """
    # Chosen for the questions as they were given, once: a draw does not depend on how one is asked.
    shown = {
        (benchmark, shots): design.shown(benchmark, pools, asked, shots)
        for benchmark, asked in questions.items()
        for shots in design.num_shots
    }
    varied = {
        (benchmark, variant): [vary(q, variant, design.seed) for q in asked]
        for benchmark, asked in questions.items()
        for variant in design.variants
    }
    settings = itertools.product(
        llms, questions, design.variants, design.protocols, design.num_shots
    )
    rows = []
    for model, benchmark, variant, protocol, shots in settings:
        key = dict(zip(SETTING, (benchmark, variant, protocol, shots, model), strict=True))
        asked, examples = varied[benchmark, variant], shown[benchmark, shots]
        rows += _answer(llms[model], asked, examples, key, token_budget, design.seed, journal)
    return pd.DataFrame(rows)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The answers to one setting that are in the journal, by question id."""

    journal: Any
    setting: str

    def __contains__(self, id: str) -> bool:
        return f"{self.setting}/{id}" in self.journal.done

    def __getitem__(self, id: str) -> Any:
        return self.journal.done[f"{self.setting}/{id}"]

    def append(self, id: str, answer: Any) -> None:
        self.journal.append(f"{self.setting}/{id}", answer)


def _answer(
    llm: LLM,
    questions: Sequence[Question],
    shown: Mapping[str, Sequence[Question]],
    key: Mapping[str, str | int],
    token_budget: int,
    seed: int,
    journal,
) -> list[dict]:
    """The answers of one model in one setting, in the order of the questions."""
    kept = _Kept(journal, "/".join(map(str, key.values())))
    protocol = PROTOCOLS[key["protocol"]].on(key["benchmark"])
    if protocol.scores == "reply":
        answers = reply_to(llm, questions, shown, protocol, token_budget, seed, kept)
    else:
        answers = score_questions(llm, questions, shown, protocol, token_budget, kept)
    known = sum(q.id in kept for q in questions)
    bar = tqdm(total=len(questions), initial=known, desc=kept.setting, unit="q", file=sys.stdout)
    if known < len(questions):
        for question, answer in answers:
            kept.append(question.id, answer)
            bar.update()
    bar.close()
    return [
        {
            **key,
            "id": q.id,
            "subset": q.subset,
            "content_hash": data.content_hash(q),
            "answer": q.answer,
            **kept[q.id],
        }
        for q in questions
    ]


# ------------------------------------------------------------------------------- by likelihood


def score_questions(
    llm: LLM,
    questions: Sequence[Question],
    shown: Mapping[str, Sequence[Question]],
    protocol: Protocol,
    token_budget: int,
    kept: Container[str] = (),
) -> Iterator[tuple[Question, dict]]:
    """Yields each question that is not `kept` with its answer, as soon as all options are scored.

    Questions with the same worked examples are scored together: what they share is read once. The
    kept ones have their place in the batches, so the numbers do not depend on where a run stopped.
    """
    for group in sharing(questions, shown, protocol):
        if not all(question.id in kept for question in group):
            yield from _score_group(llm, group, shown, protocol, token_budget, kept)


def sharing(
    questions: Sequence[Question], shown: Mapping[str, Sequence[Question]], protocol: Protocol
) -> list[list[Question]]:
    """The questions in groups whose prompts begin with the same worked examples."""
    groups: dict[tuple[str, ...], list[Question]] = {}
    for question in questions:
        examples = tuple(e.id for e in shown[question.id])
        groups.setdefault((question.subset if protocol.preamble else "", *examples), []).append(
            question
        )
    if len(groups) > max(8, len(questions) // 4):  # per question: nothing to share but the batch
        return [list(questions)]
    return list(groups.values())


def _score_group(
    llm, questions, shown, protocol, token_budget, kept
) -> Iterator[tuple[Question, dict]]:
    encoded = {}
    lead = models.reply_lead(llm.tokenizer) if protocol.chat else ""
    for question in questions:
        pairs = pairs_of(llm.tokenizer, question, shown[question.id], protocol, lead)
        if max(map(len, pairs)) > llm.max_length:
            if question.id not in kept:
                yield question, _too_long(question, max(map(len, pairs)))
        else:
            encoded[question.id] = (question, pairs)
    flat = [(name, i) for name, (_, pairs) in encoded.items() for i in range(len(pairs))]
    known: dict[str, dict[int, float]] = {name: {} for name in encoded}
    skip = {index for index, (name, _) in enumerate(flat) if name in kept}
    scored = models.score(llm, [encoded[n][1][i] for n, i in flat], token_budget, skip)
    for index, value in scored:
        name, option = flat[index]
        known[name][option] = value
        question, pairs = encoded[name]
        if len(known[name]) == len(pairs):
            scores = [known[name][i] for i in range(len(pairs))]
            yield question, read_scores(question, protocol, max(map(len, pairs)), scores)


def pairs_of(
    tokenizer,
    question: Question,
    exemplars: Sequence[Question],
    protocol: Protocol,
    lead: str,
) -> list[models.Pair]:
    """What is scored of one question: the prompt with each option, as token ids.

    `lead` is what the chat template puts before a reply (`models.reply_lead`), "" outside a chat.
    """
    prompt = build_prompt(question, exemplars, protocol, tokenizer) + lead
    texts = continuations(question, protocol)
    return [models.encode_pair(tokenizer, prompt, text) for text in texts]


def read_scores(
    question: Question, protocol: Protocol, tokens: int, logprobs: Sequence[float]
) -> dict:
    """What one set of log-likelihoods says: the chosen option, with and without length norm.

    The norm divides by the characters of what is scored, as the harness does: letters all have one.
    `confidence` is the chosen option's share of the probability of all of them.
    """
    scores = np.array(logprobs)
    lengths = np.array([len(text.strip()) for text in continuations(question, protocol)])
    best, best_norm = int(scores.argmax()), int((scores / lengths).argmax())
    shares = np.exp(scores - scores.max())
    return _row(question, tokens, best, best_norm) | {
        "confidence": round(float(shares.max() / shares.sum()), 4),
        "logprobs": " ".join(f"{value:.6f}" for value in logprobs),
    }


def _row(question: Question, tokens: int, predicted: int, predicted_norm: int) -> dict:
    """What every answer has, in the order of the table; -1 is no option."""
    return {
        "fits": True,
        "tokens": tokens,
        "predicted": predicted,
        "predicted_norm": predicted_norm,
        "correct": predicted == question.answer,
        "correct_norm": predicted_norm == question.answer,
        "confidence": None,
        "logprobs": "",
        "reply": "",
    }


def _too_long(question: Question, tokens: int) -> dict:
    return _row(question, tokens, -1, -1) | {"fits": False}


# ------------------------------------------------------------------------------------- by reply


def reply_to(
    llm: LLM,
    questions: Sequence[Question],
    shown: Mapping[str, Sequence[Question]],
    protocol: Protocol,
    token_budget: int,
    seed: int,
    kept: _Kept,
) -> Iterator[tuple[Question, dict]]:
    """Yields each question that is not `kept` with a reply and the option that is read from it.

    A reply that cannot be read is asked for again, with another draw, up to `protocol.tries`
    times; the last one is the answer, and those before it are kept as well.
    """
    decoding = {"max_new_tokens": 64} | dict(protocol.decoding)
    room = llm.max_length - decoding["max_new_tokens"]
    todo = []
    for question in questions:
        prompt = build_prompt(question, shown[question.id], protocol, llm.tokenizer)
        tokens = len(models.encode(llm.tokenizer, prompt))
        if tokens <= room:
            todo.append((question, prompt, tokens))
        elif question.id not in kept:
            yield question, _too_long(question, tokens + decoding["max_new_tokens"])
    for attempt in range(protocol.tries):
        names = [f"{question.id}/unread {attempt}" for question, _, _ in todo]
        unread = {i for i, name in enumerate(names) if name in kept}
        skip = unread | {i for i, (question, _, _) in enumerate(todo) if question.id in kept}
        settings = {"token_budget": token_budget, "seed": seed + attempt, "skip": skip, **decoding}
        for i, text, _ in models.generate(llm, [prompt for _, prompt, _ in todo], **settings):
            question, _, tokens = todo[i]
            row = read_reply(question, protocol, tokens, text)
            if row["predicted"] < 0 and attempt + 1 < protocol.tries:
                kept.append(names[i], text)
                unread.add(i)
            else:
                yield question, row
        todo = [todo[i] for i in sorted(unread)]
        if not todo:
            break


def read_reply(question: Question, protocol: Protocol, tokens: int, reply: str) -> dict:
    """What a reply says; `predicted` is -1 where no single option can be read from it."""
    chosen = READERS[protocol.reader](reply, question.options)
    return _row(question, tokens, chosen, chosen) | {"reply": reply}
