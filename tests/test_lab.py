"""`make lab`: copies of the notebooks, this machine only, as root where it is root."""

import os
import re
import shutil
import subprocess
import sys
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
    for name in ("notebooks", "docs/teaching"):
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
    assert (checkout / "lab/teaching/exercises/01_dbke.ipynb").is_file()
    copy.write_text("my work")
    make(checkout, "lab")
    assert copy.read_text() == "my work"
    assert notebook.read_bytes() == before


def test_lab_fills_an_empty_folder(checkout):
    (checkout / "lab").mkdir()  # in a container: the volume that keeps the answers
    make(checkout, "lab")
    assert (checkout / "lab/01_dbke.ipynb").is_file()
    assert (checkout / "lab/teaching/quiz.md").is_file()


def test_the_links_of_the_copies_lead_to_files(checkout):
    make(checkout, "lab")
    broken = []
    for file in sorted((checkout / "lab").rglob("*.*")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", file.read_text(encoding="utf-8")):
            path = Path(os.path.normpath(file.parent / target)).relative_to(checkout)
            if not any((folder / path).exists() for folder in (checkout, ROOT)):
                broken.append(f"{file.relative_to(checkout)}: {target}")
    assert broken == []


def test_without_make_the_same_copies_are_made(checkout):
    page = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    command = re.search(r'^python -c "(import shutil; .+)"$', page, re.MULTILINE)[1]
    make(checkout, "lab")
    (checkout / "lab").rename(checkout / "expected")
    subprocess.run([sys.executable, "-c", command], cwd=checkout, check=True)
    names = [
        sorted(file.relative_to(folder) for file in folder.rglob("*"))
        for folder in (checkout / "expected", checkout / "lab")
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize("target", ["study", "results", "smollm2", "test", "lab", "site", "slides"])
def test_every_command_of_make_is_in_the_manual(checkout, target):
    page = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    commands = re.findall(
        r"^\.venv/bin/(python -m [\w.]+(?: \w+)*)", make(checkout, "-n", target), re.M
    )
    assert commands
    assert [command for command in commands if command not in page] == []


INDEX = "https://download.pytorch.org/whl/cpu"


@pytest.mark.parametrize(
    ("arguments", "installed"),
    [
        ([], ["--requirement requirements.lock"]),
        (["TORCH_INDEX="], ["--requirement requirements.lock"]),
        (
            [f"TORCH_INDEX={INDEX}"],
            [f'--index-url "{INDEX}" "$(grep \'^torch==\' requirements.lock)"'],
        ),
    ],
)
def test_torch_comes_first_from_its_index_if_there_is_one(checkout, arguments, installed):
    (checkout / ".venv/.ready").unlink()
    lines = make(checkout, "-n", ".venv/.ready", *arguments).splitlines()
    packages = [line.split("--quiet ")[1] for line in lines if "pip install" in line][1:-1]
    assert packages == [*dict.fromkeys([*installed, "--requirement requirements.lock"])]


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
