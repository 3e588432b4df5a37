"""One notebook in one kernel: what papermill does, with the truth about how it ended.

Papermill calls every cell completed when the kernel died, and takes `sys.exit(0)` for success.
"""

import contextlib
import importlib.util
import logging
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil

from clinical_camel.core.paths import root

PATIENCE = 20.0  # seconds a kernel has to stop by itself
REPEAT = 7.0  # seconds; an interrupt that falls between two cells is lost, so it is sent again


class StepFailed(Exception):
    """A step that did not reach its end: `status` is failed, kernel died or interrupted."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Stop:
    """SIGINT, SIGTERM and SIGHUP, passed on to the kernel; a context for the main thread.

    SIGHUP, the end of an ssh session, counts as SIGTERM; under nohup it stays ignored.
    """

    def __init__(self) -> None:
        self.signum = 0
        self._since = self._sent = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signum = getattr(signal, name, None)  # Windows has no SIGHUP
            ignored = name == "SIGHUP" and signal.getsignal(signum) is signal.SIG_IGN
            if signum and not ignored:
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _: object) -> None:
        if self.signum:  # a second time: no more patience
            self._since -= PATIENCE
        else:
            self.signum, self._since = signum, time.monotonic()

    @property
    def name(self) -> str:
        """The signal that came, as SIGTERM; "" if none has."""
        return signal.Signals(self.signum).name if self.signum else ""

    def press(self) -> bool:
        """Signal the kernels; True while it is worth waiting for them to end."""
        if not self.signum:
            return True
        waited = time.monotonic() - self._since
        if waited > PATIENCE:
            _send(signal.SIGKILL)
        elif time.monotonic() - self._sent > REPEAT:
            self._sent = time.monotonic()
            _send(signal.SIGINT if self.signum == signal.SIGINT else signal.SIGTERM)
        return waited < PATIENCE + 10


def _send(signum: int) -> None:
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if any("ipykernel" in word for word in child.cmdline()):
                child.send_signal(signum)


def execute(
    notebook: str, side: str, params: dict[str, Any], stop: Stop, watch: Callable[[], None]
) -> None:
    """Run a notebook into the side file; both paths root-relative, the root being the cwd.

    The kernel is driven from a thread, so that signals and the progress line are served here.
    Raises StepFailed.
    """
    failures: list[BaseException] = []

    def work() -> None:
        try:
            _papermill(notebook, side, params)
        except BaseException as error:  # handed to the main thread, whatever it is
            failures.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    while worker.is_alive() and stop.press():
        worker.join(0.1)
        watch()
    if stop.signum:
        raise StepFailed("interrupted", f"stopped by {stop.name}; running it again resumes")
    if failures:
        raise _as_step_failed(failures[0], Path(side)) from failures[0]


def _papermill(notebook: str, side: str, params: dict[str, Any]) -> None:
    import papermill  # three seconds, so only when something is to be run

    from clinical_camel.runner.kernel import OwnKernel

    logging.getLogger("papermill").setLevel(logging.ERROR)
    papermill.execute_notebook(
        notebook,
        side,
        parameters=params,
        kernel_name="python3",
        kernel_manager_class=OwnKernel,
        language="python",
        progress_bar=False,
        log_output=False,
        cwd=".",
        request_save_on_cell_execute=True,
        # else a kernel warns about its local TCP port, and of the interrupt that ends it
        extra_arguments=["--log-level=50"],
    )


def _as_step_failed(error: BaseException, side: Path) -> StepFailed:
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        text = " ".join(f"{error.ename}: {error.evalue}".split())
        return StepFailed("failed", f"In [{error.exec_count}]: {text[:500]}")
    if isinstance(error, DeadKernelError) or "Kernel died" in str(error):
        if last := _mark_after_death(side):
            return StepFailed("kernel died", f"in In [{last}]; most often it was out of memory")
        if not importlib.util.find_spec("ipykernel"):
            remedy = "pip install -r requirements.lock"
            return StepFailed("failed", f"no kernel: ipykernel is not installed; {remedy}")
        remedy = "python -m ipykernel_launcher --version may say why"
        return StepFailed("kernel died", f"before its first cell; {remedy}")
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return StepFailed("failed", text.replace(f"{root()}/", "")[:500])


def _mark_after_death(side: Path) -> int:
    """Correct the cells that papermill calls completed; return the number of the last one begun."""
    try:
        notebook = nbformat.read(side, as_version=4)
    except Exception:  # whatever a torn side file raises: the death is still the news
        return 0
    facts = [c.metadata.get("papermill", {}) for c in notebook.cells if c.cell_type == "code"]
    begun = [fact for fact in facts if fact.get("start_time")]
    for fact in facts:
        if fact not in begun:
            fact["status"] = "pending"
    if begun:
        begun[-1]["status"] = "failed"
    with contextlib.suppress(OSError):  # a full disk
        nbformat.write(notebook, side)
    return len(begun)


def stopped_in(notebook: nbformat.NotebookNode) -> int:
    """The number of the last cell that ran, if not all did; 0 if all did."""
    code = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    ran = [cell for cell in code if cell.execution_count is not None]
    return len(ran) if len(ran) < len(code) else 0


# ------------------------------------------------------------------------ the cleaned copy


def clean(notebook: nbformat.NotebookNode, source: str, published: str) -> nbformat.NotebookNode:
    """An executed notebook as it may be published: short outputs, no path of this machine.

    `source` and `published` are the root-relative paths to record in the metadata.
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("papermill", {}).update(input_path=source, output_path=published)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_clean_output(output) for output in _merge_streams(cell.outputs)]
            cell.outputs = [o for o in cell.outputs if o.get("text", "x") and o.get("data", "x")]
    return notebook


def _merge_streams(outputs: list[Any]) -> list[Any]:
    """One output for neighbouring pieces of one stream; progress bars write hundreds."""
    merged: list[Any] = []
    for output in outputs:
        last = merged[-1] if merged else None
        stream = last is not None and last.output_type == output.output_type == "stream"
        if stream and last.name == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def _clean_output(output: Any) -> Any:
    if output.output_type == "stream":
        output.text = without_paths(without_rewrites(output.text))
    elif output.output_type == "error":
        output.evalue = without_paths(output.evalue)
        output.traceback = [without_paths(line) for line in output.traceback]
    else:
        output.data.pop("application/vnd.jupyter.widget-view+json", None)
        for kind, value in output.data.items():
            if kind.startswith("text/") and isinstance(value, str):
                output.data[kind] = without_paths(value)
    return output


def without_rewrites(text: str) -> str:
    """Text as a terminal would show it after a carriage return: the last state of each line.

    >>> without_rewrites("10 %\\r50 %\\r100 %\\ndone\\n")
    '100 %\\ndone\\n'
    """
    lines = text.replace("\x1b[A", "").replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def without_paths(text: str) -> str:
    """Text without the project's place, the home directory and the kernel's temporary names."""
    home = Path.home().as_posix()
    for place in sorted({root().as_posix(), root().resolve().as_posix()}, key=len, reverse=True):
        text = text.replace(f"{place}/", "").replace(place, ".")
    if home != "/":
        text = text.replace(f"{home}/", "~/")
    return re.sub(r"/tmp/ipykernel_\d+/", "", text)
