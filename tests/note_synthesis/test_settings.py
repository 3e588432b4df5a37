"""The settings of step 04."""

import dataclasses

import pytest
from tests.support.consultations import GOUT, SECTIONS

from clinical_camel.note_synthesis import DECODINGS, NoteTask


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"too_long": "cut"}, 'too_long: "cut" is not one of skip, truncate, windows'),
        ({"prompt": "mine"}, 'prompt: "mine" is not one of plain, strict'),
        ({"headings": "own"}, 'headings: "own" is not one of sections, reference'),
        ({"unit": "line"}, 'unit: "line" is not one of note, section'),
        ({"sections": []}, "sections: is empty; name at least one"),
        ({"consultations": []}, "consultations: is empty; name at least one"),
        ({"other_decodings": ["warm"]}, 'other_decodings[0]: "warm" is not one of greedy, clinmed'),
        *(
            ({"server": url}, "server: is no address on this machine; write http://127.0.0.1:8000/")
            for url in (
                *("vllm", "https://notes.org/v1", "http://10.0.0.2:8000/v1", "localhost:8000/v1"),
                *("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/", "https://localhost/v1"),
                "http://127.0.0.1:8000/v1/completions",
                *("http://127.0.0.1.nip.io/v1", "http://127.evil.org:8000/v1", "http://[::1/v1"),
                *("http://127.0.0.1:80000/v1", "http://127.0.0.1:0/v1"),
            )
        ),
        *(
            (
                {"server": "http://127.0.0.1:8000/v1", "temperature": temperature},
                f"temperature: {temperature}: vLLM takes 0.0, or 0.01 to 2.0",
            )
            for temperature in (2.5, 0.001)
        ),
        (
            {"server": "http://127.0.0.1:8000/v1", "quantize": "int8"},
            'quantize: int8: a vLLM server has no such weights; write nf4 or ""',
        ),
        (
            {"server": "http://[::1]:8000/v1", "compile_generation": True},
            "compile_generation: true has no effect with a server; write false",
        ),
        (
            {"compile_generation": True},
            "compile_generation: transformers does not compile a model in nf4; write false, or",
        ),
        ({"note_exemplars": {"aci": "aci_bench@data/a.jsonl"}}, "note_exemplars.aci: no corpus of"),
    ],
)
def test_unusable_settings_are_rejected_by_name(values, message):
    (problem,) = NoteTask.check(values)
    assert problem.startswith(message)


def test_two_corpora_of_one_name_are_rejected(project):
    for folder in ("x", "y"):
        line = '{"id": "a", "transcript": "Doctor: Hello.\\nPatient: Hi."}\n'
        project.file(f"{folder}/a.jsonl", line)
    specs = ["transcripts@x/a.jsonl", "transcripts@y/a.jsonl"]
    (problem,) = NoteTask.check({"consultations": specs})
    assert problem == "consultations: two are called a; give one of the files another name"


def test_the_headings_are_those_of_the_reference_or_the_sections():
    own = NoteTask(headings="reference", sections=SECTIONS)
    terse = dataclasses.replace(GOUT, note="Gout for 3/7.\nPMH: nil\nImp: gout")
    assert own.list_headings(terse) == ["History", "PMH", "Imp"]
    assert own.list_headings(dataclasses.replace(GOUT, note="Gout.")) == SECTIONS
    assert NoteTask(sections=SECTIONS).list_headings(terse) == SECTIONS


def test_floats_can_be_compiled_and_served():
    assert NoteTask.check({"compile_generation": True, "quantize": "nf4_dequantized"}) == []
    assert NoteTask.check({"server": "http://localhost:8000/v1", "quantize": ""}) == []


def test_a_decoding_changes_only_the_sampling_settings():
    task = NoteTask()
    names = ("temperature", "top_p", "top_k", "repetition_penalty")
    reported = task.with_decoding("clinmed_llama3")
    assert [getattr(reported, name) for name in names] == [0.6, 0.9, 50, 1.2]
    assert [getattr(task, name) for name in names] == [0.0, 1.0, 0, 1.0]
    assert reported.with_decoding("greedy") == task
    for settings in DECODINGS.values():
        assert NoteTask.check(settings | {"other_decodings": []}) == []
