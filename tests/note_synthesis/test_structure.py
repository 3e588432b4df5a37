"""The sections of a note, and the status of an output."""

import pytest
from tests.support.consultations import SECTIONS

from clinical_camel import note_synthesis
from clinical_camel.note_synthesis import structure


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("Plan:\nRest.\nFluids.", {"Plan": "Rest.\nFluids."}),
        ("Plan: Rest.", {"Plan": "Rest."}),
        ("Plan:\n", {"Plan": ""}),
        ("He is well.", {"": "He is well."}),
        ("", {}),
        ("Plan:\nSee: the clinic", {"Plan": "See: the clinic"}),
        ("## Plan\nRest.", {"Plan": "Rest."}),
        ("2. **Plan:** Rest.", {"Plan": "Rest."}),
        ("HPI:\nCough.\n\nPLAN\nRest.", {"HPI": "Cough.", "PLAN": "Rest."}),
        ("Plan: a\nAssessment: b\nPlan: c", {"Plan": "a\nc", "Assessment": "b"}),
    ],
)
def test_a_note_is_split_at_its_headings(text, sections):
    assert structure.parse_note(text) == sections


def test_a_requested_heading_is_recognized_and_returned_as_requested():
    assert structure.parse_note("hospital course: Calm.") == {"": "hospital course: Calm."}
    sections = structure.parse_note("hospital course: Calm.", ["Hospital course"])
    assert sections == {"Hospital course": "Calm."}


def test_notes_of_all_styles_have_the_same_three_divisions():
    soap = structure.split_divisions("Subjective: a\nObjective: b\nAssessment: c\nPlan: d")
    terse = structure.split_divisions("Cough.\nPMH: nil\nEx: clear\nImp: URTI\nPlan: rest")
    assert set(soap) == set(terse) == set(structure.DIVISIONS)
    assert soap["assessment and plan"] == "c\nd"
    assert terse["subjective"] == "Cough.\nnil"


@pytest.mark.parametrize(
    ("note", "ended", "status"),
    [
        (None, True, "too long"),
        (" ", True, "empty"),
        ("...\n---", True, "empty"),
        ("Plan: take one tablet daily. " * 20, True, "looping"),
        ("痛" * 200, True, "looping"),
        ("Doctor: How are you?\nPatient: Well.", True, "dialogue"),
        ("I am sorry, I cannot help with that.", True, "no sections"),
        ("Subjective: pain", False, "unfinished"),
        ("Subjective: pain", True, "ok"),
        ("**Assessment**\nGout.", True, "ok"),
    ],
)
def test_every_output_has_a_status(note, ended, status):
    assert structure.classify_output(note, ended, SECTIONS) == status


def test_every_embedded_reference_note_is_ok(mini_consultations):
    for row in mini_consultations:
        assert structure.classify_output(row.note, True, note_synthesis.SECTIONS) == "ok"
