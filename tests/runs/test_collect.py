"""Tables, costs and records of several studies."""

import json

import pytest

from clinical_camel import runs
from clinical_camel.runs import collect, inputs


def test_a_table_is_collected_over_all_studies_with_the_study_first(project):
    for study, value in (("b", "NA"), ("a", "None"), ("scratch", "9")):
        project.file(f"outputs/{study}/01_first/t.csv", f"x\n{value}\n")
    table = runs.collect_table("01_first", "t")
    assert table.to_dict("list") == {"study": ["a", "b"], "x": ["None", "NA"]}


def test_collecting_a_missing_table_names_the_step_to_run(project):
    with pytest.raises(FileNotFoundError, match="run 01_first first"):
        runs.collect_table("01_first", "t")


def test_costs_are_collected_from_the_records_of_complete_steps(project):
    record = {"study": "big", "step": "01_first", "seconds": 3.5, "peak_memory_mb": 700}
    record |= {"status": "complete", "device": {"cpu": "one", "threads": 1}, "headline": "x"}
    record |= {"attempts": [], "params": {}, "notes": {}, "artefacts": {}}
    project.file("outputs/big/01_first/run.json", json.dumps(record))
    project.file("outputs/big/02_second/run.json", json.dumps(record | {"status": "running"}))
    project.file("outputs/scratch/01_first/run.json", json.dumps(record))
    project.file("outputs/big/.01_first.previous/run.json", json.dumps(record))
    assert runs.collect_costs().to_dict("records") == [
        {"study": "big", "step": "01_first", "seconds": 3.5, "peak_memory_mb": 700, "device": "one"}
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"status": "complete"}', '{"attempts": 3}'])
def test_a_damaged_record_counts_as_none(content, project):
    project.file("outputs/big/01_first/run.json", content)
    assert collect.read_run_record(project.root / "outputs/big/01_first") == {}
    assert runs.collect_costs().empty


def test_a_missing_input_names_the_command_that_makes_it_and_its_time(project):
    record = dict.fromkeys(("study", "step", "headline"), "x") | {"status": "complete"}
    record |= dict.fromkeys(("params", "device", "notes", "artefacts"), {})
    record |= {"seconds": 250.0, "attempts": [], "peak_memory_mb": 9}
    project.file("outputs/big/02_second/run.json", json.dumps(record))
    project.file("outputs/big/01_first/rows.jsonl", "")
    params = {
        "adapters": {"base": "", "tuned": "outputs/big/02_second/adapter"},
        "sources": ["outputs/big/01_first/rows.jsonl", "outputs/other/01_first/rows.jsonl"],
    }
    assert list(inputs.check_inputs(params)) == [
        "adapters.tuned: outputs/big/02_second/adapter is not on this machine; run "
        "python -m clinical_camel run big 02 (about 4 minutes), then this again",
        "sources[1]: outputs/other/01_first/rows.jsonl is not on this machine; run "
        "python -m clinical_camel run other 01, then this again",
    ]
