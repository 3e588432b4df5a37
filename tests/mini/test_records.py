"""Records of invented patients: what a note has before its assessment, and the diagnosis."""

import dataclasses
import random

import pytest

from clinical_camel import data
from clinical_camel.mini import build, material, records, visits


def test_the_shipped_triples_are_those_that_the_script_writes(tmp_path, monkeypatch):
    shipped = (build.HERE / "triples.csv").read_bytes()
    monkeypatch.setattr(build, "HERE", tmp_path)
    build._write_triples(material.read_facts("exam", "train"))
    assert (tmp_path / "triples.csv").read_bytes() == shipped


def test_a_record_has_the_findings_of_its_visit_and_not_its_assessment():
    (visit,) = [v for v in data.load_consultations("mini_consultations") if v.group == "gout"] or [
        data.load_consultations("mini_consultations")[0]
    ]
    record, reply = (m["content"] for m in records.write_record(visit, 0).messages)
    assert visit.group not in record
    assert reply == f"The diagnosis is {visit.group}."
    assert record.splitlines()[0].startswith("Age: ")
    assert record.endswith(records.QUESTION)
    objective = visit.note.partition("Objective:\n")[2].partition(".\n")[0]
    temperature, pulse = objective.removeprefix("Temperature ").split(", pulse ")
    assert f"Temperature: {temperature}\nPulse: {pulse}" in record


def test_training_records_are_of_other_patients_than_the_test_records():
    training = data.load_dialogues("mini_records")
    test = data.load_conversations("mini_records_test")
    texts = {row.messages[0]["content"] for row in training}
    assert len(training) == len(texts) == build.RECORDS * len(test)
    assert not texts & {row.messages[0]["content"] for row in test}
    conditions = {row.id.rpartition("/")[0] for row in training}
    assert conditions == {row.id.rpartition("/")[0] for row in test}


def test_records_of_any_seed_can_be_written():
    rng = random.Random(1)
    for fact in material.read_facts():
        if fact.condition in visits.read_settings():
            assert records.write_record(visits.write_consultation(fact, rng), 1).messages


def test_another_note_is_refused():
    visit = data.load_consultations("mini_consultations")[0]
    with pytest.raises(ValueError, match=f"{visit.id}: its note has another form"):
        records.write_record(dataclasses.replace(visit, note="Cough."), 1)


def test_the_test_records_are_no_training_set():
    with pytest.raises(data.DataError, match="mini_records_test is an evaluation set"):
        data.load_dialogues("mini_records_test")
