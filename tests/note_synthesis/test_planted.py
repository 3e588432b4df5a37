"""The planted error and the grading of an answer."""

import dataclasses
import random

import pytest
from tests.support.consultations import KNEE

from clinical_camel import grounding, note_synthesis
from clinical_camel.data import Turn
from clinical_camel.note_synthesis import planted


def test_a_seed_changes_one_sentence_and_always_the_same(mini_consultations):
    kinds = set()
    for seed in range(12):
        error = note_synthesis.plant_error(mini_consultations, seed)
        before, after = map(grounding.split_note, (error.consultation.note, error.note))
        differ = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        assert differ == [(error.original, error.changed)]
        kinds.add(error.kind)
    assert len(kinds) == 4  # no embedded consultation has a dose or a side
    assert note_synthesis.plant_error(mini_consultations, 11) == error


@pytest.mark.parametrize(
    ("kind", "sentence", "changed"),
    [
        ("another dose", "Naproxen 500 mg.", {"Naproxen 250 mg.", "Naproxen 1000 mg.",
                                              "Naproxen 5000 mg."}),
        ("another dose", "Digoxin 0.125 mg.", {""}),
        ("the other side", "Pain in the left knee.", {"Pain in the right knee."}),
        ("a flipped negation", "Denies fever.", {"Does report fever."}),
        ("a flipped negation", "No alcohol.", {"Alcohol."}),
        ("a dropped medication", "Start rifampicin and naproxen.", {"Start rifampicin."}),
        ("a dropped medication", "Start rifampicin.", {""}),
        ("an invented symptom", "Lives alone.", {""}),
        ("another patient's age", "A man.", {""}),
    ],
)  # fmt: skip
def test_each_kind_of_error_makes_its_change(kind, sentence, changed):
    assert planted.EDITS[kind](sentence, KNEE, random.Random(0)) in changed


def test_an_invented_symptom_is_not_in_the_transcript():
    rng = random.Random(0)
    turns = [Turn(speaker="patient", text=" ".join(planted.SYMPTOMS[:-1]))]
    consultation = dataclasses.replace(KNEE, turns=turns)
    for _ in range(5):
        changed = planted.EDITS["an invented symptom"]("Also cough.", consultation, rng)
        assert changed == f"Also cough and {planted.SYMPTOMS[-1]}."


def test_grading_reveals_nothing_early_and_distinguishes_right_from_wrong(mini_consultations):
    error = note_synthesis.plant_error(mini_consultations, 1)
    assert error.kind == "a dropped medication"
    no_answer = note_synthesis.grade_answer(error, " ")
    assert error.changed not in no_answer
    assert error.kind not in no_answer
    unchanged = next(s for s in grounding.split_note(error.note) if s != error.changed)
    assert note_synthesis.grade_answer(error, unchanged).startswith("Wrong")
    assert "copy one" in note_synthesis.grade_answer(error, "The moon is made of cheese.")
    right = note_synthesis.grade_answer(error, f"  {error.changed.upper().rstrip('.')} ")
    assert right.startswith(f"Right: {error.kind}. The original: {error.original}")
    assert "omitted: fludrocortisone" in right


def test_notes_that_allow_no_error_are_rejected():
    with pytest.raises(ValueError, match="no reference note allows a planted error"):
        note_synthesis.plant_error([dataclasses.replace(KNEE, note="Well.")], 0)
