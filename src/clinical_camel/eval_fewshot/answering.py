"""Every model answers every question, in batches; each answer goes to the journal at once."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from clinical_camel import data, models
from clinical_camel.core.hashing import key_hash
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.exact_match import contains_answer, is_complete
from clinical_camel.eval_fewshot.open_book import read_book
from clinical_camel.eval_fewshot.parsers import PARSERS
from clinical_camel.eval_fewshot.protocols import (
    PROTOCOLS,
    Protocol,
    build_prompt,
    list_continuations,
    list_protocols,
)
from clinical_camel.eval_fewshot.questions import choose_exemplars, make_variant
from clinical_camel.eval_fewshot.replies import UNREAD
from clinical_camel.eval_fewshot.settings import Design
from clinical_camel.exam_results.answers import KEY_COLUMNS, Benchmarks

if TYPE_CHECKING:  # `estimate` counts tokens without torch
    from clinical_camel.models import LLM

FREE_COLUMNS = ["contains", "complete", "answer_logprob", "answer_tokens"]  # of free answers
Answers = Iterator[tuple[Question, dict[str, Any]]]


def answers_key(
    llms: Mapping[str, LLM], questions: Benchmarks, exemplar_pools: Benchmarks, design: Design
) -> dict[str, Any]:
    """Return everything that decides an answer and is not in its journal id: the journal's key.

    Of each protocol that is used, the fields that differ from their defaults: answers stay valid if
    another protocol or a new field is added.
    """
    settings = {"quantize", "chat_template", "exemplar_choice", "seed"}
    key = {"models": {name: llm.source for name, llm in llms.items()}}
    key |= {"settings": design.model_dump(include=settings)}
    names = [entry.partition("@")[0] for entry in design.protocols]
    key |= {"protocols": {name: _changed_fields(PROTOCOLS[name]) for name in names}}
    for name, rows in (("questions", questions), ("exemplars", exemplar_pools)):
        key[name] = {label: list(map(data.content_hash, each)) for label, each in rows.items()}
    if "open_book" in design.variants:
        key["open_book"] = key_hash(read_book(design.open_book))
    return key


def _changed_fields(protocol: Protocol) -> dict[str, Any]:
    values, fields = dataclasses.asdict(protocol), dataclasses.fields(protocol)
    defaults = {field.name: field.default for field in fields}
    defaults |= {f.name: f.default_factory() for f in fields if callable(f.default_factory)}
    return {name: value for name, value in values.items() if value != defaults[name]}


def answer_all(
    llms: Mapping[str, LLM],
    questions: Benchmarks,
    exemplar_pools: Benchmarks,
    design: Design,
    journal: Any,
) -> pd.DataFrame:
    """Return one row per model, benchmark, variant, protocol, number of shots and question.

    Columns: KEY_COLUMNS, id, subset, content_hash, answer, fits, tokens, predicted, predicted_norm,
    correct, correct_norm, picked_shortest, confidence, logprobs, reply. `answer` is the index of
    the correct option after shuffling. A question longer than the model's context has `fits=False`
    and no prediction (-1). `journal` stores each answer at once; answers in it are not computed
    again. Protocols that ask alike on a benchmark are computed once; those that do not fit it are
    left out (`list_protocols`).

    Only if a protocol asks for free answers (`Protocol.is_free`), the table has FREE_COLUMNS:
    `contains` and `complete` (see `exact_match`), the log-probability in nats of the correct answer
    after the prompt, and its number of tokens.
    """
    # Exemplars are chosen for the unchanged questions, so that they are the same in all variants.
    exemplars = {
        (name, shots): choose_exemplars(name, rows, exemplar_pools.get(name, ()), shots, design)
        for name, rows in questions.items()
        for shots in design.num_shots
    }
    book = read_book(design.open_book) if "open_book" in design.variants else {}
    variants = {
        (name, variant): [make_variant(question, variant, design.seed, book) for question in rows]
        for name, rows in questions.items()
        for variant in design.variants
    }
    rows = []
    for model, benchmark in itertools.product(llms, questions):
        protocols = list_protocols(design.protocols, benchmark)
        evaluations = [*itertools.product(design.variants, protocols, design.num_shots)]
        total = len(questions[benchmark]) * len(evaluations)
        with tqdm(total=total, desc=f"{benchmark}/{model}", unit="q", file=sys.stdout) as bar:
            for variant, protocol, shots in evaluations:
                values = (benchmark, variant, protocol, shots, model)
                key = dict(zip(KEY_COLUMNS, values, strict=True))
                alike = find_alike(protocols, protocol, benchmark)
                evaluation = _Evaluation(
                    llm=llms[model],
                    questions=variants[benchmark, variant],
                    exemplars=exemplars[benchmark, shots],
                    protocol=PROTOCOLS[protocol].for_benchmark(benchmark),
                    design=design,
                    journal=journal,
                    name="/".join(map(str, (benchmark, variant, alike, shots, model))),
                )
                rows += [key | row for row in _answer(evaluation, bar)]
    return pd.DataFrame(rows)


def find_alike(protocols: Sequence[str], protocol: str, benchmark: str) -> str:
    """Return the first of these protocols that asks like `protocol` on a benchmark; maybe itself.

    PubMedQA, for one, is asked alike by both versions of the harness.
    """
    own = PROTOCOLS[protocol].for_benchmark(benchmark)
    return next(p for p in protocols if PROTOCOLS[p].for_benchmark(benchmark).asks_like(own))


def drop_alike(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of evaluations without the protocols that ask like an earlier one of the exam.

    They have the same answers, so counting them would count one result several times.
    """
    protocols = table.groupby("benchmark")["protocol"].unique()
    is_first = [
        find_alike(protocols[row.benchmark], row.protocol, row.benchmark) == row.protocol
        for row in table[["benchmark", "protocol"]].itertuples()
    ]
    return table[pd.Series(is_first, index=table.index, dtype=bool)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Evaluation:
    """One model on one benchmark in one protocol, and its answers in the journal.

    `exemplars` are those of each question, by its id.
    """

    llm: LLM
    questions: Sequence[Question]
    exemplars: Mapping[str, Sequence[Question]]
    protocol: Protocol
    design: Design
    journal: Any
    name: str

    def is_saved(self, id: str) -> bool:
        return f"{self.name}/{id}" in self.journal.done

    def load(self, id: str) -> Any:
        return self.journal.done[f"{self.name}/{id}"]

    def save(self, id: str, answer: Any) -> None:
        self.journal.append(f"{self.name}/{id}", answer)


def _answer(run: _Evaluation, bar: tqdm) -> list[dict[str, Any]]:
    """Return the answers of one evaluation, in the order of the questions."""
    by_reply = run.protocol.answer_type == "reply"
    answers = _answer_by_reply(run) if by_reply else _answer_by_likelihood(run)
    saved = sum(run.is_saved(question.id) for question in run.questions)
    bar.update(saved)
    if saved < len(run.questions):
        for question, answer in answers:
            run.save(question.id, answer)
            bar.update()
    return [
        {
            "id": question.id,
            "subset": question.subset,
            "content_hash": data.content_hash(question),
            "answer": question.answer,
            **run.load(question.id),
        }
        for question in run.questions
    ]


def _answer_row(
    question: Question, tokens: int, predicted: int, predicted_norm: int
) -> dict[str, Any]:
    """Return the columns of every answer, in the order of the table; -1 means no option."""
    lengths = list(map(len, question.options))
    return {
        "fits": True,
        "tokens": tokens,
        "predicted": predicted,
        "predicted_norm": predicted_norm,
        "correct": predicted == question.answer,
        "correct_norm": predicted_norm == question.answer,
        "picked_shortest": predicted >= 0 and lengths[predicted] == min(lengths),
        "confidence": None,
        "logprobs": "",
        "reply": "",
    }


def _too_long(question: Question, tokens: int) -> dict[str, Any]:
    return _answer_row(question, tokens, -1, -1) | {"fits": False}


# -------------------------------------------------------------------------------- by likelihood


def _answer_by_likelihood(run: _Evaluation) -> Answers:
    """Yield each question that is not in the journal with its answer, once all options are scored.

    Questions with the same exemplars are scored together: the model reads their common prefix once.
    Questions in the journal keep their place in the batches, so a resumed run gives the same
    numbers as an uninterrupted one.
    """
    for group in group_by_prefix(run.questions, run.exemplars, run.protocol):
        if not all(run.is_saved(question.id) for question in group):
            yield from _score_group(run, group)


def group_by_prefix(
    questions: Sequence[Question],
    exemplars: Mapping[str, Sequence[Question]],
    protocol: Protocol,
) -> list[list[Question]]:
    """Group the questions whose prompts begin with the same preamble and exemplars."""
    groups = defaultdict(list)
    for question in questions:
        subset = question.subset if protocol.preamble else ""
        groups[subset, *(e.id for e in exemplars[question.id])].append(question)
    # too few share a prefix: larger batches are better
    if len(groups) > max(8, len(questions) // 4):
        return [list(questions)]
    return list(groups.values())


def _score_group(run: _Evaluation, group: Sequence[Question]) -> Answers:
    tokenizer, protocol = run.llm.tokenizer, run.protocol
    reply_prefix = models.find_reply_prefix(tokenizer) if protocol.chat else ""
    options, lengths = [], {}
    for question in group:
        exemplars = run.exemplars[question.id]
        pairs = tokenize_options(tokenizer, question, exemplars, protocol, reply_prefix)
        lengths[question.id] = max(map(len, pairs))
        if lengths[question.id] <= run.llm.max_length:
            options += [(question, option, pair) for option, pair in enumerate(pairs)]
        elif not run.is_saved(question.id):
            yield question, _too_long(question, lengths[question.id])
    pairs = [pair for _, _, pair in options]
    skip = {index for index, (question, _, _) in enumerate(options) if run.is_saved(question.id)}
    logprobs = defaultdict(dict)
    for index, value in models.score_pairs(run.llm, pairs, run.design.token_budget, skip):
        question, option, _ = options[index]
        scores = logprobs[question.id]
        scores[option] = value
        if len(scores) == len(question.options):
            values = [scores[option] for option in sorted(scores)]
            yield question, answer_from_logprobs(question, protocol, lengths[question.id], values)


def tokenize_options(
    tokenizer: Any,
    question: Question,
    exemplars: Sequence[Question],
    protocol: Protocol,
    reply_prefix: str,
) -> list[models.Pair]:
    """Return the prompt of a question with each of its options, as token ids.

    `reply_prefix` is the text that the chat template puts before a reply
    (`models.find_reply_prefix`); "" outside a chat.
    """
    prompt = build_prompt(question, exemplars, protocol, tokenizer) + reply_prefix
    texts = list_continuations(question, protocol)
    return [models.tokenize_pair(tokenizer, prompt, text) for text in texts]


def answer_from_logprobs(
    question: Question, protocol: Protocol, tokens: int, logprobs: Sequence[float]
) -> dict[str, Any]:
    """Return the answer row of one question from the log-likelihoods of its options.

    `predicted_norm` divides each log-likelihood by the characters of its continuation without the
    space before it, as the harness does; a letter has one. `confidence` is the predicted option's
    share of the probability of all options.
    """
    scores = np.array(logprobs)
    texts = list_continuations(question, protocol)
    lengths = np.array([len(text) - (not protocol.chat) for text in texts])
    predicted, predicted_norm = int(scores.argmax()), int((scores / lengths).argmax())
    shares = np.exp(scores - scores.max())
    return _answer_row(question, tokens, predicted, predicted_norm) | {
        "confidence": round(float(shares.max() / shares.sum()), 4),
        "logprobs": " ".join(f"{value:.6f}" for value in logprobs),
    }


# --------------------------------------------------------------------------------- by reply


def _answer_by_reply(run: _Evaluation) -> Answers:
    """Yield each question that is not in the journal with a reply and the option parsed from it.

    A reply that cannot be parsed is generated again with another seed, up to `protocol.attempts`
    times. The last one is the answer; the earlier ones are in the journal as well. A free answer
    has FREE_COLUMNS, too.
    """
    tokenizer, protocol = run.llm.tokenizer, run.protocol
    decoding = models.Decoding(**{"max_new_tokens": 64} | dict(protocol.decoding))
    pending = []
    for question in run.questions:
        prompt = build_prompt(question, run.exemplars[question.id], protocol, tokenizer)
        tokens, new = len(models.tokenize_text(tokenizer, prompt)), decoding.max_new_tokens
        if protocol.is_free:  # its correct answer is scored after the prompt
            answer = question.options[question.answer]
            new = max(new, len(models.tokenize_text(tokenizer, answer)))
        if tokens + new <= run.llm.max_length:
            pending.append((question, prompt, tokens))
        elif not run.is_saved(question.id):
            yield question, _too_long(question, tokens + new)
    scored = _score_correct_answers(run, [q for q, *_ in pending]) if protocol.is_free else {}
    for attempt in range(protocol.attempts):
        if not pending:
            return
        ids = [f"{question.id}/unparsed {attempt}" for question, _, _ in pending]
        unparsed = {i for i, id in enumerate(ids) if run.is_saved(id)}
        answered = {i for i, (question, _, _) in enumerate(pending) if run.is_saved(question.id)}
        replies = models.generate(
            run.llm,
            [prompt for _, prompt, _ in pending],
            decoding,
            token_budget=run.design.token_budget,
            seed=run.design.seed + attempt,
            skip=unparsed | answered,
        )
        for i, reply, has_ended in replies:
            question, _, tokens = pending[i]
            option = PARSERS[protocol.parser](reply, question.options)
            if option == UNREAD and attempt + 1 < protocol.attempts:
                run.save(ids[i], reply)
                unparsed.add(i)
            else:
                row = _answer_row(question, tokens, option, option) | {"reply": reply}
                if protocol.is_free:
                    row["contains"] = contains_answer(reply, question.options[question.answer])
                    row["complete"] = is_complete(reply, has_ended)
                yield question, row | scored.get(question.id, {})
        pending = [pending[i] for i in sorted(unparsed)]


def _score_correct_answers(
    run: _Evaluation, questions: Sequence[Question]
) -> dict[str, dict[str, float]]:
    """Return the log-probability of the correct answer, and its tokens, by the question's id.

    Questions in the journal keep their place in the batches and are not computed.
    """
    tokenizer, protocol = run.llm.tokenizer, run.protocol
    reply_prefix = models.find_reply_prefix(tokenizer) if protocol.chat else ""
    pairs = []
    for q in questions:
        options = tokenize_options(tokenizer, q, run.exemplars[q.id], protocol, reply_prefix)
        pairs.append(options[q.answer])
    skip = {i for i, question in enumerate(questions) if run.is_saved(question.id)}
    return {
        questions[i].id: {
            "answer_logprob": round(value, 6),
            "answer_tokens": len(pairs[i].continuation),
        }
        for i, value in models.score_pairs(run.llm, pairs, run.design.token_budget, skip)
    }
