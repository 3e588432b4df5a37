"""The planted error and the grading of an answer."""

import dataclasses
import random
import re

import pytest
from tests.support.consultations import KNEE

from clinical_camel import grounding, note_synthesis
from clinical_camel.data import Turn
from clinical_camel.note_synthesis import inventions, planted


@pytest.fixture(scope="module")
def visits():
    return note_synthesis.load_exercise_visits()


def test_a_seed_changes_one_sentence_and_always_the_same(visits):
    for seed in range(12):
        error = note_synthesis.plant_error(visits, seed)
        before, after = map(grounding.split_note, (error.consultation.note, error.note))
        differ = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        assert differ == [(error.original, error.changed)]
    assert note_synthesis.plant_error(visits, 11) == error


def test_every_kind_of_error_can_be_drawn(visits):
    kinds = {note_synthesis.plant_error(visits, seed).kind for seed in range(60)}
    assert kinds == set(planted.EDITS)


def test_no_reference_note_of_an_exercise_is_wrong_by_itself():
    for visit in note_synthesis.load_exercise_visits():
        text = " ".join(turn.text for turn in visit.turns)
        for number in re.findall(r"\d+", visit.note):
            assert number in text


@pytest.mark.parametrize(
    ("kind", "sentence", "changed"),
    [
        ("a flipped negation", "Denies fever.", {"Does report fever."}),
        ("a flipped negation", "Smokes ten a day.", {"Has never smoked."}),
        ("a flipped negation", "Also some dizziness.", {"No dizziness."}),
        ("a dropped medication", "Start rifampicin and naproxen.", {"Start rifampicin."}),
        ("a dropped medication", "Start rifampicin, isoniazid and ethambutol.",
         {"Start rifampicin and ethambutol."}),
        ("a dropped medication", "Start rifampicin.", {""}),
        ("an invented symptom", "Lives alone.", {""}),
        ("another patient's age", "A man.", {""}),
        ("a relative's illness", "Father had heart trouble.", {"Had heart trouble."}),
        ("a relative's illness", "Has a father.", {""}),
    ],
)  # fmt: skip
def test_each_kind_of_error_makes_its_change(kind, sentence, changed):
    assert planted.EDITS[kind](sentence, "a knee", random.Random(0)) in changed


def test_an_invented_symptom_is_not_in_the_transcript():
    source = " ".join(inventions.SYMPTOMS[1:])
    for seed in range(5):
        rng = random.Random(seed)
        changed = planted.EDITS["an invented symptom"]("Also cough.", source, rng)
        assert changed == f"Also cough and {inventions.SYMPTOMS[0]}."
    everything = " ".join(inventions.SYMPTOMS)
    assert planted.EDITS["an invented symptom"]("Also cough.", everything, rng) == ""


def test_only_the_right_answer_reveals_the_error():
    note = "Plan:\nNaproxen 500 mg and ramipril for two weeks. Left knee hurts."
    turns = [Turn(speaker="doctor", text="Take naproxen 500 mg and ramipril for two weeks.")]
    changed = "Naproxen 500 mg for two weeks."
    error = planted.PlantedError(
        dataclasses.replace(KNEE, note=note, turns=turns),
        note.replace(" and ramipril", ""),
        "a dropped medication",
        "Naproxen 500 mg and ramipril for two weeks.",
        changed,
    )
    for answer in ("", None, "Left knee hurts.", "The moon.", 7, error.note):
        text = note_synthesis.grade_answer(error, answer)
        assert not any(secret in text for secret in (changed, error.kind, "ramipril", "flags"))
    right = note_synthesis.grade_answer(error, changed)
    assert right.startswith(f"Right: {error.kind}. The original: {error.original}")
    assert "a false alarm: Left knee hurts. (" in right
    assert "omitted: ramipril" in right


def test_the_page_above_the_exercise_never_shows_its_visits(visits, mini_consultations):
    exhibit = note_synthesis.show_wrong_ticks().consultation
    assert not {v.id for v in visits} & {v.id for v in (*mini_consultations, exhibit)}


def test_notes_that_allow_no_error_are_rejected():
    with pytest.raises(ValueError, match="no reference note allows a planted error"):
        note_synthesis.plant_error([dataclasses.replace(KNEE, note="Well.")], 0)
