"""The order of steps, from the paths in their params; wrong inputs are rejected."""

import pytest
from tests.support import toy_study
from tests.support.project import Project

from clinical_camel import cli
from clinical_camel.runner import jobs

STEPS = ("01_first", "02_second", "03_third")


def order_steps(project: Project, **sources: str) -> list[str]:
    """Build three steps with these sources; return their order."""
    for step in STEPS:
        cell = "study: str = ''\nsource: dict[str, str] = {}"
        project.notebook(step, cell, "print(study, source)")
        source = sources.get(f"s{step[:2]}", "{}")
        project.params("toy", step, f"study: toy\nsource: {source}\n")
    return [job.step[:2] for job in jobs.sort_jobs(jobs.load_jobs("toy"))]


def test_steps_without_inputs_run_by_number(project):
    assert order_steps(project) == ["01", "02", "03"]


def test_an_input_in_a_key_or_a_value_decides_the_order(project):
    order = order_steps(
        project, s01="{outputs/toy/03_third/x.csv: a}", s02="{a: outputs/toy/01_first}"
    )
    assert order == ["03", "01", "02"]


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ("02_second", "01_first", "makes a cycle: toy/0._[a-z]+ needs toy/0._[a-z]+ needs toy/0"),
        ("03_third", "01_firs", "names no step; did you mean 01_first"),
    ],
)
def test_inputs_that_cannot_be_produced_are_rejected(first, second, problem, project):
    sources = {"s01": f"{{a: outputs/toy/{first}/x}}", "s02": f"{{a: outputs/toy/{second}/x}}"}
    with pytest.raises(jobs.PlanError, match=problem):
        order_steps(project, **sources)


def test_an_input_of_a_step_without_params_file_is_rejected(project):
    order_steps(project, s02="{a: outputs/toy/01_first/x}")
    (project.root / "params/toy/01_first.yaml").unlink()
    with pytest.raises(jobs.PlanError, match="needs 01_first, but params/toy/01_first.yaml does"):
        jobs.sort_jobs(jobs.load_jobs("toy"))


def test_a_missing_data_file_is_reported_before_a_kernel_starts(project, capsys):
    order_steps(project, s01="{a: medqa@data/public/x.jsonl}")
    assert cli.main(["run", "toy", "01"]) == 2
    assert "data/public/x.jsonl does not exist" in capsys.readouterr().err


def test_steps_are_selected_by_name_or_two_digits(project):
    order_steps(project)
    loaded = jobs.load_jobs("toy")
    selected = jobs.select_jobs(loaded, ["03_third", "01"])
    assert [job.step for job in selected] == ["01_first", "03_third"]
    with pytest.raises(jobs.PlanError, match="toy has no step 03_thrid; did you mean 03_third"):
        jobs.select_jobs(loaded, ["01", "03_thrid"])


def test_the_study_of_the_fault_drill_is_valid(tmp_path, monkeypatch):
    toy = toy_study.Toy(tmp_path / "toy", toy_study.OURS)
    toy.build()
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(toy.root))
    assert [job.step for job in jobs.load_jobs("toy")] == list(toy_study.NOTEBOOKS)


def test_a_file_that_is_read_with_an_input_is_an_input(project):
    for name in ("kg.csv", "kg.templates.csv", "kg_readings.csv", "r.sqlite", "r_readings.csv"):
        project.file(f"data/{name}", "")
    order_steps(project, s01="{a: triples@data/kg.csv}", s02="{ledger: data/r.sqlite}")
    inputs = [job.inputs for job in jobs.load_jobs("toy")]
    assert inputs == [
        ["data/kg.csv", "data/kg.templates.csv"],
        ["data/r.sqlite", "data/r_readings.csv"],
        [],
    ]


def test_the_recipes_that_step_10_compares_are_its_inputs():
    """Otherwise `status` would not see that one of them has changed since."""
    job = jobs.load_job("published", "10_published")
    recipes = [f"params/{study}/02_sft_qlora.yaml" for study in job.params["recipes"]]
    assert job.inputs == sorted(recipes)
    assert [*jobs.check_files(job), *jobs.check_cycle([job])] == []
    assert job.find_dependencies() == []
