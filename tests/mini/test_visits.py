"""Consultations of the embedded study: their length, and notes whose facts are in the visit."""

import random
import re

import pytest

from clinical_camel import data, models, note_synthesis, sft_qlora
from clinical_camel.data import Dialogue
from clinical_camel.mini import build, material, visits


def test_there_are_24_visits_of_15_to_40_turns():
    loaded = data.load_consultations("mini_consultations")
    assert len(loaded) >= 24
    assert all(15 <= len(visit.turns) <= 40 for visit in loaded)
    assert len({len(visit.turns) for visit in loaded}) > 5


def test_a_visit_and_its_note_fit_the_training_context_of_the_base_model():
    tokenizer = models.load_tokenizer("mini")
    longest = max(length for length, _ in build.PHASES["copy"]["stages"].values())
    for visit in data.load_consultations("mini_consultations"):
        note = {"role": "assistant", "content": visit.note}
        messages = [*note_synthesis.build_messages(visit), note]
        dialogue = Dialogue(id=visit.id, source="", messages=messages)
        row, dropped = sft_qlora.tokenize_to_fit(tokenizer, dialogue, "assistant", longest)
        assert row
        assert dropped == 0


def test_every_fact_of_a_note_is_in_the_visit():
    facts = {fact.condition: fact for fact in material.read_facts()}
    for visit in data.load_consultations("mini_consultations"):
        transcript = " ".join(turn.text for turn in visit.turns).lower()
        numbers = re.findall(r"\d+(?:\.\d)?", visit.note)
        assert numbers
        assert [n for n in numbers if n not in transcript] == []
        setting, values = visits.read_settings()[visit.group], facts[visit.group].values
        stated = [values[name] for name in ("presentation", "cause", "treatment")]
        for value in [*stated, setting.test, setting.finding]:
            assert value in visit.note
            assert value.lower() in transcript
        assert list(note_synthesis.parse_note(visit.note)) == list(note_synthesis.SECTIONS)


def test_a_visit_arranges_a_test_and_never_its_finding():
    results = re.compile(
        r"\b(?:raised|low|high(?!-)|positive|showing|shows?|seen|unsuppressed|opaque)\b"
    )
    for setting in visits.read_settings().values():
        assert setting.test
        assert not results.search(setting.test)
    for visit in data.load_consultations("mini_consultations"):
        setting = visits.read_settings()[visit.group]
        assert f"Arrange {setting.test}" in visit.note


def test_a_visit_has_the_age_and_the_vital_signs_of_its_condition():
    for visit in data.load_consultations("mini_consultations"):
        setting = visits.read_settings()[visit.group]
        age = int(re.search(r"(\d+)-year-old", visit.note)[1])
        temperature, pulse = re.search(r"Temperature ([\d.]+), pulse (\d+)", visit.note).groups()
        temperatures, pulses = visits.VITALS[setting.vitals]
        assert setting.youngest <= age <= setting.oldest
        assert round(10 * float(temperature)) in temperatures
        assert int(pulse) in pulses


@pytest.mark.parametrize("seed", range(20))
def test_nobody_old_is_asked_about_work_and_no_traveller_about_travel(seed):
    history = visits.choose_history(80, "fever after tropical travel", random.Random(seed))
    assert not [q for q, _, _ in history if "work" in q or "travel" in q]
