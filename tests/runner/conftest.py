"""For the tests of the runner: a study that has run, once for all of them, and copies of it."""

import shutil
from pathlib import Path

import pytest
from tests.support import two_steps
from tests.support.project import Project

from clinical_camel import cli


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The project of `two_steps` after a complete run; its ledger is empty again."""
    project = Project(tmp_path_factory.mktemp("finished"))
    two_steps.build(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLINICAL_CAMEL_ROOT", str(project.root))
        assert cli.main(["run", "toy"]) == 0
    (project.root / "ledger").unlink()
    return project.root


@pytest.fixture
def done(finished, tmp_path, monkeypatch) -> Project:
    """A copy of the `finished` project, free to be changed."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path / "copy"))
    return Project(tmp_path / "copy")
