"""Results of other studies: absent, complete, or not as their run wrote them."""

import json

import pytest
from tests.support import toy_results

from clinical_camel.core.settings import Incomplete
from clinical_camel.results import Finding, Number, find_result


def test_a_step_that_has_not_run_or_not_ended_has_no_result(project):
    assert find_result("a", "03_eval_fewshot") is None
    toy_results.save(project, "a", "03_eval_fewshot")
    assert find_result("a", "03_eval_fewshot")
    file = project.root / "outputs/a/03_eval_fewshot/run.json"
    record = json.loads(file.read_text())
    for damaged in (record | {"status": "incomplete"}, {"status": "complete"}):
        file.write_text(json.dumps(damaged))
        assert find_result("a", "03_eval_fewshot") is None


def test_a_table_is_read_only_as_its_run_wrote_it(project):
    toy_results.save(project, "a", "03_eval_fewshot", scores=[{"n": 1}])
    result = find_result("a", "03_eval_fewshot")
    assert result.read("scores")["n"].tolist() == [1]
    assert result.name_table("scores") == "outputs/a/03_eval_fewshot/scores.csv"
    assert result.params == "params/a/03_eval_fewshot.yaml"
    project.file("outputs/a/03_eval_fewshot/scores.csv", "n\n2\n")
    with pytest.raises(Incomplete, match=r"scores.csv is missing or differs .* run a 03 --force"):
        result.read("scores")
    with pytest.raises(Incomplete, match="gone.csv is missing"):
        result.read("gone")


def test_a_finding_names_each_table_once():
    numbers = [Number("x", 0.3, 0.2, 0.4, 10, chance=0.25, table=t, params="p") for t in "aab"]
    assert Finding("x", "X", numbers=numbers).places == {"a": "p", "b": "p"}
    assert numbers[0].is_at_chance
    assert not Number("x", 0.3, 0.26, 0.4, 10, chance=0.25).is_at_chance
