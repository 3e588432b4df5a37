"""A run after a runner was killed: its kernel ends, and nothing is lost or paid twice."""

import contextlib
import json
import subprocess
import sys
import time

import psutil
import pytest
from tests.support.two_steps import find_status, read_ledger, read_result, run_first

from clinical_camel.runner import jobs, recovery, state, study
from clinical_camel.runs.machine import describe_process


def test_a_run_after_sigkill_ends_the_orphaned_kernel_and_pays_nothing_twice(done, capsys):
    before = read_result(done)
    done.file("hang", "")
    command = [sys.executable, "-m", "clinical_camel", "run", "toy", "01", "--force"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (done.root / "hanging").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    lock = json.loads((done.root / "outputs/toy/.01_first.lock.json").read_text())
    kernel = psutil.Process(lock["pid"])
    process.kill()
    process.wait()
    try:
        assert (find_status(), read_result(done)) == ("interrupted", before)
        assert kernel.is_running()  # it never checks its parent
        assert run_first() == 0
        assert not kernel.is_running()
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            kernel.kill()
    assert f"ended process {kernel.pid}" in capsys.readouterr().out
    assert (find_status(), read_ledger(done)) == ("complete", "abcdef")


def test_a_kernel_of_jupyterlab_is_not_ended(done):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    holder = {"pid": other.pid, "process_started": psutil.Process(other.pid).create_time()}
    done.file("outputs/toy/.01_first.lock.json", json.dumps({**holder, "runner": ""}))
    assert run_first() == 0
    assert other.poll() is None
    other.kill()
    other.wait()


def test_only_the_result_of_the_failed_attempt_is_moved(done, monkeypatch):
    """Clocks may jump, so an attempt is recognized by its name, not by its time."""
    monkeypatch.chdir(done.root)
    job, final = jobs.load_job("toy", "01_first"), done.root / "outputs/toy/01_first"
    attempt = json.loads((final / "run.json").read_text())["attempt"]
    for other in ("", "another"):
        recovery.restore_result(job, other)
        assert final.exists()
    recovery.restore_result(job, attempt)
    assert not final.exists()
    assert final.with_name(".01_first.partial").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"runner": "1"}', '{"runner": "1", "pid": "x"}'])
def test_a_damaged_lock_file_ends_no_process(content, done, monkeypatch):
    monkeypatch.chdir(done.root)
    done.file("outputs/toy/.01_first.lock.json", content)
    job = jobs.load_job("toy", "01_first")
    assert recovery.clean_up(job, done.root / "no.ipynb") == ""


def test_a_later_process_with_the_same_number_is_another_one():
    process = describe_process(psutil.Process())
    assert state.is_alive(process)
    assert not state.is_alive(process | {"process_started": process["process_started"] - 60})


class Killed(BaseException):
    """Simulates SIGKILL: no code of the runner handles it."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def test_a_kill_after_finish_loses_no_reply(done, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(study, "_finish_notebook", kill)
        pytest.raises(Killed, run_first, "--force")
        patch.setattr(state, "is_alive", lambda record: False)
        assert find_status() == "interrupted"
    assert run_first() == 0
    assert (find_status(), read_ledger(done)) == ("complete", "abcdef")


def test_a_kill_before_the_last_rename_needs_no_second_run(done, monkeypatch, capsys):
    before = read_result(done)["01_first.ipynb"]
    with monkeypatch.context() as patch:
        function = kill_at_second_call(study._published_notebook)
        patch.setattr(study, "_published_notebook", function)
        pytest.raises(Killed, run_first, "--force")
    assert read_result(done)["01_first.ipynb"] == before
    assert run_first() == 0
    assert "already complete" in capsys.readouterr().out
    assert read_result(done)["01_first.ipynb"] != before


def kill_at_second_call(function):
    calls = []

    def wrapped(job):
        calls.append(job)
        return function(job) if len(calls) == 1 else kill()

    return wrapped
