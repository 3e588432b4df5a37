"""Processor time of this process, and of all others.

Without torch: a step that needs none (01 by rules) would otherwise take more memory when rehearsed.
"""

import contextlib
import os
from pathlib import Path

import psutil

STAT = Path("/proc/stat")  # Linux: ticks in which the cores worked, since the machine started


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

    0.0 on a system without /proc/stat: its machine counts as idle. The time in which a virtual
    machine waited for its host (steal) is the work of others.
    """
    try:
        fields = STAT.read_text().partition("\n")[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _iowait, *rest = map(int, fields)
    ticks = user + nice + system + sum(rest[:3])  # irq, softirq, steal; user has those of guests
    return ticks / os.sysconf("SC_CLK_TCK") - measure_own_work()
