"""The settings of step 08."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.core.settings import Float, Limit, StepSettings, Text
from clinical_camel.core.values import nearest, show
from clinical_camel.data.specs import ConversationSpec, MixtureSpec
from clinical_camel.models import limits
from clinical_camel.models.choices import (
    ChatTemplate,
    ComputeDtype,
    Quantize,
    check_adapters,
    check_model,
)
from clinical_camel.teachers.settings import JudgeSettings, Overlap

CONSULTATION, DIAGNOSIS, QUESTION = "consultation", "diagnosis", "question"  # the three tasks
LEVELS = ("chapter", "block", "category")
CHINESE_WORDS = ("jieba", "characters")
BASELINES = ("typical reply", "copied question")
RESERVED = (*BASELINES, "reference")  # names of writers that are no model


class EvalReplies(StepSettings):
    """Which models reply to which conversations, and how the replies are measured."""

    study: Text = Field(
        "clinicalgpt_mini", description="params folder; results go to outputs/<study>/"
    )
    model: Text = Field("mini", description="base model: mini (shipped), a folder, or a hub id")
    adapters: dict[str, str] = Field(
        {
            "base": "",
            "sft": "outputs/clinicalgpt_mini/02_sft_qlora/adapter",
            "ppo": "outputs/clinicalgpt_mini/07_reward_and_rl/policies/ppo_0/adapter",
        },
        min_length=1,
        description="name: adapter folder; empty is the base model alone",
    )
    other_replies: dict[str, Text] = Field(
        {},
        description=(
            "name of another system: file of its replies to the same cases, such as replies.csv"
            " of this step in another study"
        ),
    )
    baseline: Text = Field("sft", description="the model that all others are compared with")
    quantize: Quantize = Field(
        "nf4",
        description="nf4 (4 bits), nf4_dequantized (nf4 values as floats), int8, or empty",
    )
    compute_dtype: ComputeDtype = Field(
        "auto", description="type of the numbers: bfloat16, float32, or auto (the faster one here)"
    )
    chat_template: ChatTemplate = Field(
        "", description="empty: the tokenizer's own; else a name in models.TEMPLATES"
    )
    consultations: list[ConversationSpec] = Field(
        ["mini_consultations"],
        description="consultations or dialogues in which the models reply as the doctor",
    )
    records: list[ConversationSpec] = Field(
        ["mini_records_test"], description="dialogues that end with the diagnosis of a record"
    )
    questions: list[ConversationSpec] = Field(
        ["mini_triples"], description="dialogues that end with the answer to a knowledge question"
    )
    trained_on: list[MixtureSpec] = Field(
        ["mini_triples", "mini_chat", "mini_records"],
        description="training sets of the models: results are then separate for cases in them",
    )
    rl_prompts: str = Field(
        "outputs/clinicalgpt_mini/07_reward_and_rl/prompts.csv",
        description=(
            "prompts.csv of step 07: results are then separate for its held-out prompts; empty"
            " means none"
        ),
    )
    case_limit: Limit = Field(400, description="conversations of each dataset; 0 means all")
    reply_turns: Literal["last", "all"] = Field(
        "last", description="which replies of a consultation are written: its last one, or all"
    )
    max_new_tokens: int = Field(96, ge=1, le=32768, description="longest reply, in tokens")
    temperature: Float = Field(0.0, ge=0, le=5, description="sampling temperature; 0.0 is greedy")
    top_p: Float = Field(
        1.0, gt=0, le=1, description="sample from the likeliest tokens with this total probability"
    )
    top_k: Limit = Field(0, description="sample from this many likeliest tokens; 0 means all")
    repetition_penalty: Float = Field(
        1.0, ge=0.5, le=5, description="above 1, tokens that occurred before become less likely"
    )
    chinese_words: Literal[CHINESE_WORDS] = Field(
        "jieba",
        description="how Chinese is split for the overlap scores: jieba's words, or characters",
    )
    diagnosis_names: str = Field(
        "",
        description="csv of name and ICD-10-CM code of each diagnosis; empty: the shipped table",
    )
    icd_level: Literal[LEVELS] = Field(
        "chapter", description="groups of diagnoses: ICD chapter, block, or category"
    )
    judge: JudgeSettings = Field(
        Overlap(),
        description="compares two replies; kind: overlap (a rule), local, openai or replay",
    )
    sheet_pairs: Limit = Field(
        60, description="pairs of answers on the sheet for people; 0 means all"
    )
    human_sheets: list[Text] = Field(
        [], description="filled copies of preference_sheet.csv, one of each person; may be empty"
    )
    token_budget: int = Field(
        16384,
        ge=64,
        le=1000000,
        description="maximum number of tokens per batch; limits memory use",
    )

    def check_together(self) -> Iterator[str]:
        yield from check_model(self.model, self.chat_template)
        yield from limits.check_reply_end(self.model, self.chat_template)
        yield from limits.check_length(self.model, "max_new_tokens", self.max_new_tokens)
        yield from check_adapters(self.adapters)
        yield from self._check_names()
        yield from self._check_datasets()
        if self.judge.kind == "local":
            yield from check_model(self.judge.model, "any", "judge.model")
        if self.temperature == 0 and self.top_p < 1:
            yield f"top_p: {self.top_p} has no effect at temperature 0.0; write 1.0"
        if self.temperature == 0 and self.top_k:
            yield f"top_k: {self.top_k} has no effect at temperature 0.0; write 0"
        if self.human_sheets and not self.questions:
            yield "human_sheets: without questions nothing is compared; write []"
        if self.rl_prompts and not self.trained_on:
            yield 'rl_prompts: without trained_on no results are separate; write ""'

    def _check_names(self) -> Iterator[str]:
        names = self.list_models()
        if self.baseline not in names:
            yield f"baseline: {show(self.baseline)} is no model here{nearest(self.baseline, names)}"
        for name in self.other_replies:
            if name in self.adapters:
                yield f"other_replies.{name}: a model in adapters has this name; write another"
        for name in names:
            if name in RESERVED:
                yield f"{show(name)} is the name of a baseline of this step; write another"

    def _check_datasets(self) -> Iterator[str]:
        if not any(self.list_specs().values()):
            yield "consultations, records, questions: all empty; name a dataset in one of them"
        for task, specs in self.list_specs().items():
            labels = [data.label(spec.rpartition("@")[2]) for spec in specs]
            for label in sorted({label for label in labels if labels.count(label) > 1}):
                yield f"{task}s: two datasets are called {label}; give one file another name"
        for name in ("diagnosis_names", "rl_prompts", "human_sheets", "other_replies"):
            value = getattr(self, name)
            paths = value.values() if isinstance(value, dict) else [value] * isinstance(value, str)
            for path in paths or (value if isinstance(value, list) else []):
                is_missing = path and not (root() / path).is_file()
                if is_missing and not path.startswith("outputs/"):
                    yield f"{name}: {show(path)}: no such file; write a path from the project root"

    def list_specs(self) -> dict[str, list[str]]:
        """Return the datasets of each task."""
        datasets = (self.consultations, self.records, self.questions)
        return dict(zip((CONSULTATION, DIAGNOSIS, QUESTION), datasets, strict=True))

    def list_models(self) -> list[str]:
        """Return the names of all systems: the models, then those whose replies are read."""
        return [*self.adapters, *self.other_replies]
