"""The consultations of each corpus, and the one-shot exemplars."""

import dataclasses

import pytest
from tests.support.consultations import COUGH, GOUT

from clinical_camel import data, note_synthesis


def test_the_exemplar_has_most_of_the_headings_and_is_neither_shortest_nor_longest():
    pool = [
        dataclasses.replace(GOUT, id=str(size), note=f"{name}:\n{'x' * size}")
        for name, sizes in {"Plan": (1, 2, 30, 40), "Assessment": (1,)}.items()
        for size in sizes
    ]
    assert note_synthesis.choose_exemplar(pool, ["Plan"]).note == "Plan:\nxx"
    assert note_synthesis.choose_exemplar(pool, ["assessment"]).note == "Assessment:\nx"


def test_an_exemplar_comes_from_the_train_split_only(project):
    row = '{{"id": "a", "split": "{}", "dataset": "x", "dialogue": "{}", "note": "Plan: rest"}}\n'
    dialogue = "[doctor] Hello.\\n[patient] Hello."
    specs = {"toy": "aci_bench@data/a.jsonl"}
    for split in ("test1", "valid", "all"):
        project.file("data/a.jsonl", row.format(split, dialogue))
        with pytest.raises(data.DataError, match=f"rows are of the split {split}"):
            note_synthesis.load_exemplars(specs, {"toy": [GOUT]})
    project.file("data/a.jsonl", row.format("train", dialogue))
    assert note_synthesis.load_exemplars(specs, {"toy": [GOUT]})["toy"][0].id == "a"


def test_an_exemplar_that_is_also_written_about_is_rejected(monkeypatch):
    monkeypatch.setattr(data, "load_training_consultations", lambda spec: [GOUT])
    same = dataclasses.replace(GOUT, id="x")
    with pytest.raises(ValueError, match="note_exemplars: toy x is also an exemplar"):
        note_synthesis.load_exemplars({"toy": "train"}, {"toy": [COUGH, same]})


def test_no_consultation_at_all_is_rejected():
    with pytest.raises(ValueError, match="consultations: no file contains a consultation"):
        note_synthesis.load_corpora([])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a", "transcript": ""}', "line 1: transcript is empty"),
        ('{"id": "a", "transcript": "no speaker"}', "line 1: transcript has no line that begins"),
        ('{"id": "a", "dialogue": "Doctor: Hi"}', "line 1: field dialogue is not one of id, tran"),
        ('{"id": "a"}', "line 1: field transcript is missing"),
        ('{"id": "a", "transcript": "Doctor: Hi"}', "line 1: a consultation has at least 2 turns"),
        ('{"id": "a", "transcript": "A: b\\u0000"}', "line 1: NUL character in a text"),
    ],
)
def test_a_damaged_transcript_is_rejected_with_file_line_and_key(project, line, message):
    project.file("data/mine.jsonl", line + "\n")
    with pytest.raises(data.DataError) as error:
        note_synthesis.load_corpora(["transcripts@data/mine.jsonl"])
    assert "mine.jsonl" in str(error.value)
    assert message in str(error.value)


def test_a_transcript_may_have_a_note(project):
    lines = [
        '{"id": "a", "transcript": "Dr. Ho: Hello.\\nand welcome\\nPatient 1: Hi."}',
        '{"id": "b", "transcript": "Doctor: Hello.\\nPatient: Hi.", "note": "Plan: rest"}',
    ]
    project.file("data/mine.jsonl", "\n".join(lines) + "\n")
    first, second = note_synthesis.load_corpora(["transcripts@data/mine.jsonl"])["mine"]
    expected = "Dr. Ho: Hello. and welcome\nPatient 1: Hi."
    assert note_synthesis.format_transcript(first) == expected
    assert (first.note, second.note) == ("", "Plan: rest")
