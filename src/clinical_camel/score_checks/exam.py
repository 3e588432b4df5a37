"""What step 03 wrote: answers, scores, and the questions that they are about. No model is needed.

The questions are loaded as step 03 loaded them: with the settings in its run.json.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from clinical_camel import data
from clinical_camel.core.files import read_json
from clinical_camel.core.paths import path
from clinical_camel.core.tables import EMPTY_IS_MISSING
from clinical_camel.data import Question
from clinical_camel.score_checks.settings import ScoreChecks

TEXTS = ("id", "subset", "content_hash", "logprobs", "reply")


@dataclass(frozen=True, slots=True)
class Exam:
    """The answers and scores of a run of step 03, its questions by exam, and its parameters."""

    answers: pd.DataFrame
    scores: pd.DataFrame
    questions: dict[str, list[Question]]
    params: dict[str, Any]

    @property
    def model(self) -> str:
        """The last model: the one that the study is about."""
        return [*self.params["adapters"]][-1]

    @property
    def first(self) -> str:
        """The first protocol and number of shots, as a pandas query: what the page shows."""
        protocol, shots = self.params["protocols"][0], self.params["num_shots"][0]
        return f"protocol == '{protocol}' and num_shots == {shots}"


def read_exam(settings: ScoreChecks) -> Exam:
    """Return what step 03 wrote, with its questions.

    Raises ValueError without a run.json beside the answers, or if a question has changed since.
    """
    file = path(settings.answers)
    params = read_json(file.with_name("run.json")).get("params", {})
    if "benchmarks" not in params:
        raise ValueError(f"answers: no run.json of step 03 beside {settings.answers}")
    answers = pd.read_csv(file, dtype=dict.fromkeys(TEXTS, str), **EMPTY_IS_MISSING)
    answers = answers.fillna(dict.fromkeys(TEXTS, ""))
    scores = pd.read_csv(path(settings.exam_scores), **EMPTY_IS_MISSING)
    questions = {}
    for spec in params["benchmarks"]:
        name = data.label(spec)
        ids = set(answers.loc[answers["benchmark"] == name, "id"])
        rows = data.load_questions(spec, params["question_limit"], params["image_questions"])
        questions[name] = [question for question in rows if question.id in ids]  # no exemplars
        require_same(name, questions[name], answers[answers["benchmark"] == name])
    return Exam(answers, scores, questions, params)


def require_same(benchmark: str, questions: list[Question], answers: pd.DataFrame) -> None:
    """Raise ValueError if a question is gone or has changed since step 03 asked it."""
    current = {question.id: data.content_hash(question) for question in questions}
    gone = set(answers["id"]) - current.keys()
    unchanged = answers[answers["variant"] == "as_given"]
    changed = unchanged[unchanged["id"].map(current) != unchanged["content_hash"]]
    if bad := [*sorted(gone), *changed["id"]]:
        raise ValueError(
            f"answers: question {bad[0]} of {benchmark} is not the one that step 03 asked; "
            "run step 03 again"
        )
