"""The time of training steps and of checkpoints; stops a training after some seconds."""

import time
from typing import Any

import torch
from transformers import TrainerCallback

from clinical_camel.sft_qlora.log import tabulate_history


class Stopwatch(TrainerCallback):
    """Times each optimizer step and each checkpoint, and stops with a checkpoint.

    It stops after at least `steps` steps and `seconds` seconds, both counted from the first step of
    this process. `times`: seconds of each step; `saves`: seconds of each checkpoint. `first_step`:
    above 0 if the training resumed; `all_steps`: of the complete training. `model`: the trained
    one; `log`: its table of steps.
    """

    def __init__(self, seconds: float, steps: int) -> None:
        self.seconds, self.steps = seconds, steps
        self.times: list[float] = []
        self.saves: list[float] = []
        self.first_step = self.all_steps = 0
        self.has_stopped = False
        self.model: Any = None
        self.log: Any = None

    def on_train_begin(self, args, state, control, model=None, **kwargs) -> None:
        self.first_step, self.all_steps, self.model = state.global_step, state.max_steps, model
        self.start = self.last = _now()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self._step_end = _now()
        self.times.append(self._step_end - self.last)
        self.last = self._step_end
        if len(self.times) >= self.steps and self.last - self.start >= self.seconds:
            self.has_stopped = control.should_save = control.should_training_stop = True

    def on_save(self, args, state, control, **kwargs) -> None:
        now = _now()
        self.saves.append(now - self._step_end)
        self.last = now

    def on_train_end(self, args, state, control, **kwargs) -> None:
        self.log = tabulate_history(state.log_history)


def _now() -> float:
    """Return the time once the device has finished what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic()
