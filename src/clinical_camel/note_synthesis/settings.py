"""The settings of step 04."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from clinical_camel.core.settings import Count, Float, Limit, StepSettings, Text
from clinical_camel.core.values import nearest
from clinical_camel.data import Consultation
from clinical_camel.data.specs import ConsultationSpec, TrainingConsultationSpec
from clinical_camel.models.choices import ChatTemplate, Quantize, check_adapters, check_model
from clinical_camel.note_synthesis import structure
from clinical_camel.note_synthesis.corpora import name_corpus
from clinical_camel.note_synthesis.decodings import DECODINGS
from clinical_camel.note_synthesis.prompts import PROMPTS


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
    max_new_tokens: Count = Field(256, description="longest note, in tokens")
    too_long: Literal["skip", "truncate", "windows"] = Field(
        "skip",
        description="transcript exceeds the context: skip, truncate (keep its end), or windows",
    )
    temperature: Float = Field(0.0, ge=0, description="sampling temperature; 0.0 is greedy")
    top_p: Float = Field(
        1.0, gt=0, le=1, description="sample from the likeliest tokens with this total probability"
    )
    top_k: Limit = Field(0, description="sample from this many likeliest tokens; 0 means all")
    repetition_penalty: Float = Field(
        1.0, gt=0, description="above 1, tokens that occurred before become less likely"
    )
    other_decodings: list[Literal[tuple(DECODINGS)]] = Field(
        ["clinmed_llama3"],
        description="decodings to compare with: names in note_synthesis.DECODINGS",
    )
    token_budget: Count = Field(
        16384, description="maximum number of tokens per batch; limits memory use"
    )

    def check_together(self) -> Iterator[str]:
        yield from check_model(self.model, self.chat_template)
        yield from check_adapters(self.adapters)
        names = [name_corpus(spec) for spec in self.consultations]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"consultations: two are called {name}; give one of the files another name"
        for name in self.note_exemplars:
            if name not in names:
                yield f"note_exemplars.{name}: no corpus of this name{nearest(name, names)}"

    def with_decoding(self, name: str) -> Self:
        """Return the same task with the sampling settings of a name in DECODINGS."""
        return self.model_copy(update=DECODINGS[name])

    def list_headings(self, consultation: Consultation) -> list[str]:
        """Return the headings that the note of this consultation should have."""
        own = structure.list_headings(consultation.note) if self.headings == "reference" else []
        return own or list(self.sections)
