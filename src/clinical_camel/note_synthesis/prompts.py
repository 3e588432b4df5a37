"""What is asked for: the transcript as text, the prompts as data, the example of a one-shot prompt.

What a transcript holds is text and nothing else: control characters become a space, so that it
cannot write to a terminal, and what a speaker says stays on one line, so that it cannot put words
into another speaker's mouth.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clinical_camel import data
from clinical_camel.data import Consultation, Message
from clinical_camel.note_synthesis import structure

SECTIONS = ("Subjective", "Objective", "Assessment", "Plan")
PROMPTS: dict[str, str] = {
    # the wording that the embedded base was made with: a change here means to build it again
    "plain": "Write a clinical note of this consultation. Sections: {sections}.\n\n{transcript}",
    "strict": (
        "Write a clinical note of this consultation for the patient's record. Write only what was "
        "said: no finding, medicine, dose or date that is not in the transcript. Put each of these "
        "headings on a line of its own, followed by a colon, and leave out a section about which "
        "nothing was said. Sections: {sections}.\n\nTranscript:\n{transcript}"
    ),
}
HEADINGS = ("sections", "reference")  # ask for the same sections of all, or for the reference's own
UNITS = ("note", "section")  # the whole note at once, or each section by a prompt of its own
TOO_LONG = ("skip", "truncate", "windows")  # what becomes of a transcript that leaves no room
Visits = Mapping[str, Sequence[Consultation]]  # of each corpus, by its name
_LIVE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every model is asked: `examples` are one-shot examples by the name of their corpus."""

    prompt: str = "plain"
    headings: str = "sections"
    unit: str = "note"
    too_long: str = "skip"
    sections: Sequence[str] = SECTIONS
    examples: Mapping[str, Sequence[Consultation]] = field(default_factory=dict)

    def asked(self, consultation: Consultation) -> list[str]:
        """The headings that the note of this consultation should have."""
        own = structure.headings(consultation.note) if self.headings == "reference" else []
        return own or list(self.sections)


def transcript(consultation: Consultation) -> str:
    """The turns as lines of "Speaker: text", one line a turn, without control characters."""
    return "\n".join(f"{who}{said}" for who, said in spoken(consultation))


def spoken(consultation: Consultation) -> list[tuple[str, str]]:
    """Each turn as ("Speaker: ", text), both on one line."""
    turns = [(plain_text(turn.speaker), plain_text(turn.text)) for turn in consultation.turns]
    return [(f"{who[:1].upper()}{who[1:]}: ", text) for who, text in turns]


def plain_text(text: str) -> str:
    r"""A text on one line: control characters and marks of direction become a space.

    >>> plain_text("red \x1b[31m alert\r\nDoctor: lies")
    'red [31m alert Doctor: lies'
    """
    return " ".join(_LIVE.sub(" ", text).split())


def build_messages(
    consultation: Consultation,
    sections: Sequence[str] = SECTIONS,
    prompt: str = "plain",
    example: Consultation | None = None,
) -> list[Message]:
    """The user's turn that asks for these sections; before it, with an example, one exchange.

    The example is asked for the headings that its own note has, so that question and answer agree.
    """
    before: list[Message] = []
    if example:
        asked = structure.headings(example.note) or sections
        before = [
            *build_messages(example, asked, prompt),
            {"role": "assistant", "content": example.note},
        ]
    content = PROMPTS[prompt].format(
        sections=", ".join(sections), transcript=transcript(consultation)
    )
    return [*before, {"role": "user", "content": content}]


def load_visits(specs: Sequence[str], limit: int = 0) -> dict[str, list[Consultation]]:
    """The consultations of each spec, by the name of its file or its registered name.

    ValueError for two of one name: their scores would be mixed.
    """
    names = [corpus_name(spec) for spec in specs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"consultations: two are called {', '.join(twice)}; rename one file")
    return {
        name: data.load_consultations(spec, limit) for name, spec in zip(names, specs, strict=True)
    }


def corpus_name(spec: str) -> str:
    """The short name of a spec that tells its splits apart.

    >>> corpus_name("aci_bench@data/public/aci_bench_valid.jsonl"), corpus_name("aci_bench")
    ('aci_bench_valid', 'aci_bench')
    """
    return data.label(spec.rpartition("@")[2])


def choose_example(pool: Sequence[Consultation], asked: Sequence[str]) -> Consultation:
    """The training consultation to show: the most of the asked headings, and rather short.

    Of those with the most, the one at the lower quartile of length: the shortest notes of
    MTS-Dialog are a single word, and a long one leaves no room.
    """
    wanted = {name.casefold() for name in asked}

    def shared(row: Consultation) -> int:
        return len(wanted & {name.casefold() for name in structure.headings(row.note)})

    most = max(map(shared, pool))
    fitting = [row for row in pool if shared(row) == most]
    fitting.sort(key=lambda row: (len(transcript(row)) + len(row.note), row.id))
    return fitting[len(fitting) // 4]


def plan(request: Request, visits: Visits) -> None:
    """Refuses, before a model is loaded, what could not be run. ValueError names the parameter."""
    choices = {"prompt": PROMPTS, "headings": HEADINGS, "unit": UNITS, "too_long": TOO_LONG}
    for name, allowed in choices.items():
        value = getattr(request, name)
        if value not in allowed:
            raise ValueError(f"{name}: {value!r} is not one of {', '.join(allowed)}")
    if not request.sections:
        raise ValueError("sections: name at least one section of the note")
    if not any(visits.values()):
        raise ValueError("consultations: nothing to write a note about")
    shown = {said(row) for pool in request.examples.values() for row in pool}
    for name in request.examples:
        if name not in visits:
            raise ValueError(f"note_exemplars: no corpus {name}; there are {', '.join(visits)}")
    for name, rows in visits.items():
        for row in rows:
            if said(row) in shown:
                raise ValueError(f"note_exemplars: {name} {row.id} is asked about, and an example")


def said(consultation: Consultation) -> str:
    """All that was said, whoever is named as its speaker: what makes two visits one encounter."""
    return " ".join(" ".join(turn.text for turn in consultation.turns).casefold().split())
