"""Checkpoints by time, and after SIGTERM: a checkpoint at the end of the step, or a clean stop."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from tests.support.project import Project
from tests.support.toy_training import toy_recipe
from transformers import TrainerCallback

from clinical_camel import models, sft_qlora
from clinical_camel.runner import execution
from clinical_camel.sft_qlora import interruption

REPOSITORY = Path(__file__).parents[2]


class Terminate(TrainerCallback):
    """Sends SIGTERM to this process during a step; the step then takes so many seconds."""

    def __init__(self, step: int, seconds: float = 0.0) -> None:
        self.step, self.seconds = step, seconds

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        if state.global_step + 1 == self.step:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(self.seconds)


def train(tokenized, folder, *callbacks, **changes):
    recipe = toy_recipe(save_steps=100, **changes)
    base, tokenizer = models.load_base("mini"), models.load_tokenizer("mini")
    return sft_qlora.train(base, tokenizer, tokenized, recipe, folder=folder, callbacks=callbacks)


def list_steps(folder) -> list[int]:
    return sorted(int(f.name.rpartition("-")[2]) for f in folder.glob("checkpoints-*/check*"))


def test_sigterm_saves_a_checkpoint_after_the_step_and_the_training_resumes(
    tokenized, tmp_path, capsys
):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(sft_qlora.TrainingError, match="ended at step 3 of 12"):
        train(tokenized, tmp_path, Terminate(3))
    assert list_steps(tmp_path) == [3]
    assert signal.getsignal(signal.SIGTERM) is before
    _, log = train(tokenized, tmp_path)
    assert "resuming from checkpoint-3" in capsys.readouterr().out
    _, undisturbed = train(tokenized, tmp_path / "other")
    assert list(log["loss"]) == list(undisturbed["loss"])


def test_a_training_that_is_stopped_at_every_step_has_the_log_of_an_undisturbed_one(
    tokenized, tmp_path
):
    """Runs of one step: the count of tokens of a run may then exceed that of the run before."""
    for step in range(1, 12):
        with pytest.raises(sft_qlora.TrainingError, match=f"ended at step {step} of 12"):
            train(tokenized, tmp_path, Terminate(step))
    _, log = train(tokenized, tmp_path)
    _, undisturbed = train(tokenized, tmp_path / "other")
    pd.testing.assert_frame_equal(log, undisturbed, check_exact=True)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no timer signal")
def test_a_step_that_does_not_end_in_time_is_stopped_without_a_checkpoint(
    tokenized, tmp_path, monkeypatch
):
    monkeypatch.setattr(interruption, "MARGIN", 4.9)  # of 5 s: 0.1 s remain
    with pytest.raises(KeyboardInterrupt, match="did not end in time"):
        train(tokenized, tmp_path, Terminate(2, seconds=30.0))
    assert list_steps(tmp_path) == []
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_checkpoint_is_saved_after_so_many_minutes_without_one(tokenized, tmp_path, monkeypatch):
    clock = SimpleNamespace(monotonic=iter(range(0, 10**6, 10)).__next__)
    monkeypatch.setattr(interruption, "time", clock)
    saved: list[int] = []

    class Record(TrainerCallback):
        def on_save(self, args, state, control, **kwargs) -> None:
            saved.append(state.global_step)

    # the clock shows 10 s more at every look: one per step, and one per save
    train(tokenized, tmp_path, Record(), save_minutes=0.5)
    assert saved == [3, 6, 9, 12]


def test_without_minutes_only_save_steps_decides(tokenized, tmp_path):
    train(tokenized, tmp_path)
    assert list_steps(tmp_path) == [12]


@pytest.mark.parametrize("text", ["soon", "4", "31", "nan"])
def test_a_notice_that_is_not_allowed_is_refused_before_the_first_step(
    text, tokenized, tmp_path, monkeypatch
):
    monkeypatch.setenv(interruption.NOTICE, text)
    with pytest.raises(ValueError, match=f"{interruption.NOTICE}: '{text}' is no number from 5"):
        interruption.read_notice()
    monkeypatch.setenv(interruption.NOTICE, "30")
    assert interruption.read_notice() == 30
    assert interruption.LONGEST <= execution.STOP_TIME


def test_a_second_sigterm_does_not_interrupt_the_last_save():
    with interruption.Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        stop.is_saving = True
        stop._give_up()
        assert stop.requested


def start_training(root: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "clinical_camel", "run", "toy", "02"]
    environment = os.environ | {"CLINICAL_CAMEL_ROOT": str(root), interruption.NOTICE: "30"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=root, env=environment, text=True, **pipes)


@pytest.fixture
def training_of(tmp_path):
    """Start step 02 in a project of its own; processes that remain are killed at the end."""
    params = yaml.safe_load((REPOSITORY / "params/mini_camel/02_sft_qlora.yaml").read_text())
    params |= {"mixture": {"mini_chat": 0.1}, "num_epochs": 20.0, "lora_rank": 4, "save_steps": 5}
    processes: list[subprocess.Popen] = []

    def start(name: str) -> subprocess.Popen:
        if not (tmp_path / name).exists():
            project = Project(tmp_path / name)
            (project.root / "notebooks").rmdir()
            (project.root / "notebooks").symlink_to(REPOSITORY / "notebooks")
            project.params("toy", "02_sft_qlora", yaml.safe_dump(params | {"study": "toy"}))
        processes.append(start_training(tmp_path / name))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


def finish(process: subprocess.Popen, code: int) -> None:
    output = process.communicate(timeout=120)[0]
    assert process.returncode == code, output


@pytest.mark.notebook
def test_sigterm_to_the_runner_saves_a_checkpoint_in_the_kernel_and_the_same_command_resumes(
    training_of, tmp_path
):
    """The whole way: runner, papermill, kernel, notebook, trainer."""
    process, outputs = training_of("stopped"), tmp_path / "stopped/outputs/toy"
    partial, deadline = outputs / ".02_sft_qlora.partial", time.monotonic() + 120
    while not list(partial.glob("checkpoints-*/checkpoint-*/manifest.json")):  # written last
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    finish(process, 143)
    stopped = (outputs / ".02_sft_qlora.partial.ipynb").read_text(encoding="utf-8")
    assert "SIGTERM: stops after this step, with a checkpoint" in stopped
    last, steps = map(int, re.search(r"ended at step (\d+) of (\d+)", stopped).groups())
    assert list_steps(partial)[-1] == last < steps
    finish(training_of("stopped"), 0)
    finish(training_of("undisturbed"), 0)
    others = tmp_path / "undisturbed/outputs/toy"
    for folder, is_resumed in ((outputs, True), (others, False)):
        text = (folder / "02_sft_qlora.ipynb").read_text(encoding="utf-8")
        assert (f"resuming from checkpoint-{last}" in text) == is_resumed
    logs = [pd.read_csv(folder / "02_sft_qlora/train_log.csv") for folder in (outputs, others)]
    pd.testing.assert_frame_equal(*logs, check_exact=True)
