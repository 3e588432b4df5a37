"""The sections of a note, and the status of an output."""

import pytest
from tests.support.consultations import SECTIONS

from clinical_camel import grounding, note_synthesis
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


SUBJECTIVE = "Subjective: A man of 40. Also low energy. Still at work. Lives alone. Never smoked. "
REPEATED = {  # what a note of 28 sentences adds to the five above
    "a sentence 13 times": ["No family illness."] * 13 + [f"Detail {i} of it." for i in range(10)],
    "two sentences in turn": ["No alcohol.", "No family illness."] * 7,
    "three words in a row": ["Start a cream and cream and cream and cream and more."],
}


@pytest.mark.parametrize("sentences", REPEATED.values(), ids=REPEATED)
@pytest.mark.parametrize("ended", [True, False])
def test_a_note_that_repeats_itself_is_looping_whether_it_ended_or_not(sentences, ended):
    note = SUBJECTIVE + " ".join(sentences)
    assert structure.classify_output(note, ended, SECTIONS) == "looping"


@pytest.mark.parametrize(
    "note",
    [
        (SUBJECTIVE + "\n") * 2,  # pasted twice, as two notes of PriMock57
        "Subjective: Pain. No pain. No pain at night.",
        "Subjective: " + " ".join(f"Finding {i} is normal." for i in range(20)) + " Calm." * 3,
        "Subjective: 5, 5, 5 and 6 tablets.",
    ],
)
def test_a_note_that_repeats_little_is_no_loop(note):
    assert not grounding.is_looping(note)


def test_every_embedded_reference_note_is_ok(mini_consultations):
    for row in mini_consultations:
        assert structure.classify_output(row.note, True, note_synthesis.SECTIONS) == "ok"
