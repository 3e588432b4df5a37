"""When a checkpoint is saved besides every `save_steps` steps: by time, and before a machine stops.

A provider that takes a machine back sends SIGTERM, and kills it 5 s (RunPod) to 30 s later. The
training then ends its step, saves a checkpoint and stops. If the step does not end in time, it
stops without: the earlier checkpoints are complete, and a run resumes from the newest.
"""

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from transformers import TrainerCallback

from clinical_camel.sft_qlora import data_parallel

NOTICE = "CLINICAL_CAMEL_NOTICE"  # seconds between SIGTERM and the end of the machine
SHORTEST, LONGEST = 5.0, 30.0  # seconds; the runner kills a kernel that takes longer
MARGIN = 1.0  # seconds that remain for the kernel to end


class Stop:
    """Whether SIGTERM has arrived; a context around a training, in the main thread.

    `requested`: the training must end. `is_saving`: its last checkpoint is being written, and is
    not interrupted.
    """

    def __init__(self) -> None:
        self.requested = self.is_saving = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        if self.requested and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, *_: int | FrameType | None) -> None:
        if self.requested:  # the runner sends it again
            return
        self.requested = True
        if not hasattr(signal, "setitimer"):  # Windows
            raise KeyboardInterrupt("SIGTERM")
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._give_up)
        signal.setitimer(signal.ITIMER_REAL, read_notice() - MARGIN)
        print("SIGTERM: stops after this step, with a checkpoint", flush=True)

    def _give_up(self, *_: int | FrameType | None) -> None:
        if not self.is_saving:
            raise KeyboardInterrupt("SIGTERM: the step did not end in time")


def read_notice() -> float:
    """Return the seconds that a step may take after SIGTERM: NOTICE, SHORTEST without it.

    Raises ValueError for a value that is no number from SHORTEST to LONGEST.
    """
    text = os.environ.get(NOTICE, "") or str(SHORTEST)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError(f"{NOTICE}: {text!r} is no number from {SHORTEST:g} to {LONGEST:g}")
    return seconds


class Saver(TrainerCallback):
    """Asks the trainer for a checkpoint after `minutes` without one (0: never), and after SIGTERM.

    The main process decides for all: every process takes part in a save.
    """

    def __init__(self, minutes: float, stop: Stop) -> None:
        self.seconds, self.stop = 60 * minutes, stop

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        read_notice()  # a wrong value is an error now, not at the end of the machine
        self.saved_at = time.monotonic()

    def on_save(self, args, state, control, **kwargs) -> None:
        self.saved_at = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        is_due, must_stop = data_parallel.run_on_main(self._decide)
        if must_stop:
            control.should_training_stop = self.stop.is_saving = True
        if is_due or must_stop:
            control.should_save = True

    def _decide(self) -> tuple[bool, bool]:
        waited = time.monotonic() - self.saved_at
        return bool(self.seconds) and waited >= self.seconds, self.stop.requested
