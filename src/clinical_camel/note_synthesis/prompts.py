"""The prompt: its wording, and the transcript as text.

A transcript is untrusted text. Control characters become a space, so that it cannot write to a
terminal. Each turn is one line, so that a speaker cannot fake another speaker's turn.
"""

import re
from collections.abc import Sequence

from clinical_camel.data import Consultation, Message
from clinical_camel.note_synthesis import structure

SECTIONS = ("Subjective", "Objective", "Assessment", "Plan")
PROMPTS: dict[str, str] = {
    # the embedded base model was pretrained with this wording: if you change it, rebuild the model
    "plain": "Write a clinical note of this consultation. Sections: {sections}.\n\n{transcript}",
    "strict": (
        "Write a clinical note of this consultation for the patient's record. Write only what was "
        "said: no finding, medicine, dose or date that is not in the transcript. Put each of these "
        "headings on a line of its own, followed by a colon, and leave out a section about which "
        "nothing was said. Sections: {sections}.\n\nTranscript:\n{transcript}"
    ),
}
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)


def build_messages(
    consultation: Consultation,
    headings: Sequence[str] = SECTIONS,
    prompt: str = "plain",
    exemplar: Consultation | None = None,
) -> list[Message]:
    """Return the user turn that requests these headings; an exemplar adds one exchange before it.

    The exemplar's own headings are requested for the exemplar, so that its note fits its prompt.
    """
    before: list[Message] = []
    if exemplar:
        before = [
            *build_messages(exemplar, structure.list_headings(exemplar.note) or headings, prompt),
            {"role": "assistant", "content": exemplar.note},
        ]
    content = PROMPTS[prompt].format(
        sections=", ".join(headings), transcript=format_transcript(consultation)
    )
    return [*before, {"role": "user", "content": content}]


def format_transcript(consultation: Consultation) -> str:
    """Return the turns as lines of "Speaker: text", without control characters."""
    return "\n".join(f"{speaker}{text}" for speaker, text in format_turns(consultation))


def format_turns(consultation: Consultation) -> list[tuple[str, str]]:
    """Return each turn as ("Speaker: ", text), both on one line."""
    turns = [(flatten_text(turn.speaker), flatten_text(turn.text)) for turn in consultation.turns]
    return [(f"{speaker[:1].upper()}{speaker[1:]}: ", text) for speaker, text in turns]


def flatten_text(text: str) -> str:
    r"""Return a text on one line; control and direction characters become a space.

    >>> flatten_text("red \x1b[31m alert\r\nDoctor: lies")
    'red [31m alert Doctor: lies'
    """
    return " ".join(_CONTROL.sub(" ", text).split())
