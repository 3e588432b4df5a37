"""The shipped base model answers a few questions: it needs no adapter and takes seconds."""

import contextlib
import functools
import io
from collections.abc import Sequence

import torch

from clinical_camel import models
from clinical_camel.data import Question
from clinical_camel.models import LLM, Pair

TOKEN_BUDGET = 4096


@functools.cache
def load_base_model() -> LLM:
    """Return the shipped base model in 32 bits, with its tokenizer."""
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
        return models.load("mini", {"base": ""}, compute_dtype="float32")["base"]


def format_prompt(question: Question) -> str:
    """Return the question as plain text, without its options."""
    return f"Question: {question.question}\nAnswer:"


def choose_options(questions: Sequence[Question]) -> tuple[list[str], list[float]]:
    """Return the most likely option of each question, and its log-likelihood in nats."""
    llm = load_base_model()
    pairs = [
        models.tokenize_pair(llm.tokenizer, format_prompt(question), f" {option}")
        for question in questions
        for option in question.options
    ]
    scores = iter(score_pairs(pairs))
    texts, best = [], []
    for question in questions:
        ranked = [(next(scores), option) for option in question.options]
        value, text = max(ranked, key=lambda pair: pair[0])
        texts.append(text)
        best.append(value)
    return texts, best


def score_pairs(pairs: Sequence[Pair]) -> list[float]:
    """Return the log-likelihood of each continuation in nats, in the order of the pairs."""
    scores = dict(models.score_pairs(load_base_model(), pairs, TOKEN_BUDGET))
    return [scores[index] for index in range(len(pairs))]


def mean_loss(input_ids: Sequence[int], labels: Sequence[int]) -> float:
    """Return the mean loss of the base model over the labels that are not IGNORE_INDEX, in nats.

    As in training, the label at a position is predicted from the tokens before it.
    """
    model = load_base_model().activate()
    with torch.no_grad():
        logits = model(torch.tensor([list(input_ids)])).logits[0, :-1]
    targets = torch.tensor(list(labels)[1:])
    return torch.nn.functional.cross_entropy(
        logits, targets, ignore_index=models.IGNORE_INDEX
    ).item()
