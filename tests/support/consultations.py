"""Small consultations, and models that write canned notes."""

import dataclasses

from clinical_camel.data import Consultation, Turn
from clinical_camel.models import generation

GOUT = Consultation(
    id="v1",
    turns=[
        Turn(speaker="doctor", text="What brings you in?"),
        Turn(speaker="patient", text="My toe hurts."),
        Turn(speaker="doctor", text="It is gout."),
    ],
    note="Subjective:\nToe pain.\n\nAssessment:\nGout.",
)
COUGH = dataclasses.replace(
    GOUT, id="v2", turns=[Turn(speaker="doctor", text="Any cough?"), *GOUT.turns[1:]]
)
SECTIONS = ["Subjective", "Assessment"]

KNEE = Consultation(
    id="v1",
    turns=[
        Turn(speaker="doctor", text="Any fever?"),
        Turn(speaker="patient", text="No. My left knee hurts."),
        Turn(speaker="doctor", text="Take naproxen 500 mg for two weeks."),
    ],
    note="Subjective:\nLeft knee hurts. No fever.\n\nPlan:\nNaproxen 500 mg for two weeks.",
)
KNEE_AGAIN = dataclasses.replace(
    KNEE, id="v2", turns=[*KNEE.turns, Turn(speaker="patient", text="Thank you.")]
)
WRONG_NOTE = "Plan:\nNaproxen 50 mg for two weeks. Morphine."


def repeat_text(text: str, turns: int = 2) -> Consultation:
    """A consultation in which doctor and patient repeat one text in turn."""
    speakers = ("doctor", "patient")
    rows = [Turn(speaker=speakers[i % 2], text=text) for i in range(turns)]
    return Consultation(id="hostile", turns=rows, note="Plan:\nRest.")


def patch_outputs(monkeypatch, *texts: str) -> list[str]:
    """Let every model write these texts in turn; return the prompts as they are sent."""
    sent = []

    def generate(llm, prompts, decoding, **_):
        sent.extend(prompts)
        return ((i, texts[i % len(texts)], True) for i in range(len(prompts)))

    monkeypatch.setattr(generation, "generate", generate)
    return sent
