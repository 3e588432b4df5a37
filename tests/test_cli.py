"""The command line: wrong params files of every kind are rejected before a kernel starts."""

import pytest
from tests.support import bad_params
from tests.support.bad_params import STEPS, STUDY
from tests.support.project import Project

from clinical_camel import cli
from clinical_camel.runner import jobs


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy")
    bad_params.copy_project(root)
    return root


@pytest.fixture
def params_folder(copy, monkeypatch):
    """The params folder of the embedded study in a copy, restored after the test."""
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(copy))
    folder = copy / "params" / STUDY
    good = {file: file.read_bytes() for file in folder.glob("*.yaml")}
    yield folder
    for file, content in good.items():
        file.write_bytes(content)


def test_the_undamaged_study_is_valid(params_folder):
    assert [job.step for job in jobs.sort_jobs(jobs.load_jobs(STUDY))] == STEPS


def test_the_number_of_cases_does_not_shrink():
    assert len(STEPS) == 5
    assert len(bad_params.KINDS) >= 89
    assert len(bad_params.TEACHER_KINDS) >= 12


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
    """Five cases at once, since all problems of a study come in one message."""
    require_rejection(params_folder, bad_params.KINDS[name], STEPS, capsys)


@pytest.mark.parametrize("name", bad_params.TEACHER_KINDS)
def test_a_wrong_teacher_is_rejected(name, params_folder, capsys):
    require_rejection(params_folder, bad_params.TEACHER_KINDS[name], STEPS[:1], capsys)


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


def test_a_relative_root_is_made_absolute_for_kernels(one_step, monkeypatch):
    monkeypatch.chdir(one_step.root.parent)
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", one_step.root.name)
    assert cli.main(["list"]) == 0
    assert cli.os.environ["CLINICAL_CAMEL_ROOT"] == str(one_step.root)
