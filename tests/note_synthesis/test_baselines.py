"""Notes without a model."""

import dataclasses

from tests.support.consultations import GOUT, SECTIONS

from clinical_camel.data import Turn
from clinical_camel.note_synthesis import NoteTask, baselines

TASK = NoteTask(sections=SECTIONS)


def replace_notes(notes, transcripts):
    """Consultations with these notes and one-line transcripts."""
    return [
        dataclasses.replace(GOUT, id=str(i), turns=[Turn(speaker="doctor", text=text)], note=note)
        for i, (note, text) in enumerate(zip(notes, transcripts, strict=True))
    ]


def test_the_lead_copy_has_as_many_words_as_the_reference():
    assert baselines.copy_lead(GOUT) == "What brings you in? My"  # the reference has five words


def test_the_majority_note_is_made_from_other_encounters_only():
    plans = ["Rest.", "Fluids.", "Fluids.", "Rest."]  # the first and the last are one encounter
    rows = replace_notes([f"Plan:\n{plan}" for plan in plans], "abca")
    notes = baselines.write_majority_notes(rows, TASK)
    assert notes == ["Plan:\nFluids.", "Plan:\nRest.", "Plan:\nRest.", "Plan:\nFluids."]


def test_the_majority_note_has_the_sections_of_half_of_the_others():
    texts = ["Plan: q", "Plan: a b\nLabs: x", "Plan: a b c\nLabs: x", "Plan: a b c d e"]
    notes = baselines.write_majority_notes(replace_notes(texts, "abcd"), TASK)
    # similarity to the others of the first: 2 / 6**.5 + 3 / 15**.5, the next 2 / 6**.5 + 2 / 10**.5
    assert notes[0] == "Plan:\na b c\n\nLabs:\nx"
    assert "Labs" not in notes[1]  # only one of the other three has it


def test_both_baselines_are_listed_for_every_consultation():
    table = baselines.write_baselines({"toy": [GOUT], "other": [GOUT]}, TASK)
    assert table["model"].tolist() == ["lead copy"] * 2 + ["majority section"] * 2
    assert table["corpus"].tolist() == ["toy", "other"] * 2
    assert table["status"].tolist() == ["ok", "ok", "empty", "empty"]  # there is no other encounter
    assert (table["included_turns"] == table["turns"]).all()
