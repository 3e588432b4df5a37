"""The settings of step 04."""

import re
import urllib.parse
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from clinical_camel.core.settings import Float, Limit, StepSettings, Text, valid_by
from clinical_camel.core.values import nearest, show
from clinical_camel.data import Consultation
from clinical_camel.data.specs import ConsultationSpec, TrainingConsultationSpec
from clinical_camel.models import limits
from clinical_camel.models.choices import (
    ChatTemplate,
    ComputeDtype,
    Quantize,
    check_adapters,
    check_model,
)
from clinical_camel.note_synthesis import structure
from clinical_camel.note_synthesis.corpora import name_corpus
from clinical_camel.note_synthesis.prompts import PROMPTS
from clinical_camel.teachers.settings import is_loopback

ADDRESS = "http://127.0.0.1:8000/v1"  # of a vLLM server, with its own default port
SERVER_QUANTIZE = ("", "nf4")  # what vLLM can make of weights while it loads them
DECODINGS: dict[str, dict[str, float]] = {
    "greedy": {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0},
    # ClinMED-LLAMA3 reports these for its demonstration; it calls the temperature "creativity"
    "clinmed_llama3": {"temperature": 0.6, "top_p": 0.9, "top_k": 50, "repetition_penalty": 1.2},
}


def _check_server(url: Any) -> str:
    """Return why a text is not the address of a server on this machine; "" if it is.

    >>> _check_server("http://127.0.0.1:8000")
    'is no address on this machine; write http://127.0.0.1:8000/v1'
    """
    if not url or not isinstance(url, str):
        return ""  # another type is refused elsewhere
    try:
        is_right = re.fullmatch(r"http://[^/@?#\s]+/v1", url) and is_loopback(url)
        is_right = is_right and urllib.parse.urlsplit(url).port != 0
    except ValueError:  # a port or a bracket
        is_right = False
    return "" if is_right else f"is no address on this machine; write {ADDRESS}"


def _check_headings(headings: list[str]) -> Iterator[str]:
    """Yield headings that a note cannot have: with signs of markup, or equal but for capitals."""
    first: dict[str, str] = {}
    for heading in headings:
        if signs := sorted(set(re.findall(r"[:<>{}#*_`|\[\]\n]", heading))):
            shown = " ".join(map(repr, signs))
            yield f"sections: {show(heading)} contains {shown}; write a name of letters"
        elif not re.search(r"[^\W\d_]", heading):
            yield f"sections: {show(heading)} has no letter; write a name"
        if first.setdefault(heading.casefold(), heading) != heading:
            yield f"sections: {show(heading)} is also {show(first[heading.casefold()])}; write one"


class NoteTask(StepSettings):
    """Which models write notes of which consultations, and how they are prompted."""

    model: Text = Field("mini", description="base model: mini (shipped), a folder, or a hub id")
    adapters: dict[str, str] = Field(
        {"base": "", "tuned": "outputs/mini_camel/02_sft_qlora/adapter"},
        min_length=1,
        description="name: adapter folder; empty is the base model alone",
    )
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
    consultations: list[ConsultationSpec] = Field(
        ["mini_consultations"],
        min_length=1,
        description="each entry is a registered name, a path, or both (name@path)",
    )
    note_exemplars: dict[str, TrainingConsultationSpec] = Field(
        {},
        description="for each dataset, the training set that supplies the example; {} means none",
    )
    prompt: Literal[tuple(PROMPTS)] = Field(
        "plain", description="wording of the prompt: a name in note_synthesis.PROMPTS"
    )
    headings: Literal["sections", "reference"] = Field(
        "sections",
        description="sections: the list below; reference: the headings of the reference note",
    )
    sections: list[Text] = Field(
        ["Subjective", "Objective", "Assessment", "Plan"],
        min_length=1,
        description="headings that the note should have",
    )
    unit: Literal["note", "section"] = Field(
        "note", description="note: one prompt for the complete note; section: one per section"
    )
    consultation_limit: Limit = Field(0, description="consultations of each set; 0 means all")
    max_new_tokens: int = Field(256, ge=8, le=32768, description="longest note, in tokens")
    too_long: Literal["skip", "truncate", "windows"] = Field(
        "skip",
        description="transcript exceeds the context: skip, truncate (keep its end), or windows",
    )
    temperature: Float = Field(0.0, ge=0, le=5, description="sampling temperature; 0.0 is greedy")
    top_p: Float = Field(
        1.0, gt=0, le=1, description="sample from the likeliest tokens with this total probability"
    )
    top_k: Limit = Field(0, description="sample from this many likeliest tokens; 0 means all")
    repetition_penalty: Float = Field(
        1.0, ge=0.5, le=5, description="above 1, tokens that occurred before become less likely"
    )
    other_decodings: list[Literal[tuple(DECODINGS)]] = Field(
        ["clinmed_llama3"],
        description="decodings to compare with: names in note_synthesis.DECODINGS",
    )
    token_budget: int = Field(
        16384,
        ge=64,
        le=1000000,
        description="maximum number of tokens per batch; limits memory use",
    )
    compile_generation: bool = Field(
        False, description="compile the decoding step (CUDA graph); not for nf4 and int8"
    )
    server: Annotated[str, valid_by(_check_server)] = Field(
        "", description="URL of a vLLM server on this machine that writes the notes; empty: none"
    )

    def check_together(self) -> Iterator[str]:
        yield from check_model(self.model, self.chat_template)
        yield from limits.check_reply_end(self.model, self.chat_template)
        yield from limits.check_length(self.model, "max_new_tokens", self.max_new_tokens)
        yield from check_adapters(self.adapters)
        names = [name_corpus(spec) for spec in self.consultations]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"consultations: two are called {name}; give one of the files another name"
        for name in self.note_exemplars:
            if name not in names:
                yield f"note_exemplars.{name}: no corpus of this name{nearest(name, names)}"
        for name, spec in self.note_exemplars.items():
            if spec in self.consultations:
                yield f"note_exemplars.{name}: {spec} is scored itself; name another dataset"
        yield from _check_headings(self.sections)
        yield from self._check_decodings()
        yield from self._check_engine()

    def _check_decodings(self) -> Iterator[str]:
        """Yield sampling settings without an effect, and decodings that are the same as the first.

        At temperature 0.0 nothing is sampled.
        """
        if self.temperature == 0 and self.top_p < 1:
            yield f"top_p: {self.top_p} has no effect at temperature 0.0; write 1.0"
        if self.temperature == 0 and self.top_k:
            yield f"top_k: {self.top_k} has no effect at temperature 0.0; write 0"
        for name in self.other_decodings:
            if self.with_decoding(name) == self:
                yield f"other_decodings: {name} is the decoding of this file already; delete it"

    def _check_engine(self) -> Iterator[str]:
        """Yield what compiled generation and a server cannot do."""
        if self.compile_generation and self.server:
            yield "compile_generation: true has no effect with a server; write false"
        elif self.compile_generation and self.quantize in ("nf4", "int8"):
            yield (
                f"compile_generation: transformers does not compile a model in {self.quantize}; "
                'write false, or quantize: nf4_dequantized or ""'
            )
        if self.server and self.quantize not in SERVER_QUANTIZE:
            yield f'quantize: {self.quantize}: a vLLM server has no such weights; write nf4 or ""'
        if self.server and (self.temperature > 2 or 0 < self.temperature < 0.01):
            yield f"temperature: {self.temperature}: vLLM takes 0.0, or 0.01 to 2.0"

    def with_decoding(self, name: str) -> Self:
        """Return the same task with the sampling settings of a name in DECODINGS."""
        return self.model_copy(update=DECODINGS[name])

    def list_headings(self, consultation: Consultation) -> list[str]:
        """Return the headings that the note of this consultation should have."""
        own = structure.list_headings(consultation.note) if self.headings == "reference" else []
        return own or list(self.sections)
