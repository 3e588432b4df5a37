"""Diagnosis, medications and allergies: what the visit has, what the note has."""

import dataclasses

import pandas as pd
import pytest

from clinical_camel import note_synthesis, stats
from clinical_camel.data import Consultation, Turn
from clinical_camel.note_synthesis import essentials

VISIT = Consultation(
    id="v1",
    turns=[
        Turn(speaker="patient", text="I take ramipril. I am allergic to nuts."),
        Turn(speaker="doctor", text="I think that you have giant cell arteritis."),
    ],
    note="Subjective:\nTakes ramipril. Allergies: nuts.\n\n"
    "Assessment:\nGiant cell arteritis, from inflamed arteries.",
)
OTHER = dataclasses.replace(
    VISIT,
    id="v2",
    turns=[*VISIT.turns, Turn(speaker="patient", text="Thank you.")],
    note="Subjective:\nTakes ramipril.",
)
NOTES = {
    "right": VISIT.note,
    "another disease": VISIT.note.replace("Giant cell arteritis", "Cellt arteritia"),
    "another allergy": VISIT.note.replace("nuts", "latex"),
    "no allergy": VISIT.note.replace("Allergies: nuts", "Allergies: none known"),
    "no medication": VISIT.note.replace("Takes ramipril. ", ""),
    "empty": "",
}


def count(item: str) -> dict[str, int]:
    rows = [("toy", name, "v1", "ok", text) for name, text in NOTES.items()]
    notes = pd.DataFrame(rows, columns=["corpus", "model", "id", "status", "note"])
    corpora = {"toy": [VISIT]}
    facts = note_synthesis.measure_faithfulness(notes, corpora)[1]
    table = note_synthesis.count_essentials(notes, facts, corpora)
    assert set(table["n"]) == {1}
    return table[table["item"] == item].set_index("model")["correct"].to_dict()


@pytest.mark.parametrize(
    ("item", "wrong"),
    [
        (essentials.DIAGNOSIS, {"another disease", "empty"}),
        (essentials.MEDICATIONS, {"no medication", "empty"}),
        (essentials.ALLERGIES, {"another allergy", "no allergy", "empty"}),
    ],
)
def test_each_item_is_missing_exactly_where_it_was_changed(item, wrong):
    correct = count(item)
    assert {name for name, value in correct.items() if not value} == wrong
    assert correct["reference"] == 1


def test_a_visit_without_the_item_does_not_count_and_intervals_are_wilson():
    notes = pd.DataFrame(columns=["corpus", "model", "id", "status", "note"])
    corpora = {"toy": [VISIT, OTHER]}
    facts = note_synthesis.measure_faithfulness(notes, corpora)[1]
    table = note_synthesis.count_essentials(notes, facts, corpora).set_index("item")
    assert table["n"].to_dict() == {
        essentials.DIAGNOSIS: 1, essentials.MEDICATIONS: 2, essentials.ALLERGIES: 1,
    }  # fmt: skip
    row = table.loc[essentials.MEDICATIONS]
    assert (row["correct"], round(row["low"], 3), row["high"]) == (2, 0.342, 1.0)
    cells = note_synthesis.format_essentials(table.reset_index()).iloc[0]
    assert cells[essentials.MEDICATIONS] == "2 of 2 (100 % [34, 100])"


def test_two_notes_on_one_transcript_do_not_count_as_independent():
    """Three transcripts with two references each; all medications are in all of them."""
    visits = [
        dataclasses.replace(
            VISIT, id=f"{i}{j}", turns=[*VISIT.turns, Turn(speaker="doctor", text=f"Until {i}.")]
        )
        for i in range(3)
        for j in range(2)
    ]
    notes = pd.DataFrame(columns=["corpus", "model", "id", "status", "note"])
    facts = note_synthesis.measure_faithfulness(notes, {"toy": visits})[1]
    table = note_synthesis.count_essentials(notes, facts, {"toy": visits}).set_index("item")
    row = table.loc[essentials.MEDICATIONS]
    assert (row["correct"], row["n"]) == (6, 6)
    assert (row["low"], row["high"]) == stats.wilson_interval(3, 3)


@pytest.mark.parametrize(
    ("assessment", "spoken", "diagnosis"),
    [
        ("Gout.", "It is gout.", "gout"),
        ("1. Likely gout, from crystals.", "I think gout.", "gout"),
        ("?Gout", "I think gout.", "gout"),
        ("Gout.", "It is arthritis.", ""),
        ("Arthritis.\nGout.", "It is gout.", "gout"),
        ("The patient is well.", "The patient is well.", ""),
        ("Carpal tunnel syndrome and gout.", "You have carpal tunnel syndrome.",
         "carpal tunnel syndrome"),
    ],
)  # fmt: skip
def test_the_diagnosis_is_what_assessment_and_visit_share(assessment, spoken, diagnosis):
    turns = [Turn(speaker="doctor", text=spoken)]
    visit = Consultation(id="v", turns=turns, note=f"Assessment:\n{assessment}")
    assert essentials.find_diagnosis(visit) == diagnosis


@pytest.mark.parametrize(
    ("text", "substances"),
    [
        ("Allergies: penicillin and latex.", {"penicillin", "latex"}),
        ("Allergic to penicillin", {"penicillin"}),
        ("She has a penicillin allergy.", {"penicillin"}),
        ("NKDA", set()),
        ("Allergies: none known.", set()),
        ("No known drug allergies.", set()),
        ("Any allergies? None that I know of.", set()),
        ("Takes ramipril.", None),
    ],
)
def test_allergies_are_read_in_the_forms_of_notes(text, substances):
    assert essentials.find_allergies(text) == substances


def test_the_diagnosis_of_every_embedded_visit_is_its_condition(mini_consultations):
    for visit in mini_consultations:
        assert essentials.find_diagnosis(visit) == visit.group.lower().replace("'", " ")
