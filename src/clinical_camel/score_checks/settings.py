"""The settings of step 09."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from pydantic import Field

from clinical_camel.core.settings import StepSettings, Text
from clinical_camel.core.values import show
from clinical_camel.data.specs import TrainingSourceSpec


class ScoreChecks(StepSettings):
    """Which answers to examine, and in which training texts their exam is searched for."""

    answers: Text = Field(
        "outputs/mini_camel/03_eval_fewshot/answers.csv",
        description="answers of step 03; the run.json beside them says which exams they are of",
    )
    exam_scores: Text = Field(
        "outputs/mini_camel/03_eval_fewshot/scores.csv",
        description="scores of the same run of step 03",
    )
    training_sources: list[TrainingSourceSpec] = Field(
        [
            "outputs/mini_camel/01_dbke/dialogues.jsonl",
            "outputs/mini_camel/01_dbke/exam_dialogues.jsonl",
        ],
        description="training data of the tuned models, searched for exam questions",
    )

    def check_together(self) -> Iterator[str]:
        for name, file in (("answers", "answers.csv"), ("exam_scores", "scores.csv")):
            text = getattr(self, name)
            if PurePosixPath(text).name != file:
                place = f"outputs/{self.study}/03_eval_fewshot/{file}"
                yield f"{name}: {show(text)} is no {file} of step 03; write a path such as {place}"
        if PurePosixPath(self.answers).parent != PurePosixPath(self.exam_scores).parent:
            yield "answers, exam_scores: not of one run; name two files of one folder"
