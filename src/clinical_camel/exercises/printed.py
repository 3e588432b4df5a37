"""Exercises of step 10: which k of n, a broken record, the mark of a value in a recipe."""

import math
from collections.abc import Callable, Mapping

import yaml

from clinical_camel.exercises.feedback import (
    OPEN,
    RIGHT,
    WRONG,
    AnswerError,
    Feedback,
    grade_function,
    grade_predictions,
)
from clinical_camel.published.recipes import MARKS, read_marks

PERCENTAGES = {  # as printed: percent, number of questions
    "60.7 % of 1273": (60.7, 1273),
    "47.3 % of 91": (47.3, 91),
    "77.9 % of 500": (77.9, 500),
}
NONE = "none"
# Predictions and answer key of a few questions; a key of None is a broken record.
RECORDS = (
    ([0, None, 2, 1], [0, 1, 2, 1]),
    ([None, 0, None, 3, 1], [None, 1, 2, 3, None]),
    ([0, 1, 2, 3], [0, 1, 2, None]),
    ([1, 1, 1], [1, 0, None]),
)
SOURCES = {  # setting: value, mark, what is known about it
    "lora_rank": (64, "published"),
    "max_length": (4096, "reference"),
    "learning_rate": (2.0e-4, "recalled"),
    "seed": (0, "ours"),
}


# -------------------------------------------------------------------------------------- k of n


def grade_counts(predictions: Mapping[str, object]) -> Feedback:
    """Grade the number of correct answers behind each printed percentage, or "none"."""
    return grade_predictions(
        predictions,
        [*PERCENTAGES],
        f"Write a number or {NONE!r} for each percentage.",
        _explain_count,
        "One percentage came from no number of correct answers. It was computed from other "
        "questions. A percentage that fits proves little: with 1,000 questions, every one does.",
    )


def list_counts(value: float, n: int) -> list[int]:
    """Return each k for which k of n, rounded to one decimal, is the percentage.

    >>> list_counts(47.3, 91), list_counts(77.9, 500)
    ([43], [])
    """
    tenths = round(10 * value)
    return [k for k in range(n + 1) if 2 * abs(1000 * k - tenths * n) <= n]


def _explain_count(name: str, answer: object) -> str:
    value, n = PERCENTAGES[name]
    fitting, count = list_counts(value, n), _read_count(name, answer)
    if count in (fitting or [None]):
        return ""
    right = " or ".join(map(str, fitting)) or NONE
    shown = "There is one."
    if count is not None:
        shown = f"{count} of {n} is {100 * count / n:.2f} %, not {value} %."
    return f"{name}: {shown} Right: {right}."


def _read_count(name: str, answer: object) -> int | None:
    """Return the number of correct answers, None for NONE; raise AnswerError for anything else."""
    text = str(answer).strip().lower()
    if text == NONE:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise AnswerError(f"{name}: {answer!r} is neither a whole number nor {NONE!r}.")
    return int(number)


# ------------------------------------------------------------------------------- a broken record


def grade_broken_records(function: Callable) -> Feedback:
    """Grade `function(predictions, key)`: correct answers and number of questions, without broken.

    A key of None is a broken record, which is no question. A prediction of None is a reply that
    could not be read; it is wrong, and it counts.
    """
    return grade_function(function, _grade_records)


def _grade_records(count: Callable) -> Feedback:
    for predictions, key in RECORDS:
        result = count(list(predictions), list(key))
        if not isinstance(result, tuple) or len(result) != 2:
            raise AnswerError("Return two numbers: return correct, n")
        right = count_valid(predictions, key)
        if tuple(result) != right:
            raise AnswerError(
                f"For predictions {predictions} and key {key}, yours is {result[0]} of "
                f"{result[1]}, it should be {right[0]} of {right[1]}. "
                f"{_explain_records(tuple(result), predictions, key)}"
            )
    return Feedback(
        RIGHT,
        "Both rules matter. A broken record in n makes every score too low, as in Step 3 of the "
        "first Clinical Camel. An unread reply that is left out makes the score too high.",
    )


def count_valid(predictions: list, key: list) -> tuple[int, int]:
    """Return the correct answers and the number of valid questions.

    >>> count_valid([0, None, 2], [0, 1, None])
    (1, 2)
    """
    pairs = [(p, k) for p, k in zip(predictions, key, strict=True) if k is not None]
    return sum(p == k for p, k in pairs), len(pairs)


def _explain_records(result: tuple, predictions: list, key: list) -> str:
    pairs = list(zip(predictions, key, strict=True))
    read = [pair for pair in pairs if None not in pair]
    mistakes = {
        "The broken record is still in n: nobody can answer it correctly.": (
            sum(p == k for p, k in read),
            len(pairs),
        ),
        "None equals None in Python: an unread reply to a broken record is no correct answer.": (
            sum(p == k for p, k in pairs),
            len(pairs),
        ),
        "You dropped an unread reply. The question was valid, so the reply is wrong.": (
            sum(p == k for p, k in read),
            len(read),
        ),
    }
    near = [text for text, wrong in mistakes.items() if wrong == result]
    return near[0] if near else "Drop a pair only if its key is None."


# --------------------------------------------------------------------------- a recipe with marks


def grade_marks(recipe: str) -> Feedback:
    """Grade lines of a params file: each value of SOURCES, with its mark as a comment."""
    if not isinstance(recipe, str):
        return Feedback(WRONG, "Write the lines as one text in triple quotes.")
    if not recipe.strip():
        return Feedback(OPEN, "Write a line for each setting first.")
    try:
        values = yaml.safe_load(recipe)
    except yaml.YAMLError as error:
        return Feedback(WRONG, f"This is no YAML: {' '.join(str(error).split())}")
    if not isinstance(values, dict):
        return Feedback(WRONG, "Write lines such as: lora_rank: 8  # ours")
    lines = list(_check_recipe(values, read_marks(recipe)))
    if lines:
        return Feedback(WRONG, "\n".join(lines))
    return Feedback(
        RIGHT,
        "Now a reader knows which values a reproduction tests, and which it only assumes. Compare "
        "the table of recipes in notebook 10.",
    )


def _check_recipe(values: Mapping[str, object], marks: Mapping[str, str]):
    """Yield what is wrong with each line."""
    for name, (value, mark) in SOURCES.items():
        if name not in values:
            yield f"{name}: missing."
        elif isinstance(values[name], str):
            yield (
                f"{name}: YAML reads {values[name]!r} as text. Write a number with digit, dot, "
                "digit and sign, such as 1.0e-3."
            )
        elif values[name] != value:
            yield f"{name}: {values[name]} is not the value in the sources."
        elif not marks.get(name):
            yield f"{name}: no mark. The comment starts with one of {', '.join(MARKS)}."
        elif marks[name] != mark:
            yield f"{name}: {marks[name]}? {_explain_mark(mark)}"


def _explain_mark(mark: str) -> str:
    return {
        "published": "The authors state it in their paper.",
        "reference": "It is in the code that the authors name, not in the paper.",
        "recalled": "Nobody found a source: a value from memory is only recalled.",
        "ours": "No source has it, and we chose it.",
    }[mark]
