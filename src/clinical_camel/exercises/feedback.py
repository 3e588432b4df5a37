"""What a grader returns, and how every grader treats an empty answer or a function that fails."""

import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
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


def grade_predictions(
    predictions: object,
    names: Sequence[str],
    task: str,
    explain: Callable[[str, Any], str],
    lesson: str,
) -> Feedback:
    """Grade a dictionary that has a prediction for each of `names`.

    `explain` gets a name and its prediction. It returns why the prediction is wrong, "" if it is
    right; it raises AnswerError for one that cannot be read. `task` says what to write, and
    `lesson` is what a student learns who predicted all.
    """
    if not isinstance(predictions, Mapping):
        return Feedback(WRONG, f"Write a dictionary, with a prediction for {names[0]!r} and so on.")
    if unknown := [repr(name) for name in predictions if name not in names]:
        return Feedback(WRONG, f"{', '.join(unknown)} is not on the sheet.")
    if missing := [name for name in names if predictions.get(name, "") in ("", None, ...)]:
        return Feedback(OPEN, f"{task} Missing: {' '.join(missing)}")
    try:
        mistakes = [text for name in names if (text := explain(name, predictions[name]))]
    except AnswerError as error:
        return Feedback(WRONG, str(error))
    if mistakes:
        count = f"{len(names) - len(mistakes)} of {len(names)} are right."
        return Feedback(WRONG, "\n- ".join([count, *mistakes]))
    return Feedback(RIGHT, lesson)


def require_choice(answer: object, choices: Sequence[str]) -> str:
    """Return an answer in lower case; raise AnswerError if it is not one of `choices`.

    >>> require_choice(" Yes", ["yes", "no"])
    'yes'
    """
    word = str(answer).strip().lower()
    if word not in choices:
        raise AnswerError(f"{answer!r} is not one of {', '.join(choices)}.")
    return word


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
