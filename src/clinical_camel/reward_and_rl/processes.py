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
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from clinical_camel.core.settings import AT_ONCE_VARIABLE
from clinical_camel.reward_and_rl.settings import RULE, RewardAndRl

SPARE_SECONDS = 60.0  # for a process with one job more
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

    A process that fails, or needs more than twice the time of this one, leaves jobs undone; one
    whose parent ends is ended.
    """
    context = multiprocessing.get_context("fork" if count > 1 else None)
    others = [
        context.Process(target=_train_share, args=(jobs[i::count], train, os.getpid()), daemon=True)
        for i in range(1, count)
    ]
    try:
        for process in others:
            process.start()
        started = time.monotonic()
        for job in jobs[::count]:
            train(*job)
        latest = SPARE_SECONDS + 2 * (time.monotonic() - started)  # more means that it hangs
        for process in others:
            process.join(max(0.0, latest - (time.monotonic() - started)))
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()


def _train_share(jobs: Sequence[tuple], train: Callable[..., object], parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        for job in jobs:  # the parent prints its own progress
            train(*job)
