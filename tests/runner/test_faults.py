"""The runner under faults that test_runs.py does not meet: one instance of each.

`make drill` meets every variant of them, and stock papermill beside.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.support import toy_study
from tests.support.project import Project

from clinical_camel import data
from clinical_camel.core import files
from clinical_camel.runner import execution, jobs, state, study
from clinical_camel.runs import rules

# no torch and no seaborn in these kernels: they take two seconds to import
CELLS = (
    "import sys\nsys.modules.update(torch=None, seaborn=None)\nfrom pathlib import Path\n"
    "from clinical_camel import runs\nrun = runs.start(study, '01_dbke', 0)",
    "journal = run.journal('replies', key=1)\n"
    "for name in 'abcdef':\n"
    "    if name not in journal.done:\n"
    "        with open('ledger', 'a') as ledger:\n"
    "            ledger.write(name)\n"
    "        journal.append(name, name)\n"
    "    if len(journal.done) == 3 and Path('hang').exists():\n"
    "        Path('hang').rename('hanging')\n"
    "        sum(range(10**12))  # no other thread of this process runs meanwhile",
    "def full_disk(event, arguments):\n"
    "    if event == 'open' and 'rows.jsonl' in str(arguments[0]) and Path('full').exists():\n"
    "        raise OSError(28, 'No space left on device')\n"
    "sys.addaudithook(full_disk)\n"
    "run.save_rows([*journal.done], 'rows')",
    "run.finish('six replies')",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A study of one step that pays for six replies, and has run."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.notebook("01_dbke", "study: str = 'mini_camel'", *CELLS)
    project.params("toy", "01_dbke", "study: toy\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLINICAL_CAMEL_ROOT", str(project.root))
        assert study.main(["run", "toy"]) == 0
    (project.root / "ledger").unlink()
    return project.root


def test_the_study_of_the_drill_passes_the_checks_of_the_runner(tmp_path, monkeypatch):
    toy = toy_study.Toy(tmp_path / "toy", toy_study.OURS)
    toy.build()
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(toy.root))
    monkeypatch.setattr(rules, "datasets", data)  # as python -m clinical_camel has it
    assert [job.step for job in jobs.load_jobs("toy")] == list(toy_study.NOTEBOOKS)


def status() -> str:
    return state.state_of(jobs.load_job("toy", "01_dbke")).status


def result(project: Project) -> dict[str, bytes]:
    place = project.root / "outputs/toy"
    files = [place / "01_dbke.ipynb", *sorted((place / "01_dbke").iterdir())]
    return {file.name: file.read_bytes() for file in files}


def paid(project: Project) -> str:
    return (project.root / "ledger").read_text()


# ------------------------------------------------------------------ a kernel that cannot start


def test_a_kernel_that_cannot_start_is_not_called_out_of_memory(done, monkeypatch, capfd):
    before = result(done)
    done.file("broken/ipykernel_launcher.py", "raise ImportError('no module named zmq')\n")
    path = os.pathsep.join([str(done.root / "broken"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    assert study.main(["run", "toy", "--force"]) == 3
    told = capfd.readouterr().out
    assert "kernel died" in told
    assert "before its first cell" in told
    assert "memory" not in told
    assert result(done) == before


def test_a_missing_ipykernel_comes_with_its_remedy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    error = RuntimeError("Kernel died before replying to kernel_info")
    failure = execution._as_step_failed(error, tmp_path / "side.ipynb")
    assert failure.status == "failed"
    assert "pip install -r requirements.lock" in failure.reason


def test_the_kernel_is_this_interpreter_whatever_kernelspec_is_called_python3(done, monkeypatch):
    spec = {"argv": ["/gone/bin/python", "{connection_file}"], "display_name": "Python 3"}
    done.file("jupyter/kernels/python3/kernel.json", json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(done.root / "jupyter"))
    assert study.main(["run", "toy", "--force"]) == 0
    assert status() == "complete"


# ------------------------------------------------------------------------------- a full disk


def test_a_disk_that_is_full_in_the_kernel_loses_no_reply_and_no_earlier_result(done, capsys):
    before = result(done)
    done.file("full", "")
    assert study.main(["run", "toy", "--force"]) == 1
    assert "No space left on device" in capsys.readouterr().out
    assert (status(), result(done)) == ("failed", before)
    (done.root / "full").unlink()
    assert study.main(["run", "toy"]) == 0
    assert (status(), paid(done)) == ("complete", "abcdef")


def test_a_notebook_torn_by_a_full_disk_is_neither_published_nor_pointed_to(done, monkeypatch):
    from papermill import engines

    before, saves = result(done), []

    def save(notebook, path):
        saves.append(path)
        if len(saves) > 4:
            Path(path).write_text('{"cells": [')
            raise OSError(28, "No space left on device")
        engines_write(notebook, path)

    engines_write = engines.write_ipynb
    monkeypatch.setattr(engines, "write_ipynb", save)
    assert study.main(["run", "toy", "--force"]) == 1
    reason = state.state_of(jobs.load_job("toy", "01_dbke")).reason
    assert "No space left on device" in reason
    assert "failed.ipynb" not in reason
    assert result(done) == before


def test_a_disk_that_is_full_at_the_last_record_leaves_the_earlier_result(done, monkeypatch):
    def write(file, value):
        if value["status"] == "complete":
            raise OSError(28, "No space left on device")
        real(file, value)

    before, real = result(done), state.write_json
    with monkeypatch.context() as patch:
        patch.setattr(state, "write_json", write)
        assert study.main(["run", "toy", "--force"]) == 1
    assert (status(), result(done)) == ("failed", before)
    assert study.main(["run", "toy"]) == 0
    assert paid(done) == "abcdef"


def test_a_full_disk_names_the_file_that_found_no_room(done, monkeypatch, capsys):
    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_room)
    assert study.main(["run", "toy", "--force"]) == 1
    assert "No space left on device: '.lock.json'" in capsys.readouterr().err
    assert status() == "complete"  # nothing was begun


def test_a_run_whose_output_nobody_can_take_still_runs(done):
    command = [sys.executable, "-m", "clinical_camel", "run", "toy"]
    with Path("/dev/full").open("w") as full:
        assert subprocess.call(command, stdout=full, stderr=full) == 0


# ---------------------------------------------------------------- a runner that is killed


def test_a_run_after_sigkill_ends_the_kernel_left_behind_and_pays_for_nothing_twice(done, capsys):
    before = result(done)
    done.file("hang", "")
    command = [sys.executable, "-m", "clinical_camel", "run", "toy", "--force"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (done.root / "hanging").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    kernel = psutil.Process(
        json.loads((done.root / "outputs/toy/.01_dbke.lock.json").read_text())["pid"]
    )
    process.kill()
    process.wait()
    try:
        assert (status(), result(done)) == ("interrupted", before)
        assert kernel.is_running()  # it never looks for its parent
        assert study.main(["run", "toy"]) == 0
        assert not kernel.is_running()
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            kernel.kill()
    assert f"ended process {kernel.pid}" in capsys.readouterr().out
    assert (status(), paid(done)) == ("complete", "abcdef")


def test_a_kernel_of_jupyterlab_is_not_ended(done):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    facts = {"pid": other.pid, "process_started": psutil.Process(other.pid).create_time()}
    done.file("outputs/toy/.01_dbke.lock.json", json.dumps({**facts, "runner": ""}))
    assert study.main(["run", "toy"]) == 0
    assert other.poll() is None
    other.kill()
    other.wait()


class Killed(BaseException):
    """Stands in for SIGKILL: nothing of the runner's own handles it."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def test_a_kill_after_finish_leaves_the_replies_to_the_next_run(done, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(study, "_check", kill)
        pytest.raises(Killed, study.main, ["run", "toy", "--force"])
        patch.setattr(state, "alive", lambda record: False)
        assert status() == "interrupted"
    assert study.main(["run", "toy"]) == 0
    assert (status(), paid(done)) == ("complete", "abcdef")


def test_a_kill_before_the_last_rename_costs_no_second_run(done, monkeypatch, capsys):
    old = result(done)["01_dbke.ipynb"]
    with monkeypatch.context() as patch:
        patch.setattr(study, "_published", kill_at_second_call(study._published))
        pytest.raises(Killed, study.main, ["run", "toy", "--force"])
    assert result(done)["01_dbke.ipynb"] == old
    assert study.main(["run", "toy"]) == 0
    assert "already complete" in capsys.readouterr().out
    assert result(done)["01_dbke.ipynb"] != old


def kill_at_second_call(function):
    calls = []

    def wrapped(job):
        calls.append(job)
        return function(job) if len(calls) == 1 else kill()

    return wrapped


# ------------------------------------------------------------------- a session that is closed


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    numbers: list[int] = []
    monkeypatch.setattr(execution, "_send", numbers.append)
    return numbers


def test_the_end_of_an_ssh_session_stops_a_run_like_sigterm(sent):
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    try:
        with execution.Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.press()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert stop.name == "SIGHUP"
    assert sent == [signal.SIGTERM]


def test_under_nohup_the_end_of_a_session_stops_nothing(sent):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with execution.Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            stop.press()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (stop.name, sent) == ("", [])
