"""Prompts, raw outputs and merged notes."""

import dataclasses

import pandas as pd
import pytest
from tests.support.consultations import COUGH, GOUT, SECTIONS, patch_outputs, repeat_text
from tests.support.project import Memory

from clinical_camel import models, note_synthesis
from clinical_camel.models import generation
from clinical_camel.note_synthesis import NoteTask, fitting, writing


def write(llm, rows=(GOUT,), journal=None, exemplars=None, **settings):
    task = NoteTask(**{"sections": SECTIONS, "max_new_tokens": 8, **settings})
    journal = Memory() if journal is None else journal
    corpora = {"toy": list(rows)}
    return note_synthesis.write_notes({"base": llm}, corpora, task, exemplars, journal=journal)


def test_a_note_in_the_journal_is_not_written_twice(llm, monkeypatch):
    journal = Memory()
    first, outputs = write(llm, journal=journal)
    assert first["note"][0]
    assert outputs["text"][0] == first["note"][0]
    monkeypatch.setattr(generation, "generate", lambda *_, **__: iter(()))
    second, _ = write(llm, journal=journal)
    pd.testing.assert_frame_equal(first, second)


def test_compiled_generation_writes_the_same_notes(llm, monkeypatch):
    plain, _ = write(llm, [GOUT, COUGH])
    flags, generate = [], generation.generate

    def record(*arguments, compiled, **options):
        flags.append(compiled)
        return generate(*arguments, compiled=compiled, **options)

    monkeypatch.setattr(generation, "generate", record)
    compiled, _ = write(llm, [GOUT, COUGH], compile_generation=True, quantize="")
    pd.testing.assert_frame_equal(plain, compiled)
    assert flags == [True]


def test_sampled_notes_do_not_depend_on_order_or_batch(llm):
    one, _ = write(llm, [GOUT, COUGH], temperature=3.0)
    other, _ = write(llm, [COUGH, GOUT], temperature=3.0, token_budget=64)
    assert one.set_index("id")["note"].to_dict() == other.set_index("id")["note"].to_dict()
    assert one["note"].tolist() != write(llm, [GOUT, COUGH])[0]["note"].tolist()
    reseeded, _ = write(llm, [GOUT, COUGH], temperature=3.0, seed=1)
    assert one["note"].tolist() != reseeded["note"].tolist()


def test_the_exemplar_of_a_corpus_is_in_its_prompts(llm, monkeypatch):
    prompts = patch_outputs(monkeypatch, "x")
    write(llm, [GOUT], exemplars={"toy": [COUGH]})
    write(llm, [GOUT], exemplars={"other": [COUGH]})
    assert ["Any cough?" in prompt for prompt in prompts] == [True, False]


def test_one_prompt_per_section_makes_one_note(llm, monkeypatch):
    patch_outputs(monkeypatch, "Pain.", "Gout.")
    notes, outputs = write(llm, unit="section")
    assert outputs["headings"].tolist() == SECTIONS
    assert outputs["text"].tolist() == ["Pain.", "Gout."]
    assert notes["note"].tolist() == ["Subjective:\nPain.\n\nAssessment:\nGout."]
    assert notes["status"].tolist() == ["ok"]


def test_a_looping_window_makes_the_note_looping(llm, monkeypatch):
    patch_outputs(monkeypatch, "Subjective: Pain.", "Subjective: " + "pain and pain again " * 20)
    long = repeat_text("I have said this before. " * 20, 30)
    small = dataclasses.replace(llm, max_length=600)
    notes, _ = write(small, [long], too_long="windows")
    assert notes["windows"][0] > 1
    assert notes["status"][0] == "looping"
    assert notes["included_turns"][0] == notes["turns"][0] == 30


def test_skipped_and_truncated_transcripts_are_counted(llm):
    prompt = fitting.render_prompt(llm, GOUT, SECTIONS, "plain")
    size = len(models.tokenize_text(llm.tokenizer, prompt))
    small = dataclasses.replace(llm, max_length=size + 8 - 1)
    skipped, outputs = write(small)
    assert skipped.loc[0, ["status", "included_turns", "note"]].tolist() == ["too long", 0, ""]
    assert outputs.empty
    truncated, _ = write(small, too_long="truncate")
    assert (truncated["turns"][0], truncated["included_turns"][0]) == (3, 2)


@pytest.mark.parametrize("too_long", ["skip", "truncate", "windows"])
def test_200000_characters_are_skipped_truncated_or_read_completely(llm, monkeypatch, too_long):
    patch_outputs(monkeypatch, "Subjective: Pain.\nAssessment: Gout.")
    long = repeat_text("It hurts a lot here, and there too. " * 57, 100)
    assert sum(len(turn.text) for turn in long.turns) > 200_000
    notes, outputs = write(llm, [long], too_long=too_long)
    row = notes.iloc[0]
    assert row["status"] == ("too long" if too_long == "skip" else "ok")
    if too_long != "truncate":
        assert row["included_turns"] == {"skip": 0, "windows": 100}[too_long]
    assert (0 < row["included_turns"] < 100) == (too_long == "truncate")
    assert (len(outputs) > 1) == (too_long == "windows")


def test_a_transcript_in_another_script_is_processed_as_usual(llm):
    notes, outputs = write(llm, [repeat_text("患者咳嗽三天。")])
    assert len(outputs) == 1
    assert notes["status"][0] in note_synthesis.STATUSES


def test_the_journal_key_depends_on_everything_but_the_other_decodings(llm):
    corpora, task = {"toy": [GOUT]}, NoteTask()

    def make_key(rows=corpora, task=task, exemplars=None):
        return writing.make_journal_key({"base": llm}, rows, task, exemplars or {})

    key = make_key()
    assert key == make_key(task=NoteTask(study="x", other_decodings=[]))
    assert key != make_key(task=task.with_decoding("clinmed_llama3"))
    assert key != make_key(task=NoteTask(seed=1))
    assert key != make_key({"toy": [COUGH]})
    assert key != make_key(exemplars={"toy": [COUGH]})


# ------------------------------------------------------------------------------------- merging


WINDOWS = ["Subjective: Pain. Fever.\nPlan: Rest.", "Subjective: fever. Cough.\nPlan: Rest."]


@pytest.mark.parametrize(
    ("outputs", "note"),
    [
        ([(["Subjective", "Plan"], text) for text in WINDOWS],
         "Subjective:\nPain. Fever. Cough.\n\nPlan:\nRest."),
        ([(SECTIONS, "He is well."), (SECTIONS, "Is he?")], "He is well. Is he?"),
        ([(["Subjective"], "Toe pain."), (["Assessment"], " ")], "Subjective:\nToe pain."),
    ],
    ids=["no repeats", "no heading", "an empty section"],
)  # fmt: skip
def test_windows_and_sections_are_merged(outputs, note):
    headings = list(dict.fromkeys(name for names, _ in outputs for name in names))
    assert writing.merge_outputs(outputs, headings) == note
