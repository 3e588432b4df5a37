"""Consultations of the embedded study: their length, and notes whose facts are in the visit."""

import re

from clinical_camel import data, models, note_synthesis, sft_qlora
from clinical_camel.data import Dialogue
from clinical_camel.mini import build, material


def test_there_are_24_visits_of_15_to_40_turns():
    visits = data.load_consultations("mini_consultations")
    assert len(visits) >= 24
    assert all(15 <= len(visit.turns) <= 40 for visit in visits)
    assert len({len(visit.turns) for visit in visits}) > 5


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
        for attribute in ("presentation", "cause", "investigation", "treatment"):
            value = facts[visit.group].values[attribute]
            assert value in visit.note
            assert value.lower() in transcript
        assert list(note_synthesis.parse_note(visit.note)) == list(note_synthesis.SECTIONS)
