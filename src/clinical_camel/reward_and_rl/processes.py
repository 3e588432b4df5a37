"""Trainings by several processes at once, on the cores of a CPU.

A training of a small model keeps one core busy. The processes are copies of this one, so they need
no time to load the model; what they leave in the folders of their trainings is read afterwards.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import torch

from clinical_camel.core.settings import AT_ONCE_VARIABLE
from clinical_camel.reward_and_rl.settings import RULE, RewardAndRl

IDLE_SECONDS = 60.0  # without processor time: a process that hangs
CHECKS = 60  # of a process in that time
PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets when its parent ends


def count_processes(settings: RewardAndRl, jobs: int) -> int:
    """Return how many processes train at once: one for each core of this run, at most `jobs`.

    One on a GPU, with a model that uses several threads (a copy of a process has no threads), with
    a judge, whose ledger only one process may have open, and outside Linux.
    """
    can_copy = sys.platform == "linux" and not torch.cuda.is_available()
    if not can_copy or torch.get_num_threads() > 1 or settings.gold != RULE:
        return 1
    cores = len(os.sched_getaffinity(0)) // int(os.environ.get(AT_ONCE_VARIABLE, 1))
    return max(1, min(cores, jobs))


def share_jobs(jobs: Sequence[tuple], train: Callable[..., object], count: int) -> None:
    """Call `train(*job)` for every job, in `count` processes; return when all have ended.

    A process that fails, or hangs after this one is ready, leaves jobs undone; one whose parent
    ends is ended.
    """
    context = multiprocessing.get_context("fork" if count > 1 else None)
    others = [
        context.Process(target=_train_share, args=(jobs[i::count], train, os.getpid()), daemon=True)
        for i in range(1, count)
    ]
    try:
        for process in others:
            process.start()
        for job in jobs[::count]:
            train(*job)
        for process in others:
            _wait(process)
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()


def _wait(process: multiprocessing.Process) -> None:
    """Return when a process has ended, or has used no processor time for IDLE_SECONDS.

    How long a training takes says nothing: one method takes many times as long as another.
    """
    used, idle = -1.0, 0
    with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
        while process.is_alive() and idle < CHECKS:
            process.join(IDLE_SECONDS / CHECKS)
            times = psutil.Process(process.pid).cpu_times()
            idle = idle + 1 if times.user + times.system == used else 0
            used = times.user + times.system


def _train_share(jobs: Sequence[tuple], train: Callable[..., object], parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        for job in jobs:  # the parent prints its own progress
            train(*job)
