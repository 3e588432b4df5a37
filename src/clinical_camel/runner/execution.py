"""Execute one notebook in one kernel with papermill, and report correctly how it ended.

Papermill marks every cell completed when the kernel died, and takes `sys.exit(0)` for success.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any

import lazy_loader
import psutil

from clinical_camel.core.paths import root
from clinical_camel.core.settings import Incomplete

nbformat = lazy_loader.load("nbformat")  # seconds to import, which `list` and `plan` do not need
LONGEST_OUTPUT = 80  # lines of a printed output in a published notebook
STOP_TIME = 30.0  # seconds in which a kernel must stop before it is killed
SWEEP = "CLINICAL_CAMEL_SWEEP"  # in the processes of a sweep: its pid; they end with it
RESEND_AFTER = 7.0  # seconds; an interrupt between two cells is lost, so it is sent repeatedly


class StepFailed(Exception):
    """A step that did not complete: `status` is failed, kernel died or interrupted."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class SignalForwarder:
    """Forwards SIGINT, SIGTERM and SIGHUP to the kernel; a context for the main thread.

    SIGHUP, the end of an ssh session, is forwarded as SIGTERM; under nohup it stays ignored.
    """

    def __init__(self) -> None:
        self.signum = 0
        self.received = 0  # signals so far
        self._sweep = int(os.environ.pop(SWEEP, 0))  # its kernels are not of the sweep
        self._received_at = self._sent_at = 0.0
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> SignalForwarder:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signum = getattr(signal, name, None)
            if signum is None:  # Windows has no SIGHUP
                continue
            is_ignored = name == "SIGHUP" and signal.getsignal(signum) is signal.SIG_IGN
            if not is_ignored:
                self._handlers[signum] = signal.signal(signum, self._receive)
        self._check_sweep()
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)

    def _receive(self, signum: int, _: object) -> None:
        self.received += 1
        if self.signum:  # a second signal: kill the kernel now
            self._received_at -= STOP_TIME
        else:
            self.signum, self._received_at = signum, time.monotonic()

    def _check_sweep(self) -> None:
        """Count the death of the sweep that started this process as SIGTERM."""
        if self._sweep and not self.signum:
            # Windows may start Python through a process between the two
            is_here = psutil.pid_exists if os.name == "nt" else os.getppid().__eq__
            if not is_here(self._sweep):
                self._receive(signal.SIGTERM, None)

    @property
    def name(self) -> str:
        """The name of the signal received, such as SIGTERM; "" for none."""
        return signal.Signals(self.signum).name if self.signum else ""

    def forward(self) -> bool:
        """Send a received signal to the kernels; return False if they have not ended in time."""
        self._check_sweep()
        if not self.signum:
            return True
        waited = time.monotonic() - self._received_at
        if waited > STOP_TIME:
            _signal_kernels(getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has no SIGKILL
        elif time.monotonic() - self._sent_at > RESEND_AFTER:
            self._sent_at = time.monotonic()
            _signal_kernels(signal.SIGINT if self.signum == signal.SIGINT else signal.SIGTERM)
        return waited < STOP_TIME + 10


def _signal_kernels(signum: int) -> None:
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if any("ipykernel" in word for word in child.cmdline()):
                child.send_signal(signum)


def execute(
    notebook: str,
    output: str,
    params: dict[str, Any],
    signals: SignalForwarder,
    show_progress: Callable[[], None],
) -> None:
    """Execute a notebook into `output`; both paths are relative to the root, which is the cwd.

    Papermill runs in a thread; the main thread handles signals and the progress line. Raises
    StepFailed.
    """
    errors: list[BaseException] = []

    def work() -> None:
        try:
            _run_papermill(notebook, output, params)
        except BaseException as error:  # of any kind: raised in the main thread
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive() and signals.forward():
        thread.join(0.1)
        show_progress()
    if signals.signum:
        raise StepFailed("interrupted", f"stopped by {signals.name}; running it again resumes")
    if errors:
        raise _convert_error(errors[0], Path(output)) from errors[0]


def _run_papermill(notebook: str, output: str, params: dict[str, Any]) -> None:
    import papermill  # imported late: it takes three seconds

    from clinical_camel.runner.kernel import OwnKernel

    logging.getLogger("papermill").setLevel(logging.ERROR)
    papermill.execute_notebook(
        notebook,
        output,
        parameters=params,
        kernel_name="python3",
        kernel_manager_class=OwnKernel,
        language="python",
        progress_bar=False,
        log_output=False,
        cwd=".",
        request_save_on_cell_execute=True,
        # a kernel would warn about its local TCP port and about the interrupt that ends it
        extra_arguments=["--log-level=50"],
    )


def _convert_error(error: BaseException, output: Path) -> StepFailed:
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        if error.ename == Incomplete.__name__:
            return StepFailed("incomplete", _clean_reason(error.evalue))
        text = _clean_reason(f"{error.ename}: {error.evalue}")
        return StepFailed("failed", f"In [{error.exec_count}]: {text}")
    if isinstance(error, DeadKernelError) or "Kernel died" in str(error):
        if last := _correct_statuses(output):
            return StepFailed(
                "kernel died", f"in In [{last}]; the usual cause is too little memory"
            )
        if not importlib.util.find_spec("ipykernel"):
            remedy = "pip install -r requirements.lock"
            return StepFailed("failed", f"no kernel: ipykernel is not installed; {remedy}")
        remedy = "python -m ipykernel_launcher --version may show why"
        return StepFailed("kernel died", f"before its first cell; {remedy}")
    place = f"{output.parent}: " if isinstance(error, OSError) else ""  # a full disk names none
    return StepFailed("failed", _clean_reason(f"{place}{type(error).__name__}: {error}"))


def _clean_reason(text: str) -> str:
    """Return an error's text in one line, without paths and control characters, shortened."""
    text = "".join(c if c.isprintable() else " " for c in text.replace(f"{root()}/", ""))
    return shorten(text, 500, placeholder=" …")


def _correct_statuses(output: Path) -> int:
    """Correct the marks of cells that did not run; return the number of the last one started."""
    try:
        notebook = nbformat.read(output, as_version=4)
    except Exception:  # a torn file raises many kinds; the dead kernel is what to report
        return 0
    cells = [c.metadata.get("papermill", {}) for c in notebook.cells if c.cell_type == "code"]
    started = [cell for cell in cells if cell.get("start_time")]
    for cell in cells:
        if cell not in started:
            cell["status"] = "pending"
    if started:
        started[-1]["status"] = "failed"
    with contextlib.suppress(OSError):  # a full disk
        nbformat.write(notebook, output)
    return len(started)


def find_early_end(notebook: nbformat.NotebookNode) -> int:
    """Return the number of the last cell that ran if later cells did not run, else 0."""
    cells = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    executed = [cell for cell in cells if cell.execution_count is not None]
    return len(executed) if len(executed) < len(cells) else 0


# ------------------------------------------------------------------------ the cleaned copy


def clean(notebook: nbformat.NotebookNode, source: str, published: str) -> nbformat.NotebookNode:
    """Make an executed notebook fit to publish: short outputs, no path of this machine.

    The cell of injected parameters is collapsed, as it repeats the one above it. `source` and
    `published` are the root-relative paths to record in the metadata; relative links are rewritten
    from the one folder to the other.
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("papermill", {}).update(input_path=source, output_path=published)
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.setdefault("jupyter", {})["source_hidden"] = True
        if cell.cell_type == "markdown":
            cell.source = move_links(cell.source, Path(source).parent, Path(published).parent)
        if cell.cell_type == "code":
            cell.outputs = [_clean_output(output) for output in _merge_streams(cell.outputs)]
            cell.outputs = [o for o in cell.outputs if o.get("text", "x") and o.get("data", "x")]
    return notebook


def move_links(text: str, before: Path, after: Path) -> str:
    """Rewrite the relative Markdown links of a text that moves from one folder to another.

    >>> move_links("[table](../benchmarks/x.csv) [top](#top)", Path("notebooks"), Path("outputs/a"))
    '[table](../../benchmarks/x.csv) [top](#top)'
    """

    def move(match: re.Match[str]) -> str:
        target = os.path.relpath(before / match[1], after)
        return f"]({Path(target).as_posix()}"

    return re.sub(r"\]\((?![a-z]+:|[#/])([^)\s#]+)", move, text)


def _merge_streams(outputs: list[Any]) -> list[Any]:
    """Merge adjacent outputs of one stream; progress bars write hundreds."""
    merged: list[Any] = []
    for output in outputs:
        last = merged[-1] if merged else None
        are_streams = last is not None and last.output_type == output.output_type == "stream"
        if are_streams and last.name == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def _clean_output(output: Any) -> Any:
    if output.output_type == "stream":
        output.text = shorten_lines(strip_paths(strip_rewritten(output.text)))
    elif output.output_type == "error":
        output.evalue = strip_paths(output.evalue)
        output.traceback = [strip_paths(line) for line in output.traceback]
    else:
        output.data.pop("application/vnd.jupyter.widget-view+json", None)
        for kind, value in output.data.items():
            if kind.startswith("text/") and isinstance(value, str):
                output.data[kind] = strip_paths(value)
    return output


def strip_rewritten(text: str) -> str:
    """Return text as a terminal shows it after carriage returns: the last state of each line.

    >>> strip_rewritten("10 %\\r50 %\\r100 %\\ndone\\n")
    '100 %\\ndone\\n'
    """
    lines = text.replace("\x1b[A", "").replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def shorten_lines(text: str, most: int = LONGEST_OUTPUT) -> str:
    """Return a printed text of at most `most` lines: the middle of a longer one is left out.

    >>> shorten_lines("1\\n2\\n3\\n4\\n5\\n", 3)
    '1\\n[3 lines are left out]\\n5\\n'
    """
    lines = text.splitlines(keepends=True)
    if len(lines) <= most:
        return text
    first, last = (most - 1) // 2, most - 1 - (most - 1) // 2
    more = f"[{len(lines) - most + 1} lines are left out]\n"
    return "".join([*lines[:first], more, *lines[len(lines) - last :]])


def strip_paths(text: str) -> str:
    """Return text without the paths of the project, the home directory and the kernel's cells."""
    home = Path.home().as_posix()
    for folder in sorted({root().as_posix(), root().resolve().as_posix()}, key=len, reverse=True):
        text = text.replace(f"{folder}/", "").replace(folder, ".")
    if home != "/":
        text = text.replace(f"{home}/", "~/")
    return re.sub(r"[^\s'\"(]*/ipykernel_\d+/", "", text)
