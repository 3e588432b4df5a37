"""The settings of step 01."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from clinical_camel import data
from clinical_camel.core.settings import Count, Limit, Settings, Share, StepSettings, Text
from clinical_camel.core.values import nearest, show
from clinical_camel.data.specs import ArticleSpec, EvaluationSpec, TrainingQuestionSpec
from clinical_camel.models.choices import check_model
from clinical_camel.teachers.licences import check_terms
from clinical_camel.teachers.settings import Local, OpenAI, Replay

SUPPORT = ("verbatim", "linked")
TASKS = ("dialogue", "paraphrase")
PARAPHRASE_FORMS = ("headings", "monologue", "raw")
FORMS = {  # name: what dialogues.jsonl then has; why each is of use: `forms`
    "dialogue": "the dialogues",
    "placebo": "the dialogues, each question moved to an answer about another section",
    "monologue": "an article per dialogue: the answers, joined",
    "headings": "an article per dialogue: each answer under its question as a heading",
    "raw": "an article per dialogue: the same sentences in the article's order, again and again",
    "qa": "a dialogue per question and answer",
    "qa_shuffled": "dialogues of questions and answers drawn from all articles",
    "half_raw_half_qa": "every second dialogue of an article as in raw, the others as in qa",
    "half_raw_half_dialogue": "every second dialogue of an article as in raw, the others unchanged",
}
HINT = "; write its two letters, such as en, de or zh (ISO 639-1)"
# two-letter codes of py3langid, whose model takes a second to load
LANGUAGES = Path(__file__).with_name("languages.txt").read_text(encoding="utf-8").split()
INSTRUCTIONS = 1500  # tokens reserved for the prompt without its text; it has about 1,000


class Extractive(Settings):
    """Rules, no language model: asks about headings and answers with sentences of the section."""

    kind: Literal["extractive"] = "extractive"

    dialogue_attempts: ClassVar[int] = 1  # a second reply would be the same


TeacherSettings = Annotated[Extractive | Local | OpenAI | Replay, Field(discriminator="kind")]


def count_article_tokens(teacher: TeacherSettings) -> int:
    """Return the tokens that the article or the passages of a request may have; 0: any number."""
    if isinstance(teacher, Extractive):
        return 0
    return max(256, teacher.context - teacher.max_new_tokens - INSTRUCTIONS)


class Synthesis(StepSettings):
    """Which articles and questions become dialogues, who writes them, and what is accepted."""

    articles: list[ArticleSpec] = Field(
        ["mini_articles"],
        min_length=1,
        description="datasets to rewrite: for each a registered name, a path, or name@path",
    )
    questions: list[TrainingQuestionSpec] = Field(
        ["mini_exam_train"], description="datasets of training questions to explain; may be empty"
    )
    exemplar_count: int = Field(
        5,
        ge=0,
        le=64,
        description="number of questions of each dataset reserved as few-shot examples for step 03",
    )
    teacher: TeacherSettings = Field(
        Extractive(),
        description="kind: extractive, local, openai or replay; their settings: docs/teachers.md",
    )
    student: Text = Field(
        "mini",
        description=(
            "base model for step 02; a teacher's terms may forbid training it on its output"
        ),
    )
    licences: dict[str, Text] = Field(
        {},
        description=(
            "for a dataset of articles (key), the licence (value) to use instead of the stated one"
        ),
    )
    task: Literal[TASKS] = Field(
        "dialogue",
        description=(
            "what a teacher makes of an article; paraphrase: the article in other words, a control;"
            " it needs a language model"
        ),
    )
    dialogues_per_article: int = Field(
        5, ge=1, le=100, description="dialogues requested for each article; about five in the paper"
    )
    exchanges_per_dialogue: int = Field(
        6,
        ge=1,
        le=50,
        description="exchanges requested for each dialogue; about five on average in the paper",
    )
    form: Literal[tuple(FORMS)] = Field(
        "dialogue",
        description=(
            "what is saved of the accepted article dialogues; dialogue: as they are; the other"
            " forms are controls, listed in docs/teachers.md"
        ),
    )
    min_exchanges: Count = Field(
        2, description="article dialogues with fewer exchanges are rejected"
    )
    min_acceptance_rate: Share = Field(
        0.5,
        description=(
            "the step is incomplete if a smaller share of the requested dialogues is accepted"
        ),
    )
    passages_per_question: int = Field(
        5,
        ge=1,
        le=50,
        description="maximum article passages that a language model receives to explain a question",
    )
    support: Literal[SUPPORT] = Field(
        "verbatim",
        description="verbatim: answers must copy source sentences; linked: answers may reword them",
    )
    language: Annotated[str, StringConstraints(pattern=r"^([a-z]{2})?$")] = Field(
        "en", description="two-letter code of the required language; empty accepts any language"
    )
    near_duplicate_threshold: Share = Field(
        0.9,
        description=(
            "two dialogues count as near-duplicates if the Jaccard similarity of their 5-word"
            " sequences is at least this value; 0.0 turns the filter off"
        ),
    )
    evaluation_sets: list[EvaluationSpec] = Field(
        ["mini_exam", "mini_exam_primer"],
        description="exams of step 03; no dialogue may contain their questions",
    )
    article_limits: dict[str, Limit] = Field(
        {},
        description=(
            "for a source (key), the maximum number of articles (value); other sources have no"
            " limit"
        ),
    )
    question_limit: Limit = Field(
        0, description="maximum number of questions of each dataset; 0: all"
    )

    def check_together(self) -> Iterator[str]:
        if self.min_exchanges > self.exchanges_per_dialogue:
            most = self.exchanges_per_dialogue
            yield f"min_exchanges: {self.min_exchanges} is more than exchanges_per_dialogue, {most}"
        if self.task == "paraphrase":
            yield from self._check_paraphrase()
        if self.language and self.language not in LANGUAGES:
            yield f"language: {show(self.language)} is not a language that can be detected{HINT}"
        labels = [data.label(spec) for spec in self.articles]
        for setting in ("licences", "article_limits"):
            for name in getattr(self, setting):
                if name not in labels:
                    yield f"{setting}.{name}: no dataset of this name in articles" + nearest(
                        name, labels
                    )
        sources = [*self.articles, *self.questions]
        for spec in set(sources) & set(self.evaluation_sets):
            yield f"evaluation_sets: {spec} is also a source of dialogues; name a held-out exam"
        yield from check_model(self.student, "any", "student")
        if self.teacher.kind in ("local", "openai"):
            terms = check_terms(self.teacher.model, self.teacher.terms, self.student)
            yield from [terms] if terms else []
        if self.teacher.kind == "local":
            yield from check_model(self.teacher.model, "any", "teacher.model")

    def _check_paraphrase(self) -> Iterator[str]:
        if self.teacher.kind == "extractive":
            yield "task: paraphrase needs a teacher of kind local, openai or replay"
        if self.support == "verbatim":
            yield "support: a paraphrase copies no sentences; write linked"
        if self.form not in PARAPHRASE_FORMS:
            yield f"form: with task paraphrase, write one of {', '.join(PARAPHRASE_FORMS)}"
