"""Run a study from its first step to its last, and print what is complete.

Exit codes: 0 all complete, 1 a step failed, 2 bad params or inputs, 3 a kernel died,
4 another runner holds the study, 129, 130 and 143 stopped by SIGHUP, SIGINT and SIGTERM.
"""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import TextIO

import nbformat
from filelock import FileLock, Timeout

from clinical_camel.core.files import now, read_json, write_bytes, write_json
from clinical_camel.core.paths import root
from clinical_camel.runner.execution import StepFailed, Stop, clean, execute, stopped_in
from clinical_camel.runner.jobs import (
    Job,
    PlanError,
    choose,
    load_job,
    load_jobs,
    missing_files,
    sort_jobs,
)
from clinical_camel.runner.recovery import recover, restore
from clinical_camel.runner.state import State, close_record, open_record, state_of
from clinical_camel.runner.summary import receipt
from clinical_camel.runs import launch
from clinical_camel.runs.notebooks import ParamsError
from clinical_camel.runs.params_files import studies

FAILED, BAD_INPUT, KERNEL_DIED, HELD = 1, 2, 3, 4
COMMAND = "python -m clinical_camel"


def say(text: object = "", end: str = "\n", file: TextIO | None = None) -> None:
    """Print, or do without: a closed terminal or a full disk under the log ends no paid run.

    A follower of a launcher says nothing: the leader says the same.
    """
    if launch.rank():
        return
    with contextlib.suppress(OSError):
        print(text, end=end, file=file, flush=True)


def show_list() -> int:
    """Print every study with the number of its complete steps; 2 if a params file is wrong."""
    code = 0
    for study in studies():
        try:
            jobs = load_jobs(study)
        except ParamsError as error:
            say(f"{study:<32} {len(str(error).splitlines())} problems in its params files")
            code = BAD_INPUT
            continue
        complete = sum(state_of(job).status == "complete" for job in jobs)
        say(f"{study:<32} {complete}/{len(jobs)} complete")
    return code


def show_status(study: str) -> int:
    """Print one line per step: what it is and why; 0 only if all are complete."""
    jobs = sort_jobs(load_jobs(study))
    states = [state_of(job) for job in jobs]
    _print_table(jobs, states)
    return 0 if all(state.status == "complete" for state in states) else FAILED


# ------------------------------------------------------------------------------- one study


def run_study(study: str, wanted: list[str], force: bool = False, rate: float = 0.0) -> int:
    """Run the steps of a study that are not complete; returns the exit code. Ends with a receipt.

    Raises ParamsError or PlanError before anything is started.
    """
    jobs = choose(sort_jobs(load_jobs(study)), wanted)
    if problems := list(launch.problems({job.step: job.params for job in jobs})):
        raise PlanError("\n".join(problems))
    if launch.rank():
        return _follow(jobs)
    problems = [line for job in jobs for line in (*missing_files(job), *_unready(job, jobs))]
    if problems:
        raise PlanError("\n".join(problems))
    try:
        with _only_runner(study), Stop() as stop:
            return _run_jobs(jobs, force, stop, rate)
    except BlockingIOError as error:
        say(error, file=sys.stderr)
        return HELD


def _follow(jobs: list[Job]) -> int:
    """What a follower does (see `launch`): the steps that the leader runs, in its own kernel."""
    with tempfile.TemporaryDirectory() as place, Stop() as stop:
        os.environ[launch.PLACE] = place
        for job in jobs:
            while not launch.told(job.step) and not stop.signum:
                time.sleep(0.1)
            side, source = Path(place, f"{job.step}.ipynb"), f"notebooks/{job.step}.ipynb"
            try:
                if launch.told(job.step) == "run":
                    execute(source, side.as_posix(), job.params, stop, lambda: None)
            except StepFailed as failure:
                how = "" if failure.status == "failed" else f"{failure.status} "
                if failure.status != "interrupted":
                    launch.tell("failed", f"rank {launch.rank()}: {how}{failure.reason}")
                return _exit_code(State(failure.status), stop)
        return 128 + stop.signum if stop.signum else 0


def _unready(job: Job, jobs: list[Job]) -> Iterator[str]:
    """Inputs made by a step that is neither to be run now nor complete."""
    planned = {(other.study, other.step) for other in jobs}
    for study, step in job.needs():
        if (study, step) not in planned:
            state = state_of(load_job(study, step))
            if state.status != "complete":
                why = f" ({state.reason})" if state.reason else ""
                yield (
                    f"{job.source}: needs {step} of {study}, which is {state.status}{why}; "
                    f"first {COMMAND} run {study} {step}"
                )


@contextlib.contextmanager
def _only_runner(study: str) -> Iterator[None]:
    """One runner per study; two studies side by side are fine. Raises BlockingIOError."""
    folder = root() / "outputs" / study
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / ".lock", thread_local=False), folder / ".lock.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pid = read_json(holder).get("pid", "unknown")
        raise BlockingIOError(f"{study} is being run by process {pid}; wait or stop it") from None
    try:
        write_json(holder, {"pid": os.getpid(), "started": now()})
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _run_jobs(jobs: list[Job], force: bool, stop: Stop, rate: float) -> int:
    code, states, ran = 0, [], []
    for i, job in enumerate(jobs, start=1):
        line = Line(f"[{i}/{len(jobs)}] {job.step}")
        if left := recover(job, _side(job)):
            line.say(left)
        state = state_of(job)
        if code or stop.signum:
            reason = "an earlier step did not complete" if code else f"stopped by {stop.name}"
            state = State("not started", reason)
        elif state.status == "complete" and not force:
            launch.tell(job.step, "skip")
            line.end(state)
        else:
            if state.status not in ("complete", "not run"):
                line.say(f"{state.status}: {state.reason}" if state.reason else state.status)
            launch.tell(job.step, "run")
            ran.append(job)
            state = _run_job(job, line, stop)
            line.end(state)
        code = code or _exit_code(state, stop)
        states.append(state)
    say()
    _print_table(jobs, states)
    if text := receipt(ran, rate):
        say(text)
    return code or (128 + stop.signum if stop.signum else 0)


def _exit_code(state: State, stop: Stop) -> int:
    codes = {"failed": FAILED, "kernel died": KERNEL_DIED, "interrupted": 128 + stop.signum}
    return codes.get(state.status, 0)


def _run_job(job: Job, line: "Line", stop: Stop) -> State:
    started, clock = now(), time.monotonic()
    record = open_record(job, started)
    side, source = _side(job), f"notebooks/{job.step}.ipynb"
    line.live(side, clock)
    try:
        execute(source, side.as_posix(), job.params, stop, lambda: line.live(side, clock))
        headline = _check(job, side, source, started)
        state = State("complete", headline=headline, seconds=time.monotonic() - clock)
        close_record(job, record, "complete", state.seconds, side, headline=headline)
        side.replace(_published(job))
    except (StepFailed, OSError, nbformat.reader.NotJSONError) as error:
        failure = error if isinstance(error, StepFailed) else StepFailed("failed", str(error))
        failure = _explained(failure)
        restore(job, started)
        reason = f"{failure.reason}{_keep_failed(side, source, failure.status)}"
        state = State(failure.status, reason, seconds=time.monotonic() - clock)
        with contextlib.suppress(OSError):  # no room for it: "running" by nobody is interrupted
            close_record(job, record, state.status, state.seconds, side, reason=reason, headline="")
    return state


def _explained(failure: StepFailed) -> StepFailed:
    """With the reason of a follower, if one failed as well or before.

    Of a process that died the leader notices a connection that broke, or that it is stopped.
    """
    told = launch.failed(stopped=failure.status == "interrupted")
    if not told or told.partition(": ")[2] == failure.reason:
        return failure
    if failure.status == "interrupted":
        return StepFailed("failed", told)
    return StepFailed(failure.status, f"{failure.reason}; {told}")


def _side(job: Job) -> Path:
    return Path("outputs", job.study, f".{job.step}.partial.ipynb")


def _published(job: Job) -> Path:
    return Path("outputs", job.study, f"{job.step}.ipynb")


def _check(job: Job, side: Path, source: str, started: str) -> str:
    """Check that the run reached its end, and make the notebook fit to publish; the headline.

    Raises StepFailed.
    """
    notebook = nbformat.read(side, as_version=4)
    result = read_json(Path("outputs", job.study, job.step, "run.json"))
    last = stopped_in(notebook)
    if last:
        raise StepFailed("failed", f"stopped before run.finish(), in In [{last}]")
    if result.get("status") != "complete" or result.get("started", "") < started:
        raise StepFailed("failed", "all cells ran, but none called run.finish()")
    _write_notebook(clean(notebook, source, _published(job).as_posix()), side)
    return result["headline"]


def _write_notebook(notebook: nbformat.NotebookNode, file: Path) -> None:
    write_bytes(file, nbformat.writes(notebook).encode())


def _keep_failed(side: Path, source: str, status: str) -> str:
    """Keep the notebook of a failed run for reading; the end of the message that names it."""
    if status == "interrupted" or not side.exists():
        return ""
    kept = side.with_name(side.name.replace(".partial.", ".failed."))
    try:
        notebook = clean(nbformat.read(side, as_version=4), source, kept.as_posix())
    except Exception:  # torn by a full disk: there is nothing to read in it
        side.unlink()
        return ""
    with contextlib.suppress(OSError):  # no room: then as papermill left it
        _write_notebook(notebook, side)
    side.replace(kept)
    return f"; see {kept.as_posix()}"


# ------------------------------------------------------------------------- what is printed


class Line:
    """The progress of one step: rewritten in place on a terminal, plain lines elsewhere."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.on_terminal = sys.stdout.isatty()
        self._next = 0.0
        self._began = False

    def say(self, text: str) -> None:
        """A line that stays."""
        say(f"{self.label}  {text}")

    def live(self, side: Path, clock: float) -> None:
        """Show that it runs; on a terminal once a second with the cell it is in."""
        if not self._began and not self.on_terminal:
            self.say("running …")
        self._began = True
        if self.on_terminal and time.monotonic() >= self._next:
            self._next = time.monotonic() + 1
            elapsed = time.monotonic() - clock
            say(f"\r\x1b[K{self.label}  {_cell(side)}  {elapsed:.0f} s", end="")

    def end(self, state: State) -> None:
        """How it ended."""
        told = state.headline if state.status == "complete" else state.reason
        note = f"  ({state.note})" if state.note else ""
        ended = "\r\x1b[K" if self.on_terminal and self._began else ""
        skipped = "" if self._began else "already "
        seconds = f"{state.seconds:5.0f} s"
        say(f"{ended}{self.label}  {skipped}{state.status} {seconds}   {told}{note}")


def _cell(side: Path) -> str:
    cells = [c for c in read_json(side).get("cells", []) if c.get("cell_type") == "code"]
    done = sum(c.get("execution_count") is not None for c in cells)
    return f"cell {done}/{len(cells)}" if cells else "starting"


def _print_table(jobs: list[Job], states: list[State]) -> None:
    rows: list[tuple[str, ...]] = [("step", "status", "seconds", "result", "where to look")]
    for job, state in zip(jobs, states, strict=True):
        told = state.headline if state.status == "complete" else state.reason
        told += f" ({state.note})" if state.note else ""
        kind = ".{}.failed" if state.status in ("failed", "kernel died") else "{}"
        where = f"outputs/{job.study}/{kind.format(job.step)}.ipynb"
        seconds = f"{state.seconds:.0f}" if state.seconds else ""
        shown = where if Path(where).exists() else ""
        rows.append((job.step, state.status, seconds, shorten(told, 90, placeholder=" …"), shown))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
