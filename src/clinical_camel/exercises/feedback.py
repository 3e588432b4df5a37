"""What a grader returns, and how every grader treats an empty answer or a function that fails."""

import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

OPEN, RIGHT, WRONG = "Open", "Right", "Not yet"
COLUMNS = 88  # of a line on the page


@dataclass(frozen=True, repr=False, slots=True)
class Feedback:
    """A verdict, one of OPEN, RIGHT and WRONG, with its reason; a notebook shows both as text.

    >>> Feedback(RIGHT, "Options are not in the prompt.")
    Right. Options are not in the prompt.
    """

    verdict: str
    reason: str

    def __repr__(self) -> str:
        lines = f"{self.verdict}. {self.reason}".splitlines()
        return "\n".join(textwrap.fill(line, COLUMNS) for line in lines)


class AnswerError(Exception):
    """An answer that cannot be graded; the message says why, for the student."""


class _NothingYet(Exception):
    """A function that returned nothing: the student has not written it."""


def compare_choice(prediction: object, truth: str, reasons: Mapping[str, str]) -> Feedback:
    """Grade a prediction, one of the keys of `reasons`: why each is right or wrong.

    >>> compare_choice(" Same", "same", {"higher": "No.", "same": "Yes."})
    Right. Yes.
    """
    choices = ", ".join(f'"{choice}"' for choice in reasons)
    if not isinstance(prediction, str):
        return Feedback(WRONG, f"Write a word in quotes, one of {choices}.")
    word = prediction.strip().lower()
    if not word:
        return Feedback(OPEN, f"Write your prediction first, one of {choices}.")
    if word not in reasons:
        return Feedback(WRONG, f"{prediction!r} is not one of {choices}.")
    if word == truth:
        return Feedback(RIGHT, reasons[truth])
    return Feedback(WRONG, f"{reasons[word]} Computed: {truth}. {reasons[truth]}")


def grade_function(function: Callable, grade: Callable[[Callable], Feedback]) -> Feedback:
    """Grade a student's function: `grade` gets it wrapped, so that whatever it raises is explained.

    A function that returns None or ... is not written yet.
    """
    if not callable(function):
        return Feedback(WRONG, "Give the function itself, without brackets after its name.")

    def call(*arguments: Any) -> Any:
        try:
            result = function(*arguments)
        except Exception as error:  # a student's code may raise anything
            raise AnswerError(
                f"Your function raised {type(error).__name__}: {error}. Try a small example."
            ) from error
        if result is None or result is ...:
            raise _NothingYet
        return result

    try:
        return grade(call)
    except _NothingYet:
        return Feedback(OPEN, "Your function returns nothing yet.")
    except AnswerError as error:
        return Feedback(WRONG, str(error))


def require_number(value: object) -> float:
    """Return a result of a student's function as a number; raise AnswerError for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise AnswerError(f"Return a number, not {type(value).__name__}.") from None


def format_time() -> str:
    """Return how much processor time the kernel has used, the loading of libraries included."""
    return f"Processor time since the kernel started: {time.process_time():.1f} s."
