"""Inputs that another step makes, for a notebook without the runner."""

import json

from clinical_camel.runs import inputs


def test_a_missing_input_names_the_command_that_makes_it_and_its_time(project):
    record = dict.fromkeys(("study", "step", "headline"), "x") | {"status": "complete"}
    record |= dict.fromkeys(("params", "device", "notes", "artefacts"), {})
    record |= {"seconds": 250.0, "attempts": [], "peak_memory_mb": 9}
    project.file("outputs/big/02_second/run.json", json.dumps(record))
    project.file("outputs/big/01_first/rows.jsonl", "")
    params = {
        "adapters": {"base": "", "tuned": "outputs/big/02_second/adapter"},
        "sources": ["outputs/big/01_first/rows.jsonl", "outputs/other/01_first/rows.jsonl"],
        "rows": "outputs/many/raw_d0/01_first/rows.jsonl",
    }
    assert list(inputs.check_missing_inputs(params)) == [
        "adapters.tuned: outputs/big/02_second/adapter is not on this machine; run "
        "python -m clinical_camel run big 02 (about 4 minutes), then this again",
        "sources[1]: outputs/other/01_first/rows.jsonl is not on this machine; run "
        "python -m clinical_camel run other 01, then this again",
        "rows: outputs/many/raw_d0/01_first/rows.jsonl is not on this machine; run "
        "python -m clinical_camel run many/raw_d0 01, then this again",
    ]
