"""Exercises of step 03: shuffled options, McNemar's test, a rule that reads no question."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from clinical_camel import data, stats
from clinical_camel.data import Question
from clinical_camel.exercises import base_model
from clinical_camel.exercises.feedback import (
    RIGHT,
    WRONG,
    AnswerError,
    Feedback,
    compare_choice,
    grade_function,
    require_number,
)

QUESTIONS = 30
PAIRS = ((9, 2), (2, 9), (5, 5), (0, 1), (20, 4), (0, 0))  # correct in one run only, in the other


def grade_shuffled_options(prediction: object) -> Feedback:
    """Grade a prediction: the accuracy if the options are reversed and the prompt lacks them."""
    questions = data.load_questions("mini_exam_primer")[:QUESTIONS]
    before, after = (measure_accuracy(rows) for rows in (questions, reverse_options(questions)))
    change = "same" if before == after else ("higher" if after > before else "lower")
    reasons = {
        "higher": "The model does not see the list, so no order can help it.",
        "lower": "A position bias needs a list in the prompt; here the model never sees one.",
        "same": (
            f"{before:.0%} before and {after:.0%} after, n = {len(questions)}. Each option is "
            "scored alone after the question, so its place in the list cannot matter."
        ),
    }
    return compare_choice(prediction, change, reasons)


def reverse_options(questions: Sequence[Question]) -> list[Question]:
    """Return the questions with their options in reverse order."""
    return [
        dataclasses.replace(q, options=q.options[::-1], answer=len(q.options) - 1 - q.answer)
        for q in questions
    ]


def measure_accuracy(questions: Sequence[Question]) -> float:
    """Return the share of questions that the base model answers correctly."""
    texts, _ = base_model.choose_options(questions)
    return sum(t == q.options[q.answer] for t, q in zip(texts, questions, strict=True)) / len(texts)


def grade_mcnemar(function: Callable) -> Feedback:
    """Grade `function(a, b)`: the exact two-sided p-value of two lists of true and false."""
    return grade_function(function, _grade_mcnemar)


def _grade_mcnemar(test: Callable) -> Feedback:
    for only_a, only_b in PAIRS:
        a = [True] * (10 + only_a) + [False] * (only_b + 3)
        b = [True] * 10 + [False] * only_a + [True] * only_b + [False] * 3
        right, value = stats.mcnemar_exact(a, b), require_number(test(a, b))
        if math.isclose(value, right, abs_tol=1e-9):
            continue
        case = f"{only_a} and {only_b} questions are correct in one run only"
        raise AnswerError(
            f"If {case}, your p is {value:.4g}, it should be {right:.4g}. "
            f"{_explain_p(value, only_a, only_b, len(a))}"
        )
    return Feedback(
        RIGHT,
        "Only the questions count that one model alone answers correctly. But the test takes "
        "questions as independent: with six questions on each disease, step 03 swaps the answers "
        "of complete diseases instead.",
    )


def _explain_p(value: float, only_a: int, only_b: int, total: int) -> str:
    """Return which common mistake gives this p-value, or a hint."""
    count, smaller = only_a + only_b, min(only_a, only_b)
    one_sided = sum(math.comb(count, k) for k in range(smaller + 1)) / 2**count
    all_items = sum(math.comb(total, k) for k in range(smaller + 1)) / 2**total
    chi = (only_a - only_b) ** 2 / count if count else 0.0
    mistakes = {
        one_sided: "That is one-sided: double it, because either model may be better.",
        2 * one_sided: "A p-value cannot exceed 1: use the smaller of 1 and your result.",
        math.comb(count, smaller) / 2**count: "Add the probabilities of all results that are at "
        "least as extreme, not only that of this result.",
        min(1.0, 2 * all_items): "You counted all questions. Drop those on which both agree.",
        math.erfc(math.sqrt(chi / 2)): "That is the chi-square approximation: with so few "
        "questions, use the exact binomial distribution.",
        chi: "That is the chi-square statistic, not a p-value.",
    }
    near = [text for p, text in mistakes.items() if math.isclose(p, value, abs_tol=1e-9)]
    return near[0] if near else "Toss a fair coin for each question on which the two differ."


def grade_blind_rule(function: Callable) -> Feedback:
    """Grade `function(options)`, which chooses an option without the question.

    Right is every valid rule: the exercise is to measure it.
    """
    return grade_function(function, _grade_rule)


def _grade_rule(choose: Callable) -> Feedback:
    questions = data.load_questions("mini_exam")
    correct = []
    for question in questions:
        options = list(question.options)
        index = choose(options)
        if isinstance(index, str):
            raise AnswerError("Return the index of an option, not its text.")
        if isinstance(index, bool) or not isinstance(index, int | np.integer):
            raise AnswerError(f"Return a whole number, not {type(index).__name__}.")
        if not 0 <= index < len(options):
            raise AnswerError(f"{index} is no index of {len(options)} options: count from 0.")
        correct.append(index == question.answer)
    share = float(np.mean(correct))
    low, high = stats.clustered_interval(correct, [q.group for q in questions])
    chance = float(np.mean([1 / len(q.options) for q in questions]))
    text = (
        f"Your rule is right in {share:.1%} [{low:.1%}, {high:.1%}] of n = {len(correct)} "
        f"questions; chance is {chance:.0%}. "
    )
    if low <= chance <= high:
        text += f"The interval contains chance: cannot tell from n = {len(correct)} questions."
    elif low > chance:
        text += "The options alone give something away: a model may use it, too."
    else:
        text += "Below chance: the opposite rule would do better than guessing."
    return Feedback(RIGHT if len(set(correct)) > 1 else WRONG, text)
