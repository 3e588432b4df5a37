"""Processor time of this process, and of all others.

Without torch: a step that needs none (01 by rules) would otherwise take more memory when rehearsed.
"""

import contextlib

import psutil


def measure_own_work() -> float:
    """Return the processor seconds of this process and of its children, finished ones included."""
    own = psutil.Process()
    seconds = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # a child may end meanwhile
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def measure_other_work() -> float:
    """Return the processor seconds of all other processes since the machine started.

    The time in which a virtual machine waited for its host (steal) is the work of others.
    """
    times = psutil.cpu_times()
    working = ("user", "nice", "system", "irq", "softirq", "steal")  # user has those of guests
    return sum(getattr(times, name, 0.0) for name in working) - measure_own_work()
