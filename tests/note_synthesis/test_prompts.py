"""The prompt: its wording, and the transcript as text."""

import pytest
from tests.support.consultations import COUGH, GOUT, SECTIONS

from clinical_camel.note_synthesis import PROMPTS, build_messages


def test_the_prompt_names_the_sections_and_contains_the_transcript():
    content = build_messages(GOUT, SECTIONS)[0]["content"]
    assert content == (
        "Write a clinical note of this consultation. Sections: Subjective, Assessment.\n\n"
        "Doctor: What brings you in?\nPatient: My toe hurts.\nDoctor: It is gout."
    )


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_prompt_contains_sections_and_transcript(prompt):
    content = build_messages(GOUT, ["Diet"], prompt)[0]["content"]
    assert "Sections: Diet." in content
    assert "My toe hurts." in content


def test_a_one_shot_prompt_requests_the_headings_of_the_exemplar():
    messages = build_messages(COUGH, ["Plan"], "plain", GOUT)
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert "Sections: Subjective, Assessment." in messages[0]["content"]
    assert messages[1]["content"] == GOUT.note
    assert "Any cough?" in messages[2]["content"]
