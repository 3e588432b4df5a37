"""Run a study from its first step to its last, and print its state.

Exit codes: 0 all complete, 1 a step failed or is incomplete, 2 bad params or inputs, 3 a kernel
died, 4 another runner has locked the study; 129, 130 and 143 stopped by SIGHUP, SIGINT and SIGTERM.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import lazy_loader
from filelock import FileLock, Timeout

from clinical_camel.core.files import now, read_json, write_bytes, write_json
from clinical_camel.core.paths import find_producer, root
from clinical_camel.core.settings import RETRY_VARIABLE
from clinical_camel.runner.consistency import check_study
from clinical_camel.runner.display import ProgressLine, echo, print_steps
from clinical_camel.runner.execution import (
    SignalForwarder,
    StepFailed,
    clean,
    execute,
    find_early_end,
)
from clinical_camel.runner.jobs import (
    Job,
    PlanError,
    check_files,
    load_job,
    load_jobs,
    load_sweep_jobs,
    select_jobs,
    sort_jobs,
)
from clinical_camel.runner.places import check_gpu, check_machine, check_places
from clinical_camel.runner.recovery import clean_up, restore_result
from clinical_camel.runner.state import (
    State,
    are_committed,
    close_record,
    find_state,
    find_states,
    open_record,
)
from clinical_camel.runner.summary import summarize
from clinical_camel.runs import launch
from clinical_camel.runs.notebooks import ParamsError
from clinical_camel.runs.params_files import list_studies
from clinical_camel.runs.record import ATTEMPT
from clinical_camel.runs.run_json import read_run_record
from clinical_camel.runs.sweeps import is_sweep

nbformat = lazy_loader.load("nbformat")  # seconds to import, which `list` and `plan` do not need
FAILED, BAD_INPUT, KERNEL_DIED, LOCKED = 1, 2, 3, 4
COMMAND = "python -m clinical_camel"
WORKER_TIME = 3.0  # seconds in which a worker reports why it failed


def load_study(study: str) -> list[Job]:
    """Return the steps of a study in order. Raises PlanError for values that contradict others."""
    jobs = sort_jobs(load_jobs(study))
    if problems := list(check_study(jobs)):
        raise PlanError("\n".join(problems))
    return jobs


def show_list() -> int:
    """Print every study with the number of its complete steps; 2 if a params file is wrong."""
    code = 0
    for study in list_studies():
        try:
            jobs = [*load_jobs(study), *(load_sweep_jobs(study) if is_sweep(study) else ())]
        except ParamsError as error:
            echo(f"{study:<32} {len(str(error).splitlines())} problems in its params files")
            code = BAD_INPUT
            continue
        complete = sum(state.status == "complete" for state in find_states(jobs).values())
        echo(f"{study:<32} {complete}/{len(jobs)} complete")
    return code


def show_status(study: str) -> int:
    """Print the state of each step and why; return 0 only if all are complete."""
    jobs = sort_jobs(load_jobs(study))
    states = [find_state(job) for job in jobs]
    print_steps(jobs, states)
    return 0 if all(state.status == "complete" for state in states) else FAILED


# ------------------------------------------------------------------------------- one study


def run_study(study: str, steps: list[str], force: bool = False, rate: float = 0.0) -> int:
    """Run the steps of a study that are not complete; return the exit code.

    `steps` are stems or two digits; none means all. `rate` is the machine's price per hour, for
    the summary at the end. Raises ParamsError or PlanError before any step starts.
    """
    jobs = select_jobs(sort_jobs(load_jobs(study)), steps)
    if problems := list(launch.check_launch(job.step for job in jobs)):
        raise PlanError("\n".join(problems))
    if launch.rank():
        return _run_worker(jobs)
    problems = list(check_study(jobs))
    for job in jobs:
        problems += [*check_files(job), *check_inputs(job, jobs), *check_machine(job)]
    problems += check_gpu(jobs)
    if problems := problems or list(check_places(study)):
        raise PlanError("\n".join(problems))
    try:
        with lock_study(study), SignalForwarder() as signals:
            return run_jobs(jobs, force, signals, rate)
    except BlockingIOError as error:
        echo(error, file=sys.stderr)
        return LOCKED


def _run_worker(jobs: list[Job]) -> int:
    """Execute the steps that the main process announces, in this worker's kernel (`launch`)."""
    with tempfile.TemporaryDirectory() as folder, SignalForwarder() as signals:
        os.environ[launch.WORKER_FOLDER] = folder
        for job in jobs:
            action = launch.wait_for(job.step, give_up=lambda: bool(signals.signum))
            output = Path(folder, f"{job.step}.ipynb").as_posix()
            try:
                if action == "run":
                    execute(_source(job), output, job.params, signals, lambda: None)
            except StepFailed as failure:
                status = "" if failure.status == "failed" else f"{failure.status} "
                if failure.status != "interrupted":
                    launch.announce("failure", f"rank {launch.rank()}: {status}{failure.reason}")
                return _exit_code(State(failure.status), signals)
        return 128 + signals.signum if signals.signum else 0


def check_inputs(job: Job, jobs: list[Job]) -> Iterator[str]:
    """Yield inputs of a step that is neither among `jobs` nor complete, one line each.

    Those of a step that was not run on this machine may be the committed ones.
    """
    planned = {(other.study, other.step) for other in jobs}
    for study, step in job.find_dependencies():
        if (study, step) in planned:
            continue
        needed = load_job(study, step)
        state = find_state(needed)
        texts = [text for text in job.inputs if find_producer(text) == (study, step)]
        if state.status == "complete" or state.status == "not run" and are_committed(needed, texts):
            continue
        reason = f" ({state.reason})" if state.reason else ""
        yield (
            f"{job.source}: {job.find_place(texts[0])}: needs {step} of {study}, which is "
            f"{state.status}{reason}; first {COMMAND} run {study} {step}"
        )


@contextlib.contextmanager
def lock_study(study: str) -> Iterator[None]:
    """Allow one runner per study; two studies may run at a time. Raises BlockingIOError."""
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


def run_jobs(jobs: list[Job], force: bool, signals: SignalForwarder, rate: float) -> int:
    """Run the steps that are not complete, in this order; print the result, return the code."""
    code, states, executed = 0, [], []
    for i, job in enumerate(jobs, start=1):
        line = ProgressLine(f"[{i}/{len(jobs)}] {job.step}")
        if message := clean_up(job, _partial_notebook(job)):
            line.print(message)
        state = find_state(job)
        if code or signals.signum:
            reason = "an earlier step did not complete" if code else f"stopped by {signals.name}"
            state = State("not started", reason)
        elif state.status == "complete" and not (force or is_retried(job)):
            launch.announce(job.step, "skip")
            line.finish(state)
        else:
            if state.status not in ("complete", "not run"):
                line.print(f"{state.status}: {state.reason}" if state.reason else state.status)
            launch.announce(job.step, "run")
            executed.append(job)
            state = _run_job(job, line, signals)
            line.finish(state)
        code = code or _exit_code(state, signals)
        states.append(state)
    echo()
    print_steps(jobs, states)
    if summary := summarize(executed, rate):
        echo(summary)
    return code or (128 + signals.signum if signals.signum else 0)


def is_retried(job: Job) -> bool:
    """Return whether `run --retry-failed` runs this step although it is complete."""
    return job.step == "01_dbke" and os.environ.get(RETRY_VARIABLE) == "1"


def _exit_code(state: State, signals: SignalForwarder) -> int:
    codes = {"kernel died": KERNEL_DIED, "interrupted": 128 + signals.signum}
    codes |= {"failed": FAILED, "incomplete": FAILED}
    return codes.get(state.status, 0)


def _run_job(job: Job, line: ProgressLine, signals: SignalForwarder) -> State:
    attempt, clock = uuid.uuid4().hex, time.monotonic()
    record, partial = open_record(job, attempt), _partial_notebook(job)
    os.environ[ATTEMPT] = attempt  # for the kernel
    line.update(partial, clock)
    try:
        execute(
            _source(job),
            partial.as_posix(),
            job.params,
            signals,
            show_progress=lambda: line.update(partial, clock),
        )
        headline = _finish_notebook(job, attempt)
        _require_inputs_of_later_steps(job)
        state = State("complete", headline=headline, seconds=time.monotonic() - clock)
        close_record(job, record, "complete", state.seconds, partial, headline=headline)
        partial.replace(_published_notebook(job))
    except (StepFailed, OSError, nbformat.reader.NotJSONError) as error:
        failure = error if isinstance(error, StepFailed) else StepFailed("failed", str(error))
        failure = _add_worker_failure(failure)
        restore_result(job, attempt)
        reason = f"{failure.reason}{_save_failed_notebook(job, failure.status)}"
        state = State(failure.status, reason, seconds=time.monotonic() - clock)
        with contextlib.suppress(OSError):  # a full disk: the record stays `running`, by no process
            facts = {"reason": reason, "headline": ""}
            close_record(job, record, state.status, state.seconds, partial, **facts)
    return state


def _add_worker_failure(failure: StepFailed) -> StepFailed:
    """Return the failure with the reason of a worker, if a worker failed too or first.

    Of a dead worker the main process sees only a broken connection, or that the launcher stops it.
    """
    is_interrupted = failure.status == "interrupted"  # then the worker ended before
    deadline = time.monotonic() + (0 if is_interrupted else WORKER_TIME)
    reason = launch.wait_for("failure", give_up=lambda: time.monotonic() >= deadline)
    if not reason or reason.partition(": ")[2] == failure.reason:
        return failure
    if is_interrupted:
        return StepFailed("failed", reason)
    return StepFailed(failure.status, f"{failure.reason}; {reason}")


def _source(job: Job) -> str:
    return f"notebooks/{job.step}.ipynb"


def _partial_notebook(job: Job) -> Path:
    return Path("outputs", job.study, f".{job.step}.partial.ipynb")


def _published_notebook(job: Job) -> Path:
    return Path("outputs", job.study, f"{job.step}.ipynb")


def _finish_notebook(job: Job, attempt: str) -> str:
    """Clean the executed notebook and return the headline. Raises StepFailed for an early end."""
    partial = _partial_notebook(job)
    notebook = nbformat.read(partial, as_version=4)
    record = read_run_record(Path("outputs", job.study, job.step))
    if last := find_early_end(notebook):
        raise StepFailed("failed", f"stopped before run.finish(), in In [{last}]")
    if record.get("status") != "complete" or record.get("attempt") != attempt:
        raise StepFailed("failed", "all cells ran, but none called run.finish()")
    published = _published_notebook(job).as_posix()
    _write_notebook(clean(notebook, _source(job), published), partial)
    return record["headline"]


def _require_inputs_of_later_steps(job: Job) -> None:
    """Raise StepFailed if a file that a step of this study or sweep reads is missing or empty."""
    others = []
    with contextlib.suppress(ParamsError):  # edited while the step ran
        sweep, _, run = job.study.partition("/")
        others = load_sweep_jobs(sweep) if run else load_jobs(job.study)
    for other in others:
        for text in other.inputs:
            is_made_here = find_producer(text) == (job.study, job.step)
            file = Path(text)
            if is_made_here and not (file.is_dir() or (file.is_file() and file.stat().st_size)):
                problem = "empty" if file.is_file() else "missing"
                raise StepFailed("incomplete", f"{text} is {problem}, and {other.step} needs it")


def _write_notebook(notebook: nbformat.NotebookNode, file: Path) -> None:
    write_bytes(file, nbformat.writes(notebook).encode())


def _save_failed_notebook(job: Job, status: str) -> str:
    """Save the notebook of a failed run for reading; return the end of the message, or ""."""
    partial = _partial_notebook(job)
    if status == "interrupted" or not partial.exists():
        return ""
    failed = partial.with_name(f".{job.step}.failed.ipynb")
    try:
        notebook = clean(nbformat.read(partial, as_version=4), _source(job), failed.as_posix())
    except Exception:  # torn by a full disk: unreadable
        partial.unlink()
        return ""
    with contextlib.suppress(OSError):  # a full disk: then it stays as papermill wrote it
        _write_notebook(notebook, partial)
    partial.replace(failed)
    return f"; see {failed.as_posix()}"
