"""The settings of step 00."""

from collections.abc import Iterator

from pydantic import Field

from clinical_camel.core.paths import root
from clinical_camel.core.settings import StepSettings, Text
from clinical_camel.core.values import nearest, show

STUDIES = (
    "comparison",
    "control",
    "embedded",
    "real",
    "real_control",
    "rewritten",
    "published",
)


class Results(StepSettings):
    """Which studies the page of results reads; a study that has not run is named as such."""

    study: Text = Field("results", description="params folder; results go to outputs/<study>/")
    comparison: Text = Field(
        "dbke_effect", description="the controlled comparison of dialogues and raw articles (06)"
    )
    control: Text = Field(
        "mini_camel_raw", description="base, raw articles and dialogues, one training each (03)"
    )
    embedded: Text = Field("mini_camel", description="the embedded study: clinical notes (04)")
    real: Text = Field("smollm2_135m", description="a real language model: exams (03), notes (04)")
    real_control: Text = Field(
        "smollm2_135m_raw", description="the same model on raw articles and dialogues (03)"
    )
    rewritten: Text = Field(
        "mini_camel_llm", description="dialogues by rules and by a large language model (03)"
    )
    rewards: list[Text] = Field(
        ["clinicalgpt_mini", "clinicalgpt_smollm2"], description="training with rewards (07)"
    )
    published: Text = Field("published", description="the scores of other systems beside ours (10)")
    sweeps: list[Text] = Field(
        ["dbke_smollm2", "dbke_scaling", "dbke_sizes", "dbke_reworded"],
        description="further sweeps, such as the comparison with a real language model (06)",
    )
    exam: Text = Field("mini_exam", description="the exam on the articles")
    forgetting_exam: Text = Field(
        "mini_exam_primer", description="the exam on what the base model knew before"
    )
    question_forms: dict[str, Text] = Field(
        {
            "plain text": "option_text",
            "conversation": "conversation",
            "options listed": "chat",
        },
        min_length=1,
        description="name of a question form: protocol of step 03; the first is the main one",
    )
    num_shots: int = Field(0, ge=0, le=1000, description="examples before each question")
    experiments: str = Field(
        "experiments/results", description="folder with llm_coverage.csv; empty means none"
    )

    def check_together(self) -> Iterator[str]:
        studies = sorted(folder.name for folder in (root() / "params").glob("*/"))
        named = [(name, getattr(self, name)) for name in STUDIES]
        named += [(name, study) for name in ("rewards", "sweeps") for study in getattr(self, name)]
        for name, study in named:
            if study not in studies:
                yield f"{name}: {show(study)} is no folder of params/{nearest(study, studies)}"
        if self.experiments and not (root() / self.experiments).is_dir():
            yield f"experiments: {show(self.experiments)} is no folder; write a folder, or nothing"

    @property
    def main_form(self) -> str:
        """The name of the first question form."""
        return next(iter(self.question_forms))
