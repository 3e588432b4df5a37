"""What the runner prints: the progress of a step, and tables of steps and runs."""

import contextlib
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import shorten
from typing import TextIO

from clinical_camel.core.files import read_json
from clinical_camel.runner.jobs import Job
from clinical_camel.runner.state import State
from clinical_camel.runs import launch


def echo(text: object = "", end: str = "\n", file: TextIO | None = None) -> None:
    """Print in the main process; a closed terminal or a full disk does not stop the run."""
    if launch.rank():
        return
    with contextlib.suppress(OSError):
        print(text, end=end, file=file, flush=True)


class ProgressLine:
    """The progress of one step: rewritten in place on a terminal, plain lines elsewhere."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.on_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._next_update = 0.0
        self._is_running = False

    def print(self, text: str) -> None:
        """Print a line that stays."""
        echo(f"{self.label}  {text}")

    def update(self, notebook: Path, clock: float) -> None:
        """Show that the step runs; on a terminal once a second, with the number of the cell."""
        if not self._is_running and not self.on_terminal:
            self.print("running …")
        self._is_running = True
        if self.on_terminal and time.monotonic() >= self._next_update:
            self._next_update = time.monotonic() + 1
            elapsed = time.monotonic() - clock
            echo(f"\r\x1b[K{self.label}  {_find_cell(notebook)}  {elapsed:.0f} s", end="")

    def finish(self, state: State) -> None:
        """Print how the step ended."""
        clear = "\r\x1b[K" if self.on_terminal and self._is_running else ""
        already = "" if self._is_running else "already "
        seconds = f"{state.seconds:5.0f} s"
        echo(f"{clear}{self.label}  {already}{state.status} {seconds}   {describe(state)}")


def describe(state: State) -> str:
    """Return the headline of a complete step, or the reason of another state."""
    text = state.headline if state.status == "complete" else state.reason
    change = f"  (code changed since {state.commit}; --force re-runs)" if state.commit else ""
    return f"{text}{change}"


def _find_cell(notebook: Path) -> str:
    cells = [c for c in read_json(notebook).get("cells", []) if c.get("cell_type") == "code"]
    executed = sum(c.get("execution_count") is not None for c in cells)
    return f"cell {executed}/{len(cells)}" if cells else "starting"


def print_steps(jobs: Sequence[Job], states: Sequence[State]) -> None:
    """Print one row per step: status, seconds, result or reason, notebook."""
    rows: list[tuple[str, ...]] = [("step", "status", "seconds", "result", "notebook")]
    for job, state in zip(jobs, states, strict=True):
        has_failed = state.status in ("failed", "incomplete", "kernel died", "ended")
        name = f".{job.step}.failed.ipynb" if has_failed else f"{job.step}.ipynb"
        notebook = f"outputs/{job.study}/{name}"
        seconds = f"{state.seconds:.0f}" if state.seconds else ""
        result = shorten(describe(state), 90, placeholder=" …")
        shown = notebook if Path(notebook).exists() else ""
        rows.append((job.step, state.status, seconds, result, shown))
    print_rows(rows)


def print_rows(rows: Iterable[Sequence[str]]) -> None:
    """Print a table with aligned columns; the first row has their names."""
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        echo("  ".join(cells).rstrip())
