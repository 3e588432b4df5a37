"""The command line: wrong params files of every kind are rejected before a kernel starts."""

import shutil
import time

import pytest
from tests.support import bad_params
from tests.support.bad_params import STEPS, STUDY, iter_step_cases
from tests.support.project import Project

from clinical_camel import cli
from clinical_camel.runner import places, study
from clinical_camel.runner.jobs import load_jobs, sort_jobs
from clinical_camel.runner.sweep import load_sample
from clinical_camel.runs.params_files import list_studies

STEP_CASES = {f"{step[:2]} {name}": (step, kind) for name, step, kind in iter_step_cases()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy")
    bad_params.copy_project(root)
    return root


@pytest.fixture
def params_folder(copy, monkeypatch):
    """The params folder of the embedded study in a copy, restored after the test."""
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(copy))
    monkeypatch.setattr(study, "run_jobs", lambda *_: pytest.fail("a kernel would have started"))
    folder = copy / "params" / STUDY
    good = {file: file.read_bytes() for file in folder.glob("*.yaml")}
    yield folder
    shutil.rmtree(copy / "outputs", ignore_errors=True)
    for file, content in good.items():
        file.write_bytes(content)


def test_the_undamaged_study_is_valid(params_folder):
    assert [job.step for job in sort_jobs(load_jobs(STUDY))] == STEPS


def test_the_number_of_cases_does_not_shrink():
    assert len(STEPS) == 6
    assert len(bad_params.KINDS) >= 89
    assert len(STEP_CASES) >= 185


def require_rejection(folder, kind, steps, capsys) -> None:
    """Damage the params files of these steps: each is named with its key, and nothing runs."""
    expected = {step: bad_params.damage(folder / f"{step}.yaml", kind) for step in steps}
    assert cli.main(["run", STUDY]) == 2
    lines = capsys.readouterr().err.splitlines()
    for step, message in expected.items():
        file = f"params/{STUDY}/{step}.yaml: "
        assert [line for line in lines if line.startswith(file) and message in line], (step, lines)
    assert not (folder.parents[1] / "outputs").exists()


@pytest.mark.parametrize("name", bad_params.KINDS)
def test_a_wrong_params_file_is_rejected_in_every_step(name, params_folder, capsys):
    """Six cases at once, since all problems of a study come in one message."""
    require_rejection(params_folder, bad_params.KINDS[name], STEPS, capsys)


@pytest.mark.parametrize("name", STEP_CASES)
def test_a_value_that_no_run_could_use_is_rejected(name, params_folder, capsys, monkeypatch):
    monkeypatch.setattr(places, "has_gpu", lambda: False)
    step, kind = STEP_CASES[name]
    started = time.process_time()
    require_rejection(params_folder, kind, [step], capsys)
    assert time.process_time() - started < 3


# ------------------------------------------------------------------------------- the arguments


@pytest.fixture
def one_step(project) -> Project:
    project.notebook("01_first", "study: str = ''", "print(study)")
    project.params("toy", "01_first", "study: toy\n")
    return project


def test_steps_may_follow_an_option(one_step, capsys):
    assert cli.main(["run", "toy", "--force", "09"]) == 2
    assert "toy has no step 09" in capsys.readouterr().err


def test_an_unknown_option_is_rejected(one_step, capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(["run", "toy", "--forces"])
    assert error.value.code == 2
    assert "unrecognized arguments: --forces" in capsys.readouterr().err


def test_a_number_of_jobs_that_is_none_is_rejected(one_step, capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "toy", "--jobs", "0"])
    assert "'0' is not a number from 1 to 1000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "number"),
    [("--tasks", "-5"), ("--tasks", "0"), ("--workers", "-3"), ("--workers", "many")],
)
def test_a_number_of_tasks_or_workers_that_is_none_is_rejected(option, number, one_step, capsys):
    with pytest.raises(SystemExit):
        cli.main(["synthesise", "toy", f"{option}={number}"])
    assert f"'{number}' is not a number from 1 to 1000" in capsys.readouterr().err


def test_a_relative_root_is_made_absolute_for_kernels(one_step, monkeypatch):
    monkeypatch.chdir(one_step.root.parent)
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", one_step.root.name)
    assert cli.main(["list"]) == 0
    assert cli.os.environ["CLINICAL_CAMEL_ROOT"] == str(one_step.root)


def test_a_root_that_is_no_project_and_another_clone_are_named(one_step, monkeypatch, capsys):
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(one_step.root / "params"))
    assert cli.main(["list"]) == 2
    assert capsys.readouterr().err.startswith(f"{one_step.root}/params: no project, since it has")
    monkeypatch.delenv("CLINICAL_CAMEL_ROOT")
    monkeypatch.chdir(one_step.file("src/clinical_camel/cli.py", "").parent)
    assert cli.main(["list"]) == 2
    message = f"{one_step.root}: another clone than the one that Python imports, {cli.root()}; "
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize("command", [["run", "toy"], ["plan", "toy"]])
@pytest.mark.parametrize("rate", ["nan", "inf", "-5", "-inf", "free", "1e400"])
def test_a_rate_that_is_no_price_is_rejected(rate, command, one_step, capsys):
    with pytest.raises(SystemExit) as error:
        cli.main([*command, f"--rate={rate}"])
    assert error.value.code == 2
    assert f"'{rate}' is not a number of 0 or more" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "status", "plan", "doctor", "card", "synthesise"])
@pytest.mark.parametrize(
    ("study", "message"),
    [
        ("toi", "params/toi: no such study; did you mean toy?"),
        ("../toy", "params/.."),
        ("bad name", "params/bad name: not a name for a study; rename the folder"),
        ("ending", "params/ending/01_first.yml: rename it to 01_first.yaml"),
    ],
)
def test_a_name_of_no_study_is_rejected_at_once(study, message, command, one_step, capsys):
    one_step.params("bad name", "01_first", "study: bad name\n")
    one_step.file("params/ending/01_first.yml", "study: ending\n")
    one_step.file("params/toy/01_first.yaml~", "a backup of an editor")
    assert cli.main([command, study]) == 2
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize(
    ("command", "function", "name"),
    [
        (["merge", "toy", "out"], "_release", "folder"),
        (["plan", "toy", "--config", "out"], "_plan", "config"),
    ],
)
def test_a_path_is_relative_to_the_folder_of_the_caller(
    command, function, name, one_step, monkeypatch
):
    folder = one_step.root / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    seen = []
    monkeypatch.setattr(cli, function, lambda options: seen.append(options) or 0)
    assert cli.main(command) == 0
    assert str(getattr(seen[0], name)) == str(folder / "out")


@pytest.mark.parametrize("study", list_studies())
def test_the_studies_of_this_project_contradict_nothing(study):
    assert load_sample(study)  # of a sweep, the first run of each arm
