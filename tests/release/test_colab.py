"""The set-up cell of the notebooks: on Colab a clone and the pinned packages, elsewhere nothing."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from clinical_camel.release import colab

ROOT = Path(__file__).parents[2]
SCRIPT = "src/clinical_camel/release/colab.py"


def run_cell(address: str, folder: Path, is_colab: bool = True) -> subprocess.CompletedProcess:
    """Run the cell as a program of its own, with `folder` for Colab's folder of the project."""
    cell = colab.setup_cell(address).replace("/content/clinical_camel", str(folder))
    before = "import sys; sys.modules['google.colab'] = sys\n" if is_colab else ""
    code = f"{before}{cell}\nprint('next cell', os.getcwd())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository whose set-up script asks for a restart the first time."""
    folder = tmp_path / "origin"
    script = folder / SCRIPT
    script.parent.mkdir(parents=True)
    script.write_text(
        "import pathlib, sys\nmark = pathlib.Path(__file__).with_name('installed')\n"
        "code = 0 if mark.exists() else 1\nmark.touch()\nsys.exit(code)\n"
    )
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    return folder


def test_outside_colab_the_cell_does_nothing(tmp_path):
    done = run_cell("", tmp_path / "clone", is_colab=False)
    assert done.returncode == 0
    assert done.stdout.split(maxsplit=2)[2].strip() == str(Path.cwd())
    assert not (tmp_path / "clone").exists()


def test_on_colab_the_cell_clones_asks_for_a_restart_and_then_goes_on(repository, tmp_path):
    folder = tmp_path / "clone"
    first = run_cell(str(repository), folder)
    assert first.returncode == 1
    assert "see the message above" in first.stderr
    assert "next cell" not in first.stdout
    second = run_cell(str(repository), folder)
    assert second.returncode == 0, second.stderr
    assert f"next cell {folder}" in second.stdout


def test_without_an_address_the_cell_stops(tmp_path):
    done = run_cell("", tmp_path / "clone")
    assert done.returncode == 1
    assert "git" in done.stderr
    assert "next cell" not in done.stdout


def test_colabs_own_jupyter_stays_as_it_is():
    names = {line.partition("==")[0] for line in colab.list_requirements(ROOT)}
    assert names.isdisjoint({"jupyterlab", "ipykernel"})
    assert {"torch", "trl", "papermill"} <= names


def test_packages_of_another_version_or_none_are_missing(monkeypatch):
    versions = {"torch": "2.13.0+cu130", "numpy": "2.4.5", "lm-eval": "0.4.13"}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError
        return versions[name]

    monkeypatch.setattr(colab.metadata, "version", version)
    wanted = ["torch==2.13.0", "numpy==2.4.6", "lm-eval[hf]==0.4.13", "trl==1.16.0"]
    assert colab.list_missing(wanted) == ["numpy==2.4.6", "trl==1.16.0"]


@pytest.mark.parametrize(("missing", "code"), [([], 0), (["trl==1.16.0"], 1)])
def test_the_script_installs_what_is_missing_and_then_asks_for_a_restart(
    missing, code, monkeypatch, capsys
):
    commands = []
    monkeypatch.setattr(colab, "list_missing", lambda _: missing)
    monkeypatch.setattr(colab.metadata, "version", lambda _: "0.1.0")
    monkeypatch.setattr(colab.subprocess, "run", lambda command, check: commands.append(command))
    assert colab.main(ROOT) == code
    if not missing:
        assert not commands
        return
    assert commands[0][-1] == "trl==1.16.0"
    assert commands[1][-3:] == ["--no-deps", "--editable", str(ROOT)]
    assert "Restart session" in capsys.readouterr().out


def test_the_script_needs_no_package_but_python():
    """Colab runs it before anything is installed."""
    code = f"import runpy; runpy.run_path({str(ROOT / SCRIPT)!r}); print('read')"
    command = [sys.executable, "-I", "-S", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "read\n"
