"""Every model on every question: planned, scored in batches, kept as the answers come.

Exemplars are the same for every question of a benchmark, so the model reads them once.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from clinical_camel import data, models
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.protocols import PROTOCOLS, Protocol, build_prompt, continuations
from clinical_camel.models import LLM, Pair


def plan(
    questions: Mapping[str, Sequence[Question]],
    exemplars: Mapping[str, Sequence[Question]],
    protocols: Sequence[str],
    num_shots: Sequence[int],
) -> None:
    """Refuses, before a model is loaded, what could not be run. ValueError names the parameter."""
    for name in protocols:
        if name not in PROTOCOLS:
            raise ValueError(f"protocols: {name!r} is not one of {', '.join(PROTOCOLS)}")
    for benchmark, rows in questions.items():
        shown = exemplars.get(benchmark, ())
        if max(num_shots) > len(shown):
            raise ValueError(
                f"num_shots: {max(num_shots)} asked for, but exemplars hold {len(shown)} "
                f"questions for {benchmark}"
            )
        asked = {(q.question, tuple(sorted(q.options))) for q in rows}
        if any((e.question, tuple(sorted(e.options))) in asked for e in shown):
            raise ValueError(
                f"exemplars: a worked example of {benchmark} is also one of its questions"
            )


def fingerprint(*sets: Mapping[str, Sequence[Question]]) -> str:
    """A hash of all questions and examples, in order: which answers may be used again."""
    rows = [[name, *map(data.content_hash, rows)] for each in sets for name, rows in each.items()]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def answer_all(
    llms: Mapping[str, LLM],
    questions: Mapping[str, Sequence[Question]],
    exemplars: Mapping[str, Sequence[Question]],
    protocols: Sequence[str],
    num_shots: Sequence[int],
    token_budget: int,
    journal,
) -> pd.DataFrame:
    """Every model on every question, protocol and number of shots: one row an answer.

    Columns: model, benchmark, protocol, num_shots, id, subset, content_hash, answer, predicted
    (by summed log-likelihood), predicted_norm (divided by the option's characters), correct,
    correct_norm, fits, tokens, logprobs. A question longer than the model's context has
    `fits=False` and no prediction. `journal` keeps each answer as it comes.
    """
    frames = []
    for model, llm in llms.items():
        for benchmark, rows in questions.items():
            for protocol in protocols:
                for shots in num_shots:
                    key = {"model": model, "benchmark": benchmark}
                    key |= {"protocol": protocol, "num_shots": shots}
                    shown = list(exemplars.get(benchmark, ()))[:shots]
                    answers = answer(
                        llm, rows, shown, PROTOCOLS[protocol], token_budget, key, journal
                    )
                    frames += [key | row for row in answers]
    return pd.DataFrame(frames)


def answer(
    llm: LLM,
    questions: Sequence[Question],
    exemplars: Sequence[Question],
    protocol: Protocol,
    token_budget: int,
    key: Mapping[str, str | int],
    journal,
) -> list[dict]:
    """The answers of one model in one setting, in the order of the questions."""
    name = "/".join(map(str, key.values()))
    todo = [q for q in questions if f"{name}/{q.id}" not in journal.done]
    bar = tqdm(
        total=len(questions),
        initial=len(questions) - len(todo),
        desc=name,
        unit="question",
        file=sys.stdout,
    )
    for question, pairs, logprobs in score_questions(llm, todo, exemplars, protocol, token_budget):
        answered = read_answer(question, protocol, pairs, logprobs)
        journal.append(f"{name}/{question.id}", answered)
        bar.update()
    bar.close()
    return [
        {
            "id": q.id,
            "subset": q.subset,
            "content_hash": data.content_hash(q),
            "answer": q.answer,
            **journal.done[f"{name}/{q.id}"],
        }
        for q in questions
    ]


def score_questions(
    llm: LLM,
    questions: Sequence[Question],
    exemplars: Sequence[Question],
    protocol: Protocol,
    token_budget: int,
) -> Iterator[tuple[Question, list[Pair], list[float] | None]]:
    """Yields each question with its options' log-likelihoods as soon as all are known.

    None stands for a question that does not fit the model's context.
    """
    encoded = {}
    for question in questions:
        prompt = build_prompt(question, exemplars, protocol, llm.tokenizer)
        texts = continuations(question, protocol)
        pairs = [models.encode_pair(llm.tokenizer, prompt, text) for text in texts]
        if max(map(len, pairs)) > llm.max_length:
            yield question, pairs, None
        else:
            encoded[question.id] = (question, pairs)
    flat = [(name, i) for name, (_, pairs) in encoded.items() for i in range(len(pairs))]
    known: dict[str, dict[int, float]] = {name: {} for name in encoded}
    for index, value in models.score(llm, [encoded[n][1][i] for n, i in flat], token_budget):
        name, option = flat[index]
        known[name][option] = value
        question, pairs = encoded[name]
        if len(known[name]) == len(pairs):
            yield question, pairs, [known[name][i] for i in range(len(pairs))]


def read_answer(
    question: Question, protocol: Protocol, pairs: Sequence[Pair], logprobs: list[float] | None
) -> dict:
    """What one set of log-likelihoods says: the chosen option, with and without length norm.

    The norm divides by the characters of what is scored, as the harness does: letters all have one.
    """
    row = {"fits": logprobs is not None, "tokens": max(map(len, pairs))}
    if logprobs is None:
        return (
            row
            | {"predicted": -1, "predicted_norm": -1, "correct": False}
            | {
                "correct_norm": False,
                "logprobs": "",
            }
        )
    scores = np.array(logprobs)
    lengths = np.array([len(text.strip()) for text in continuations(question, protocol)])
    best, best_norm = int(scores.argmax()), int((scores / lengths).argmax())
    return row | {
        "predicted": best,
        "predicted_norm": best_norm,
        "correct": best == question.answer,
        "correct_norm": best_norm == question.answer,
        "logprobs": " ".join(f"{value:.4f}" for value in logprobs),
    }
