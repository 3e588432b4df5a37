"""Tests of data.consultations: published consultations and a user's transcripts."""

import pytest
from tests.support.rows import write_rows

from clinical_camel import data
from clinical_camel.data import consultations


def test_aci_bench_lines_become_turns_and_a_line_without_a_speaker_continues_one():
    lines = "[doctor] hi .\nstill here .\n[patient_guest] hello"
    row = {"id": "1", "dataset": "aci", "dialogue": lines, "note": "N"}
    turns = [(turn.speaker, turn.text) for turn in consultations.read_aci_bench(row).turns]
    assert turns == [("doctor", "hi . still here ."), ("other", "hello")]


MTS = {"id": "mts-test1-96", "section_header": "GENHX", "section_text": "Cough."}
MTS |= {"dialogue": "Doctor: Hi"}


@pytest.mark.parametrize(
    ("name", "speaker"),
    [
        ("Doctor", "doctor"),
        ("Docotr_2", "doctor"),
        ('"Doctor', "doctor"),
        ("Patient", "patient"),
        ("Guest_family", "other"),
        ("Gest_family", "other"),
        ("Guest_clinican", "other"),
        ("Guest_family2", "other"),
    ],
)
def test_mts_speakers_are_recognised_in_every_spelling(name, speaker):
    (turn,) = consultations.read_mts_dialog(MTS | {"dialogue": f"{name}: Hi"}).turns
    assert (turn.speaker, turn.text) == (speaker, "Hi")


def test_a_second_speaker_on_an_mts_line_gets_a_turn():
    lines = "Patient: No. Doctor: Any fever?\nPatient: Yes, I am, Doctor:"
    visit = consultations.read_mts_dialog(MTS | {"dialogue": lines})
    turns = [(turn.speaker, turn.text) for turn in visit.turns]
    assert turns == [
        ("patient", "No."),
        ("doctor", "Any fever?"),
        ("patient", "Yes, I am, Doctor:"),
    ]


def test_an_mts_note_has_its_heading_in_words_and_rows_of_a_test_set_are_dropped():
    assert consultations.read_mts_dialog(MTS).note == "HISTORY OF PRESENT ILLNESS:\nCough."
    assert consultations.read_mts_dialog(MTS | {"id": "mts-train-901"}) is None


def test_primock_marks_and_inaudible_turns_are_removed():
    lines = "[doctor] <UNSURE>Hello</UNSURE> you <UNIN/>.\n[patient] <INAUDIBLE_SPEECH/>."
    visit = consultations.read_primock57({"id": "1", "dialogue": lines, "note": "N"})
    turns = [(turn.speaker, turn.text) for turn in visit.turns]
    assert turns == [("doctor", "Hello you .")]


VISIT = {"id": "v1", "transcript": "Doctor: Any fever?\nPatient: No."}


def test_a_transcript_with_entities_and_a_note_is_cleaned(root):
    row = VISIT | {
        "transcript": "<b>Doctor:</b> A&amp;E?<br>Patient:&nbsp;No.",
        "note": " No <b>fever</b>.\r\n",
    }
    write_rows(root / "my.jsonl", [row])
    (visit,) = data.load_consultations("transcripts@my.jsonl")
    assert (visit.turns[0].text, visit.note) == ("A&E?", "No fever.")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"notes": "x"},
            "line 1: field notes is not one of id, transcript, note; did you mean note?",
        ),
        (
            {"transcript": "Doctor: a\n12\nPatient: b"},
            r"line 1: transcript line 2 \('12'\) is only",
        ),
        ({"note": "<table><tr>"}, "line 1: note: markup <table>"),
        (
            {"transcript": "Doctor: \u009ca\nPatient: b"},
            r"turns\[0\].text: control character U\+009C",
        ),
    ],
)
def test_a_transcript_is_rejected_with_its_line_and_problem(root, change, problem):
    write_rows(root / "my.jsonl", [VISIT | change])
    with pytest.raises(data.DataError, match=problem):
        data.load_consultations("transcripts@my.jsonl")
    assert data.check_spec("transcripts@my.jsonl", ("Consultation",), for_training=False)
