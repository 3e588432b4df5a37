"""`make lab`: copies of the notebooks, this machine only, as root where it is root."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The Makefile with an environment that is ready, and programs that only print."""
    if not shutil.which("make"):
        pytest.skip("no make on this machine")
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("notebooks", "docs/teaching/exercises", "docs/teaching/solutions"):
        shutil.copytree(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "python $@"\n')
    python.chmod(0o755)
    ready = tmp_path / ".venv/.ready"
    ready.touch()
    os.utime(ready, (2**31, 2**31))
    return tmp_path


def make(folder: Path, *arguments: str, user: int = 1000) -> str:
    """Run make as a user with this number; return what it prints."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "id").write_text(f"#!/bin/sh\necho {user}\n")
    (programs / "id").chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    command = ["make", "-C", str(folder), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_lab_opens_copies_and_keeps_them(checkout):
    notebook = checkout / "notebooks/01_dbke.ipynb"
    before = notebook.read_bytes()
    assert "--LabApp.default_url=/lab/tree/lab" in make(checkout, "lab")
    copy = checkout / "lab/01_dbke.ipynb"
    assert copy.read_bytes() == before
    assert (checkout / "lab/exercises/01_dbke.ipynb").is_file()
    copy.write_text("my work")
    make(checkout, "lab")
    assert copy.read_text() == "my work"
    assert notebook.read_bytes() == before


@pytest.mark.parametrize("folder", ["lab/", "site/"])
def test_what_make_writes_is_not_in_git(folder):
    assert f"\n{folder}" in (ROOT / ".gitignore").read_text().replace("\n/", "\n")


@pytest.mark.parametrize(("user", "flag"), [(0, True), (1000, False)])
def test_root_is_allowed_only_where_it_is_root(checkout, user, flag):
    assert ("--allow-root" in make(checkout, "lab", user=user)) == flag


def test_lab_listens_to_this_machine_unless_told_otherwise(checkout):
    assert "--ip=127.0.0.1" in make(checkout, "lab")
    assert "--ip=10.0.0.5" in make(checkout, "lab", "LAB_IP=10.0.0.5")


def test_site_is_built_by_its_script(checkout):
    assert "python -m docs.site.build" in make(checkout, "site")
