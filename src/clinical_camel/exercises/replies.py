"""Exercises of step 08: outcomes of a diagnosis, the win rate, a reply that fits everywhere."""

import functools
import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from clinical_camel import eval_replies
from clinical_camel.eval_replies.diagnoses import OUTCOMES
from clinical_camel.eval_replies.settings import DIAGNOSIS
from clinical_camel.exercises.feedback import (
    OPEN,
    RIGHT,
    WRONG,
    AnswerError,
    Feedback,
    grade_function,
    grade_predictions,
    require_choice,
    require_number,
)

REFERENCE = "gout"
STATED = {  # a reply to a patient with gout: why it has its outcome
    "This is most likely gout.": "It names the right diagnosis and no other.",
    "It may be gout or rheumatoid arthritis.": "Two names: a list of all would be right.",
    "This is rheumatoid arthritis.": "Another disease of the joints: the same chapter of ICD-10.",
    "This is tuberculosis.": "A disease of another chapter.",
    "It is not gout.": "A name after 'not' does not count, and no other is left.",
}
MODEL, BASELINE, TIE = "model", "baseline", "tie"
VERDICTS = (  # of two orders of the same pairs
    (["model", "model", "tie", "baseline"], ["model", "baseline", "tie", "baseline"]),
    (["model", "model"], ["model", "model"]),
    (["tie", "baseline", "tie"], ["model", "baseline", "tie"]),
)


def grade_outcomes(predictions: Mapping[str, str]) -> Feedback:
    """Grade a prediction, one of OUTCOMES, for each reply in STATED."""

    def explain(reply: str, answer: object) -> str:
        word, truth = require_choice(answer, OUTCOMES), find_outcomes()[reply]
        return "" if word == truth else f"{reply} The outcome is {truth}. {STATED[reply]}"

    return grade_predictions(
        predictions,
        [*STATED],
        f"Write an outcome for each reply first: {', '.join(OUTCOMES)}.",
        explain,
        "A rule reads names, not reasons: 'gout, as always' would count, too.",
    )


@functools.cache
def find_outcomes() -> dict[str, str]:
    """Return the outcome of each reply in STATED, by the rule of step 08."""
    place = {"task": DIAGNOSIS, "corpus": "exercise", "part": "new"}
    cases = [
        place | {"id": str(i), "group": str(i), "reference": REFERENCE} for i in range(len(STATED))
    ]
    rows = [
        place | {"id": str(i), "group": str(i), "model": "student", "status": "ok", "reply": reply}
        for i, reply in enumerate(STATED)
    ]
    table = eval_replies.score_diagnoses(
        pd.DataFrame(rows), pd.DataFrame(cases), eval_replies.read_diagnoses(""), "chapter"
    )
    return dict(zip(STATED, table["outcome"], strict=True))


def grade_win_rate(function: Callable) -> Feedback:
    """Grade `function(first, second)`: the win rate from the verdicts of both orders."""
    return grade_function(function, _grade_rate)


def compute_win_rate(first: list[str], second: list[str]) -> float:
    """Return the share of pairs that the model wins; orders that disagree are a tie, half a win."""
    values = {MODEL: 1.0, TIE: 0.5, BASELINE: 0.0}
    return float(
        np.mean([values[a] if a == b else 0.5 for a, b in zip(first, second, strict=True)])
    )


def _grade_rate(rate: Callable) -> Feedback:
    for first, second in VERDICTS:
        right, value = (
            compute_win_rate(first, second),
            require_number(rate(list(first), list(second))),
        )
        if math.isclose(value, right, abs_tol=1e-6):
            continue
        raise AnswerError(
            f"First order {first}, second order {second}: your rate is {value:.3f}, it should be "
            f"{right:.3f}. {_explain_rate(value, first, second)}"
        )
    return Feedback(
        RIGHT,
        "At 50 % both models are equally good for this judge. Another judge may decide otherwise.",
    )


def _explain_rate(value: float, first: list[str], second: list[str]) -> str:
    pairs = list(zip(first, second, strict=True))
    score = {MODEL: 1.0, TIE: 0.5, BASELINE: 0.0}
    agreed = [a for a, b in pairs if a == b]
    decided = [a for a in agreed if a != TIE]
    mistakes = {
        "You read the first order only: a judge that prefers a position is then not noticed.": (
            np.mean([score[a] for a in first])
        ),
        "A tie counts half, not nothing.": np.mean([a == b == MODEL for a, b in pairs]),
        "Percent: return a share from 0 to 1.": 100 * compute_win_rate(first, second),
        "Pairs whose orders disagree count, too: as ties.": (
            np.mean([score[a] for a in agreed]) if agreed else -1.0
        ),
        "Ties count, too: each as half a win.": (
            np.mean([a == MODEL for a in decided]) if decided else -1.0
        ),
        "Orders that disagree are a tie: do not take the mean of both verdicts.": (
            np.mean([(score[a] + score[b]) / 2 for a, b in pairs])
        ),
    }
    near = [text for text, rate in mistakes.items() if math.isclose(rate, value, abs_tol=1e-6)]
    return near[0] if near else "A verdict counts if both orders agree; else the pair is a tie."


def grade_one_reply(reply: object) -> Feedback:
    """Grade one reply that is given to every patient: its ROUGE-L must beat a copied question."""
    if not isinstance(reply, str):
        return Feedback(WRONG, "Write one text in quotes: the same reply for every patient.")
    if not reply.strip():
        return Feedback(OPEN, "Write your reply first.")
    scores = compare_replies(reply)
    yours, copied, typical = (scores[n] for n in ("yours", "copied question", "typical reply"))
    text = (
        f"Mean ROUGE-L: yours {yours:.3f}, copied question {copied:.3f}, typical reply "
        f"{typical:.3f}. "
    )
    if yours <= copied:
        return Feedback(
            WRONG,
            text + "Use the words with which doctors here close a consultation; look at three "
            "references.",
        )
    return Feedback(
        RIGHT,
        text + "Your reply reads no patient. A model with a score like this has not shown that it "
        "read one either.",
    )


def compare_replies(reply: str) -> dict[str, float]:
    """Return the mean ROUGE-L of one reply to all, and of both baselines, in the consultations."""
    cases = list_cases()
    table = eval_replies.write_baselines(cases)
    by_name = {name: list(rows["reply"]) for name, rows in table.groupby("model")}
    by_name["yours"] = [reply] * len(cases)
    return {
        name: float(
            np.mean(
                [
                    eval_replies.score_reply(text, case.reference)["rougeL"]
                    for text, case in zip(texts, cases, strict=True)
                ]
            )
        )
        for name, texts in by_name.items()
    }


def list_cases() -> list[eval_replies.Case]:
    """Return the last turns of the invented consultations of the embedded study."""
    settings = eval_replies.EvalReplies(
        consultations=["mini_consultations"],
        records=[],
        questions=[],
        trained_on=[],
        rl_prompts="",
        case_limit=0,
    )
    return eval_replies.load_cases(settings)
