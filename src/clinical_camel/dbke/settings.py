"""The settings of step 01."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from clinical_camel.core.settings import Count, Limit, Share, StepSettings, Text
from clinical_camel.data.specs import ArticleSpec, EvaluationSpec, TrainingQuestionSpec
from clinical_camel.dbke.teachers.settings import Extractive, TeacherSettings

SUPPORT = ("verbatim", "linked")


class Synthesis(StepSettings):
    """Which articles and questions become dialogues, who writes them, and what is accepted."""

    articles: list[ArticleSpec] = Field(
        ["mini_articles"],
        min_length=1,
        description="dataset specs: a registered name, name@path, or a path",
    )
    questions: list[TrainingQuestionSpec] = Field(
        ["mini_exam_train"], description="training questions to explain; may be empty"
    )
    exemplar_count: Limit = Field(
        5, description="questions of each set reserved as few-shot examples for step 03"
    )
    teacher: TeacherSettings = Field(
        Extractive(),
        description="kind: extractive, local, openai or replay; settings of each: docs/teachers.md",
    )
    student: Text = Field(
        "mini", description="base model that step 02 tunes; the teacher's terms may exclude it"
    )
    licences: dict[str, Text] = Field(
        {}, description="licence per source; overrides the article's own"
    )
    dialogues_per_article: Count = Field(5, description="the paper: about five")
    exchanges_per_dialogue: Count = Field(6, description="the paper: about five on average")
    min_exchanges: Count = Field(2, description="an article dialogue with fewer is rejected")
    passages_per_question: Count = Field(
        5, description="article passages from which a language model may explain the right option"
    )
    support: Literal[SUPPORT] = Field(
        "verbatim",
        description="an assistant sentence must be verbatim in the source, or linked (reworded)",
    )
    language: Annotated[str, StringConstraints(pattern=r"^([a-z]{2})?$")] = Field(
        "en", description='two-letter code of the dialogues\' language; "" accepts any'
    )
    near_duplicate_threshold: Share = Field(
        0.9, description="Jaccard similarity of 5-word shingles; 0.0 disables the filter"
    )
    evaluation_sets: list[EvaluationSpec] = Field(
        ["mini_exam", "mini_exam_primer"], description="no dialogue may contain their questions"
    )
    article_limits: dict[str, Limit] = Field(
        {}, description="most articles per source, by its label; a missing source has no limit"
    )
    question_limit: Limit = Field(0, description="questions of each set; 0 means all")

    def check_together(self) -> Iterator[str]:
        if self.min_exchanges > self.exchanges_per_dialogue:
            most = self.exchanges_per_dialogue
            yield f"min_exchanges: {self.min_exchanges} is more than exchanges_per_dialogue, {most}"
