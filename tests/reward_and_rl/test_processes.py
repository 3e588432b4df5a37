"""Trainings in several processes: every job once, also if one process fails or ends."""

import os
import time
from pathlib import Path

import pytest
import torch
from tests.support.processes import run_until_killed
from tests.support.toy_policies import toy_material, toy_settings

from clinical_camel.reward_and_rl import processes, training
from clinical_camel.reward_and_rl.settings import RewardAndRl

COUNT = processes.count_processes  # before the fixture of this folder
KILLED = """
import os, signal, sys, time
from pathlib import Path
import torch
from tests.support.toy_policies import load_sft, toy_material
from tests.reward_and_rl.test_processes import two_trainings
from clinical_camel.reward_and_rl import processes, training

adapter, folder, mark = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
parent = os.getpid()

def kill_after_step(self, step, *rest):
    original(self, step, *rest)
    if step == 3 and os.getpid() != parent:
        mark.touch()
        time.sleep(600)
    if step == 3:
        end = time.monotonic() + 300
        while not mark.exists():
            if time.monotonic() > end:
                sys.exit("the other training did not reach step 3")
            time.sleep(0.01)
        os.kill(parent, signal.SIGKILL)

original, training.Monitor.finish_step = training.Monitor.finish_step, kill_after_step
processes.count_processes = lambda *_: 2
torch.set_num_threads(1)
training.train_policies(load_sft(adapter), toy_material(), two_trainings(adapter), folder)
"""


def two_trainings(adapter):
    return toy_settings(adapter, methods=["ppo", "rloo"], rl_steps=5, save_steps=2)


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_job_is_done_once_by_two_processes(tmp_path):
    def train(number):
        with (tmp_path / str(number)).open("a") as file:
            file.write(f"{os.getpid()}\n")

    processes.share_jobs([(i,) for i in range(5)], train, 2)
    lines = [(tmp_path / str(i)).read_text().splitlines() for i in range(5)]
    assert [len(own) for own in lines] == [1] * 5
    assert len({own[0] for own in lines}) == 2
    assert [own[0] == str(os.getpid()) for own in lines] == [True, False, True, False, True]


def test_a_process_that_fails_leaves_its_jobs_undone(tmp_path, capfd):
    parent = os.getpid()

    def train(number):
        if os.getpid() != parent:
            raise MemoryError("planted")
        (tmp_path / str(number)).touch()

    processes.share_jobs([(i,) for i in range(4)], train, 2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0", "2"]
    assert "planted" in capfd.readouterr().err


def test_an_interrupted_study_ends_the_other_processes(tmp_path):
    parent = os.getpid()

    def train(number):
        if os.getpid() == parent:
            while not (tmp_path / "pid").exists():
                time.sleep(0.01)
            raise KeyboardInterrupt
        (tmp_path / "new").write_text(str(os.getpid()))
        (tmp_path / "new").rename(tmp_path / "pid")
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        processes.share_jobs([(0,), (1,)], train, 2)
    status = Path(f"/proc/{(tmp_path / 'pid').read_text()}/status")
    deadline = time.monotonic() + 10
    while status.exists() and "(zombie)" not in status.read_text():
        assert time.monotonic() < deadline, "the other process is still there"
        time.sleep(0.05)


def test_policies_of_two_processes_are_those_of_one(
    one_thread, sft, sft_folder, tmp_path, monkeypatch
):
    methods, seeds = ["ppo", "rloo"], [0, 1]
    settings = toy_settings(sft_folder, methods=methods, seeds=seeds, rl_steps=2, eval_steps=2)
    tables = []
    for count in (1, 2):
        monkeypatch.setattr(processes, "count_processes", lambda *_, count=count: count)
        folder = tmp_path / str(count)
        tables.append(training.train_policies(sft, toy_material(), settings, folder))
    one, two = tables
    assert one.replies.equals(two.replies)
    assert one.steps.equals(two.steps)
    assert one.exams.equals(two.exams)


def test_two_trainings_at_once_that_are_killed_end_in_the_numbers_of_undisturbed_ones(
    one_thread, sft, sft_folder, tmp_path, monkeypatch, capsys
):
    """The parent is killed while both are in step 3; the other process ends with it."""
    killed, settings = tmp_path / "killed", two_trainings(sft_folder)
    run_until_killed(KILLED, sft_folder, killed, tmp_path / "mark")
    saved = [folder.parts[-3] for folder in sorted(killed.rglob("checkpoint-2"))]
    assert saved == ["ppo_0", "rloo_0"]
    assert not list(killed.rglob("training.json"))
    complete = training.train_policies(sft, toy_material(), settings, tmp_path / "complete")
    capsys.readouterr()
    monkeypatch.setattr(processes, "count_processes", lambda *_: 2)
    resumed = training.train_policies(sft, toy_material(), settings, killed)
    assert "resuming from checkpoint-2" in capsys.readouterr().out
    for name in ("steps", "replies", "exams"):
        assert getattr(resumed, name).equals(getattr(complete, name)), name
    assert list(resumed.trainings["steps"]) == [5, 5]


def test_one_process_per_core_unless_copies_are_impossible(one_thread, monkeypatch):
    settings = RewardAndRl(study="x")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert COUNT(settings, 25) == 4
    assert COUNT(settings, 3) == 3
    monkeypatch.setenv(processes.AT_ONCE_VARIABLE, "2")
    assert COUNT(settings, 25) == 2
    assert COUNT(settings.model_copy(update={"gold": "judge"}), 25) == 1
    torch.set_num_threads(2)
    assert COUNT(settings, 25) == 1


def test_a_process_that_hangs_is_ended_and_leaves_its_jobs(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "IDLE_SECONDS", 0.2)
    parent, started = os.getpid(), time.monotonic()
    processes.share_jobs([(0,), (1,)], lambda _: os.getpid() == parent or time.sleep(60), 2)
    assert time.monotonic() - started < 30


def test_a_process_that_takes_much_longer_than_this_one_is_not_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "IDLE_SECONDS", 1.0)
    parent = os.getpid()

    def train(number):
        while os.getpid() != parent and time.process_time() < 3:
            pass
        (tmp_path / str(number)).touch()

    processes.share_jobs([(0,), (1,)], train, 2)
    assert (tmp_path / "1").exists()


def test_finished_trainings_are_not_shared_among_the_processes(
    sft, sft_folder, tmp_path, monkeypatch
):
    settings = toy_settings(sft_folder, methods=["ppo"], seeds=[0, 1], rl_steps=1, eval_steps=1)
    training.train_policies(sft, toy_material(), settings, tmp_path)
    (tmp_path / "ppo_1/training.json").unlink()
    shared = []
    monkeypatch.setattr(processes, "share_jobs", lambda jobs, *_: shared.extend(jobs))
    tables = training.train_policies(sft, toy_material(), settings, tmp_path)
    assert shared == [(2, "ppo", 1)]
    assert list(tables.trainings["seed"]) == [0, 1]
