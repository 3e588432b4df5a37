"""The staged project: links to everything, results of its own, stand-ins for what is missing."""

from pathlib import Path

import nbformat
import pytest

from clinical_camel.core.paths import root
from clinical_camel.rehearse.stage import is_here, open_stage, staged_root
from clinical_camel.runner.jobs import Job


@pytest.fixture
def staged(project):
    """A project with results of two studies, and its stage."""
    project.notebook("02_sft_qlora", 'study: str = "a"', "print(study)")
    project.file("params/a/02_sft_qlora.yaml", "study: a")
    project.file("outputs/a/01_dbke/dialogues.jsonl", "{}\n")
    project.file("outputs/a/.02_sft_qlora.partial/run.json", "{}")
    project.file("outputs/b/01_dbke/dialogues.jsonl", "{}\n")
    project.file("data/public/x.jsonl", "{}\n")
    project.file("my/articles.jsonl", "{}\n")
    with open_stage("a", paid=False) as stage:
        yield project, stage


def list_files(folder) -> dict:
    return {f: f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_files_of_the_project_are_there_and_unfinished_runs_are_not(staged):
    _, stage = staged
    for path in ("params/a/02_sft_qlora.yaml", "my/articles.jsonl", "data/public/x.jsonl"):
        assert (stage.folder / path).is_file()
    assert (stage.folder / "outputs/b/01_dbke/dialogues.jsonl").is_file()
    assert (stage.folder / "outputs/a/01_dbke/dialogues.jsonl").is_file()
    assert not (stage.folder / "outputs/a/.02_sft_qlora.partial").exists()


def test_what_a_rehearsal_writes_changes_nothing_in_the_project(staged):
    project, stage = staged
    before = list_files(project.root / "outputs/a") | list_files(project.root / "outputs/b")
    job = Job("a", "01_dbke", {})
    result = stage.begin_step(job)
    result.mkdir()
    (result / "run.json").write_text("{}", encoding="utf-8")
    other = stage.open_folder(Path("outputs/b/02_sft_qlora"))
    (other / "adapter.json").write_text("{}", encoding="utf-8")
    stage.end_step(job)
    after = list_files(project.root / "outputs/a") | list_files(project.root / "outputs/b")
    assert after == before
    assert (stage.folder / "outputs/a/01_dbke/dialogues.jsonl").is_file()  # the project's own again


def test_the_stage_is_deleted_and_the_project_is_not(project):
    project.file("outputs/a/01_dbke/dialogues.jsonl", "{}\n")
    folders = []

    def fail(stage) -> None:
        folders.append(stage.folder)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), open_stage("a", paid=False) as stage:
        fail(stage)
    assert not folders[0].exists()
    assert (project.root / "outputs/a/01_dbke/dialogues.jsonl").is_file()


def test_a_paid_reply_goes_to_the_ledger_of_the_study(project):
    with open_stage("a", paid=True) as stage:
        (stage.folder / "outputs/a/.01_dbke.persistent/ledger.sqlite").write_text("a reply")
    assert (project.root / "outputs/a/.01_dbke.persistent/ledger.sqlite").read_text() == "a reply"


def test_the_notebook_gets_one_cell_after_its_parameters(staged):
    project, stage = staged
    task_file = stage.folder / "task.json"
    place = stage.folder / stage.write_notebook("02_sft_qlora", task_file)
    cells = [cell.source for cell in nbformat.read(place, 4).cells if cell.cell_type == "code"]
    assert cells[0] == 'study: str = "a"'
    assert f"rehearse.take_part('{task_file}')" in cells[1]
    assert cells[2] == "print(study)"
    original = nbformat.read(project.root / "notebooks/02_sft_qlora.ipynb", 4)
    assert len(original.cells) == len(cells)  # with its title, one cell fewer than the copy


def test_the_root_is_that_of_the_stage_and_then_again_that_of_the_project(staged):
    project, stage = staged
    with staged_root(stage.folder):
        assert root() == stage.folder
        assert is_here("mini_exam")
        assert is_here("x@data/public/x.jsonl")
        assert not is_here("outputs/c/01_dbke/dialogues.jsonl")
        assert not is_here("medqa_us")
    assert root() == project.root


def test_missing_sets_of_a_mixture_are_replaced_by_dialogues(staged):
    _, stage = staged
    missing = "outputs/c/01_dbke/dialogues.jsonl"
    params = {"mixture": {"mini_chat": 0.5, missing: 0.2}, "loss_on_all": [missing]}
    params |= {"max_length": 400, "batch_size": 2}
    facts = {"row_tokens": 200}
    with staged_root(stage.folder):
        changed = stage.replace_mixture(params, facts)
        stand_in = "stand_ins/outputs_c_01_dbke_dialogues.jsonl"
        assert changed["mixture"] == {"mini_chat": 0.5, stand_in: 1.0}
        assert changed["loss_on_all"] == [stand_in]
        assert is_here(stand_in)
    assert facts["rows_complete"] is False
    assert stage.remarks == [f"02_sft_qlora: {missing} not on this machine: dialogues stand in"]


def test_exams_that_are_elsewhere_are_left_out_or_replaced(staged):
    _, stage = staged
    params = {
        "benchmarks": ["medqa_us", "mini_exam"],
        "exemplars": {"medqa_us": "medqa_us_train", "mini_exam": "mini_exam_train"},
        "compare_with": {"c": "outputs/c/03_eval_fewshot/scores.csv"},
    }
    with staged_root(stage.folder):
        changed = stage.replace_exams(Job("a", "03_eval_fewshot", params), params)
        assert changed["benchmarks"] == ["mini_exam"]
        assert changed["exemplars"] == {"mini_exam": "mini_exam_train"}
        assert changed["compare_with"] == {}
        elsewhere = params | {"benchmarks": ["medqa_us"]}
        changed = stage.replace_exams(Job("a", "03_eval_fewshot", elsewhere), elsewhere)
        assert changed["benchmarks"] == ["mini_exam"]
    assert "medqa_us" in stage.remarks[0]
