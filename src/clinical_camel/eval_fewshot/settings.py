"""The settings of step 03."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.core.settings import Limit, StepSettings, Text, valid_by
from clinical_camel.core.values import nearest, show
from clinical_camel.data.exam_scores import SCORE_ENDINGS
from clinical_camel.data.specs import (
    EvaluationSpec,
    OptionalArticleSpec,
    OptionalTrainingQuestionSpec,
)
from clinical_camel.eval_fewshot.open_book import check_open_book
from clinical_camel.eval_fewshot.protocols import (
    PROTOCOLS,
    STATEMENT_EXAMS,
    check_protocol,
    list_protocols,
)
from clinical_camel.models.choices import (
    ChatTemplate,
    ComputeDtype,
    Quantize,
    check_adapters,
    check_model,
)
from clinical_camel.models.limits import check_reply_end

MAX_SHOTS = 8


class Design(StepSettings):
    """Which models answer which questions, and in which protocols."""

    model: Text = Field("mini", description="base model: mini (shipped), a folder, or a hub id")
    adapters: dict[str, str] = Field(
        {"base": "", "tuned": "outputs/mini_camel/02_sft_qlora/adapter"},
        min_length=1,
        description="name: adapter folder; empty is the base model alone",
    )
    baseline: Text = Field(
        "base", description="the model that the others are compared with, question by question"
    )
    quantize: Quantize = Field(
        "nf4",
        description="nf4 (4 bits), nf4_dequantized (nf4 values stored as ordinary floats), "
        "int8 (8 bits); empty: not quantized",
    )
    compute_dtype: ComputeDtype = Field(
        "auto", description="type of the numbers: bfloat16, float32, or auto (the faster one here)"
    )
    chat_template: ChatTemplate = Field(
        "", description="empty: the tokenizer's own; else a name in models.TEMPLATES"
    )
    benchmarks: list[EvaluationSpec] = Field(
        ["mini_exam", "mini_exam_primer"],
        min_length=1,
        description="exams: a registered name, a path, "
        "or name@path (a local file in the format of the named exam)",
    )
    exemplars: dict[str, OptionalTrainingQuestionSpec] = Field(
        {"mini_exam": "mini_exam_train", "mini_exam_primer": "mini_exam_train"},
        description="for each benchmark, the set of its exemplars; "
        "if empty, some of its own questions become exemplars and are not scored",
    )
    protocols: list[Annotated[str, valid_by(check_protocol)]] = Field(
        ["option_text", "conversation", "chat"],
        min_length=1,
        description="how questions are asked and answered; names listed in docs/exams.md; "
        "protocol@exam is for this exam alone",
    )
    num_shots: list[Annotated[int, Field(ge=0, le=MAX_SHOTS)]] = Field(
        [0, 5], min_length=1, description="numbers of exemplars to place before each question"
    )
    exemplar_choice: Literal["fixed", "per_question"] = Field(
        "fixed", description="fixed: same exemplars for all questions; per_question: drawn for each"
    )
    variants: list[
        Literal["as_given", "shuffled", "options_only", "none_of_the_above", "open_book"]
    ] = Field(
        ["as_given"],
        min_length=1,
        description="as_given: unchanged; shuffled: options reordered; "
        "options_only: without the question; "
        "none_of_the_above: this phrase replaces the correct option; "
        "open_book: after the article on its condition",
    )
    open_book: OptionalArticleSpec = Field(
        "", description="articles for the variant open_book: a dataset; empty means none"
    )
    question_limit: Limit = Field(0, description="questions of each benchmark; 0 means all")
    image_questions: Literal[data.IMAGE_QUESTIONS] = Field(
        "in", description="in or out: whether to keep questions that seem to refer to an image"
    )
    token_budget: int = Field(
        16384,
        ge=64,
        le=1000000,
        description="maximum number of tokens per batch; limits memory use",
    )
    compare_with: dict[str, Text] = Field(
        {}, description="name of another study: its scores.csv, for the same exams; {} means none"
    )

    def check_together(self) -> Iterator[str]:
        yield from check_model(self.model, self.chat_template)
        yield from check_reply_end(self.model, self.chat_template)
        yield from check_adapters(self.adapters, self.baseline)
        labels = [data.label(spec) for spec in self.benchmarks]
        for name in sorted({name for name in labels if labels.count(name) > 1}):
            yield f"benchmarks: two are called {name}; rename one of the files"
        for name in self.exemplars.keys() - set(labels):
            yield f"exemplars.{name}: no benchmark of this name{nearest(name, labels)}"
        shots = max(self.num_shots)
        for name in labels:
            if shots and name not in self.exemplars:
                yield f"exemplars.{name}: missing, but num_shots is {shots}; name a training set"
        yield from self._check_outcomes(labels)
        for name, text in self.compare_with.items():
            yield from (f"compare_with.{name}: {p}" for p in _check_scores(self.study, name, text))

    def _check_outcomes(self, labels: Sequence[str]) -> Iterator[str]:
        """Yield exams without a protocol and the reverse, and variants that cannot be made."""
        for name in labels:
            if not list_protocols(self.protocols, name):
                fitting = ", ".join(list_protocols([*PROTOCOLS], name))
                yield f"protocols: none fits the exam {name}; add one of {fitting}"
        names = [entry.partition("@")[0] for entry in self.protocols]
        for entry, name in zip(self.protocols, names, strict=True):
            exam = entry.partition("@")[2]
            if exam and exam not in labels:
                yield f"protocols: {entry}: no benchmark of this name{nearest(exam, labels)}"
            elif exam and not list_protocols([name], exam):
                yield f"protocols: {entry}: {name} does not fit this exam"
            elif not any(list_protocols([name], label) for label in labels):
                exams = ", ".join(STATEMENT_EXAMS)
                yield f"protocols: {name} fits none of the benchmarks; add one of {exams}"
        if names[0] != self.protocols[0]:
            yield f"protocols: the first is for every exam; write {names[0]} without its exam"
        for label in labels:
            protocols = list_protocols(self.protocols, label)
            if twice := [name for name in dict.fromkeys(protocols) if protocols.count(name) > 1]:
                yield f"protocols: {twice[0]} is named twice for {label}"
        free = [name for name in names if PROTOCOLS[name].is_free]
        changed = [v for v in self.variants if v not in ("as_given", "open_book")]
        if free and changed:
            yield f"variants: {changed[0]} changes options, which {free[0]} does not show"
        if self.open_book and "open_book" not in self.variants:
            yield f"open_book: {show(self.open_book)} is not used; add open_book to variants"
        if "open_book" in self.variants:
            yield from check_open_book(self.open_book, self.benchmarks)


def _check_scores(study: str, name: str, text: str) -> Iterator[str]:
    """Yield what is wrong with the scores of another study. `runs` checks that the file exists."""
    if name == study:
        yield "is this study itself; name another one"
    if not text.lower().endswith(SCORE_ENDINGS):
        yield f"{show(text)} is no table; name outputs/<study>/03_eval_fewshot/scores.csv"
    elif (root() / text).is_file():
        try:
            data.read_scores(root() / text)
        except (OSError, ValueError) as error:
            yield str(error)
    elif not text.startswith(("outputs/", "data/")):
        yield f"{text} does not exist"
