"""The faults of the toy study of drills/runner.py, imported by its notebooks and processes.

Environment variables choose the fault, so that notebooks and parameters are the same in the run
with the fault and in the run after it.
"""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

FILLER = "filler"  # the file that fills the small disk


def pay(name: str) -> str:
    """Simulate a paid reply: one line in the ledger, and a long text that names the round."""
    with Path(os.environ["TOY_LEDGER"]).open("a") as ledger:
        ledger.write(f"{name}\n")
    sys.audit("toy.append")  # counted as a write: the journal keeps its file open
    return os.environ["TOY_ROUND"] * 5000  # more than a block, or a full disk still takes it


def inject(place: str) -> None:
    """Cause the fault that TOY_FAULT names for this place, if any."""
    fault_place, _, fault = os.environ.get("TOY_FAULT", "").partition(":")
    if fault_place != place:
        return
    if fault == "raise":
        raise ValueError("the reply is empty")
    if fault == "exit":
        sys.exit(0)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "os_exit":
        os._exit(0)
    _report_ready()
    if fault == "wait":
        time.sleep(120)
    while fault == "pause" and not Path(os.environ["TOY_LEDGER"]).with_name("go").exists():
        time.sleep(0.05)
    while fault == "ignore interrupts":
        try:
            time.sleep(120)
        except KeyboardInterrupt:
            continue
    if fault == "hold the interpreter":
        sum(range(10**12))  # no other thread of this process runs meanwhile


def _report_ready() -> None:
    partial = Path(os.environ["TOY_LEDGER"]).with_name("ready.tmp")
    partial.write_text(str(os.getpid()))
    partial.replace(partial.with_name("ready"))


def install() -> None:
    """Called in every Python process of the toy, at its start (sitecustomize)."""
    if "TOY_NO_KERNEL" in os.environ:
        sys.modules.update(ipykernel=None, ipykernel_launcher=None)
    if "TOY_DISK" in os.environ:
        sys.addaudithook(_Disk())


class _Disk:
    """Counts the writes below a folder over all processes; the disk is full from one of them on.

    If TOY_DISK is a small file system, a filler file fills it. Otherwise this hook raises ENOSPC.
    """

    def __init__(self) -> None:
        self.folder = os.environ["TOY_DISK"]
        self.full_at = int(os.environ["TOY_FULL_AT"])
        self.real = os.environ["TOY_DISK_IS_REAL"] == "1"
        self.counter = Path(self.folder).with_name("writes")
        self.busy = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.busy or not self._is_write(event, arguments):
            return
        self.busy = True
        try:
            number = self._count_write()
            if number == self.full_at and self.real:
                self._fill()
            if number >= self.full_at and not self.real:
                raise OSError(28, "No space left on device (simulated)")
        finally:
            self.busy = False

    def _is_write(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event != "open":
            return event == "toy.append"
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        if not writes or not isinstance(path, str | bytes):
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(f"{self.folder}/")  # noqa: PTH100

    def _count_write(self) -> int:
        with self.counter.open("a+") as counter:
            fcntl.flock(counter, fcntl.LOCK_EX)
            counter.write(".")
            return counter.tell()

    def _fill(self) -> None:
        with Path(self.folder, FILLER).open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                return
