"""A run.json that is not whole counts as none."""

import pytest

from clinical_camel.runs import run_json


@pytest.mark.parametrize("content", ["", "[]", '{"status": "complete"}', '{"attempts": 3}'])
def test_a_damaged_record_counts_as_none(content, project):
    project.file("outputs/big/01_first/run.json", content)
    assert run_json.read_run_record(project.root / "outputs/big/01_first") == {}
