"""Notes without a model."""

import dataclasses

from tests.support.consultations import GOUT, SECTIONS

from clinical_camel.data import Turn
from clinical_camel.note_synthesis import NoteTask, baselines

TASK = NoteTask(sections=SECTIONS)


def test_the_lead_copy_has_as_many_words_as_the_reference():
    assert baselines.copy_lead(GOUT) == "What brings you in? My"  # the reference has five words


def test_the_majority_note_is_made_from_other_encounters_only():
    rows = [
        dataclasses.replace(
            GOUT,
            id=str(i),
            turns=[Turn(speaker="doctor", text=f"Visit {i % 3}"), GOUT.turns[1]],  # 0 and 3 are one
            note=f"Plan:\n{plan}",
        )
        for i, plan in enumerate(["Rest.", "Fluids.", "Fluids.", "Rest."])
    ]
    notes = baselines.write_majority_notes(rows, TASK)
    assert notes == ["Plan:\nFluids.", "Plan:\nRest.", "Plan:\nRest.", "Plan:\nFluids."]


def test_the_majority_note_has_the_sections_of_half_of_the_others():
    texts = ["Plan: q", "Plan: a b\nLabs: x", "Plan: a b c\nLabs: x", "Plan: a b c d e"]
    rows = [
        dataclasses.replace(
            GOUT, id=str(i), note=t, turns=[Turn(speaker="doctor", text=str(i)), GOUT.turns[0]]
        )
        for i, t in enumerate(texts)
    ]
    notes = baselines.write_majority_notes(rows, TASK)
    # similarity to the others of the first: 2 / 6**.5 + 3 / 15**.5, the next 2 / 6**.5 + 2 / 10**.5
    assert notes[0] == "Plan:\na b c\n\nLabs:\nx"
    assert "Labs" not in notes[1]  # only one of the other three has it


def test_both_baselines_are_listed_for_every_consultation():
    table = baselines.write_baselines({"toy": [GOUT], "other": [GOUT]}, TASK)
    assert table["model"].tolist() == ["lead copy"] * 2 + ["majority section"] * 2
    assert table["corpus"].tolist() == ["toy", "other"] * 2
    assert table["status"].tolist() == ["ok", "ok", "empty", "empty"]  # there is no other encounter
    assert (table["included_turns"] == table["turns"]).all()
