"""Questions and replies without an answer: how many, and whether the scores are a result."""

from collections.abc import Iterator

import pandas as pd

from clinical_camel.core.settings import Incomplete


def describe_losses(scores: pd.DataFrame) -> Iterator[str]:
    """Yield how many questions and replies have no answer."""
    unread, too_long = int(scores["unparsed"].sum()), int(scores["too_long"].sum())
    total = int(scores["n"].sum())
    if unread:
        yield (
            f"{unread:,} of {total:,} answers are unread replies, which count as incorrect: such a "
            "low score measures the format, not the knowledge."
        )
    if too_long:
        yield f"{too_long:,} prompts were too long for the model and are not in n."


def check_answers(scores: pd.DataFrame) -> list[str]:
    """Return why the scores of a study are no result; [] if at least half of it is answered.

    >>> check_answers(pd.DataFrame({"n": [0, 0], "too_long": [5, 5], "unparsed": [0, 0]}))
    ['no question was answered: all 10 prompts are longer than the context of the model']
    """
    total, n = int((scores["n"] + scores["too_long"]).sum()), int(scores["n"].sum())
    if not total:
        return ["no question was asked: the exams are empty"]
    if not n:
        return [
            f"no question was answered: all {total:,} prompts are longer than the context of the "
            "model"
        ]
    if 2 * n < total:
        return [
            f"only {n:,} of {total:,} questions were answered: the other prompts are longer than "
            "the context of the model; lower num_shots or leave out an exam"
        ]
    if scores["unparsed"].sum() == n:
        return [
            f"no reply was read: none of the {n:,} replies names one option; read the column reply "
            "of answers.csv and choose a protocol that this model can answer"
        ]
    return []


def require_answers(scores: pd.DataFrame) -> None:
    """Raise Incomplete, with the reason, for scores that are no result (`check_answers`)."""
    if problems := check_answers(scores):
        raise Incomplete("; ".join(problems))
