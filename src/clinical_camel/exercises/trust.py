"""Exercises of step 09: is it a leak, the calibration error, a rule that finds contamination."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from clinical_camel import data, stats
from clinical_camel.data import Question
from clinical_camel.exercises.feedback import (
    RIGHT,
    WRONG,
    AnswerError,
    Feedback,
    grade_function,
    grade_predictions,
    require_choice,
    require_number,
)
from clinical_camel.score_checks.planted import plant_copies

# Of the first question of mini_exam: letter, text in the training data, is it a leak, why.
PAIRS = {
    "A": (
        "{question} {answer}.",
        "yes",
        "question and answer: the model can repeat it without knowing anything else",
    ),
    "B": (
        "{other} {other_answer}.",
        "no",
        "the same words, but another disease: it shows the form of the exam, no answer of it",
    ),
    "C": (
        "The story of stable angina usually begins with chest tightness on exertion relieved by "
        "rest.",
        "no",
        "this is the sentence that the exam is about: learning it is what the exam tests",
    ),
    "D": (
        "Stable angina, pick one: joint pains after a sore throat / chest tightness on exertion "
        "relieved by rest. Key: the second.",
        "yes",
        "an exam question with its key, in other words: a person sees it, a search for words may "
        "not",
    ),
}
BINS = 5
CASES = (  # confidence and correctness of a few answers
    ([0.9, 0.9, 0.9, 0.9, 0.3], [1, 1, 0, 0, 1]),
    ([0.2, 0.4, 0.6, 0.8, 1.0], [0, 1, 0, 1, 0]),
    ([0.5, 0.5, 0.7, 0.7, 0.7, 0.95], [0, 1, 1, 0, 1, 1]),
    ([0.0, 0.3, 0.9], [1, 0, 1]),
)
QUESTIONS, INNOCENT = 12, 60  # of the last exercise
EXACT = "AB"  # planted copies that a rule must find
MAX_FALSE_ALARMS = 0.05


# ----------------------------------------------------------------------------------- is it a leak?


def list_pairs() -> dict[str, str]:
    """Return the training texts of the first exercise by letter; `exam` is the exam question."""
    exam, *rows = data.load_questions("mini_exam")
    other = next(q for q in rows if q.group != exam.group)
    other = dataclasses.replace(other, question=exam.question.replace(exam.group, other.group))
    names = {"question": exam.question, "answer": exam.options[exam.answer]}
    names |= {"other": other.question, "other_answer": other.options[other.answer]}
    return {"exam": exam.question} | {k: text.format(**names) for k, (text, *_) in PAIRS.items()}


def grade_leaks(predictions: Mapping[str, str]) -> Feedback:
    """Grade "yes" or "no" for each training text: does it give the exam question away?"""

    def explain(name: str, answer: object) -> str:
        _, truth, reason = PAIRS[name]
        is_right = require_choice(answer, ("yes", "no")) == truth
        return "" if is_right else f"{name}: {truth}, {reason}."

    flagged = ", ".join(sorted(_search())) or "none"
    return grade_predictions(
        predictions,
        [*PAIRS],
        "Write your predictions first: yes or no for each text.",
        explain,
        f"The search of step 09 flags: {flagged}. It compares words, you compare meaning.",
    )


def _search() -> set[str]:
    """Return the letters of the training texts in which the search finds the exam question."""
    texts = list_pairs()
    question = data.load_questions("mini_exam")[0]
    return set(data.find_overlaps([question], [(k, texts[k]) for k in PAIRS])["source"])


# ------------------------------------------------------------------------------- calibration error


def grade_calibration_error(function: Callable) -> Feedback:
    """Grade `function(confidence, correct, bins)`: the expected calibration error."""
    return grade_function(function, _grade_calibration)


def _grade_calibration(error: Callable) -> Feedback:
    for confidence, correct in CASES:
        value = require_number(error(list(confidence), list(correct), BINS))
        right = stats.expected_calibration_error(confidence, correct, BINS)
        if math.isclose(value, right, abs_tol=1e-6):
            continue
        raise AnswerError(
            f"For confidence {confidence}, correct {correct} and {BINS} bins, yours is "
            f"{value:.4f}, it should be {right:.4f}. {_explain_error(value, confidence, correct)}"
        )
    return Feedback(
        RIGHT,
        "A model with an error of 0 may still be useless: one that always says 25 % and is right "
        "in 25 % of four-option questions is calibrated. Report accuracy, too.",
    )


def _explain_error(value: float, confidence: Sequence[float], correct: Sequence[int]) -> str:
    """Return which common mistake gives this value, or a hint."""
    table = stats.calibration_table(confidence, correct, BINS)
    table = table[table["n"] > 0]
    gaps = table["confidence"] - table["accuracy"]
    c, y = np.asarray(confidence, float), np.asarray(correct, float)
    low = np.minimum((c * BINS).astype(int), BINS - 1)  # each bin includes its lower limit
    is_above = c > 0
    without_zero = stats.expected_calibration_error(c[is_above], y[is_above], BINS)
    sums = [abs(c[low == b].mean() - y[low == b].mean()) * (low == b).sum() for b in set(low)]
    mistakes = {
        "Weight each bin by its number of answers; you gave all bins the same weight.": (
            gaps.abs().mean()
        ),
        "Take the size of each gap: positive and negative gaps must not cancel.": abs(
            (gaps * table["n"]).sum() / table["n"].sum()
        ),
        "Put the answers into bins first. A single answer is right or wrong, so its gap is large "
        "even for a calibrated model.": np.abs(c - y).mean(),
        "That is the largest gap (the maximum calibration error).": gaps.abs().max(),
        "A bin includes its upper limit: 0.2 belongs to the bin from 0 to 0.2.": sum(sums) / len(c),
        "The first bin also includes 0: that answer counts.": without_zero * is_above.mean(),
    }
    near = [text for text, wrong in mistakes.items() if math.isclose(wrong, value, abs_tol=1e-6)]
    return near[0] if near else "In each bin: mean confidence minus share of correct answers."


# ------------------------------------------------------------------------- a rule for contamination


def grade_leak_rule(function: Callable) -> Feedback:
    """Grade `function(question, text)`: does the text contain the question?

    Right: it finds all unchanged copies and those in capitals, and flags at most 5 % of texts on
    other diseases. The feedback compares it with the search of step 09 on all kinds of copies.
    """
    return grade_function(function, _grade_rule)


def _grade_rule(is_leak: Callable) -> Feedback:
    questions, copies, innocent = _make_texts()
    yours = {kind: 0 for kind in copies[0]}
    theirs = dict(yours)
    for question, texts in zip(questions, copies, strict=True):
        flagged = set(data.find_overlaps([question], texts.items())["source"])
        for kind, text in texts.items():
            yours[kind] += _require_verdict(is_leak(question.question, text))
            theirs[kind] += kind in flagged
    alarms = np.mean([_require_verdict(is_leak(questions[0].question, t)) for t in innocent])
    rows = ", ".join(f"{kind} {yours[kind]} (search {theirs[kind]})" for kind in yours)
    text = (
        f"Copies found of {len(questions)}, by kind: {rows}. Texts on other diseases flagged: "
        f"{alarms:.0%} of {len(innocent)}. "
    )
    if alarms > MAX_FALSE_ALARMS:
        return Feedback(WRONG, text + "Too many false alarms: the texts share the exam's phrases.")
    if any(yours[kind] < len(questions) for kind in EXACT):
        return Feedback(WRONG, text + "Find A and B in every case: compare words, not characters.")
    return Feedback(
        RIGHT,
        text + "Each rule has a price: what finds more changed copies flags more innocent texts.",
    )


def _make_texts() -> tuple[list[Question], list[dict[str, str]], list[str]]:
    """Return questions on different diseases, their copies by kind, texts on other diseases."""
    rows = data.load_questions("mini_exam")
    questions = rows[:: len(rows) // QUESTIONS][:QUESTIONS]
    copies = [plant_copies(q, [r for r in rows if r.group != q.group], 0) for q in questions]
    for texts in copies:
        del texts["F"]  # the correct option alone is no copy of the question
    others = [q for q in data.load_questions("mini_exam_train") if q.group != questions[0].group]
    innocent = [f"{q.question} {q.options[q.answer]}" for q in others[:INNOCENT]]
    return questions, copies, innocent


def _require_verdict(value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise AnswerError(f"Return True or False, not {type(value).__name__}.")
    return bool(value)
