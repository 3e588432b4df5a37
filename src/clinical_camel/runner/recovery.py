"""Clean-up after a runner that was killed, done by the next runner of the study."""

import contextlib
import os
from pathlib import Path

import psutil

from clinical_camel.core.files import previous_path, read_json
from clinical_camel.core.hashing import hash_file
from clinical_camel.runner.jobs import Job
from clinical_camel.runner.state import is_alive, read_record


def clean_up(job: Job, partial: Path) -> str:
    """Kill an orphaned kernel, undo or complete a swap; return a line on the kernel, or "".

    `partial` is the notebook of the step before it is published.
    """
    pid = _kill_orphan(Path("outputs", job.study, f".{job.step}.lock.json"))
    record, published = read_record(job), f"outputs/{job.study}/{job.step}.ipynb"
    if record.get("status") == "running":
        restore_result(job, record.get("attempt", ""))
    elif partial.exists() and hash_file(partial) == record.get("artefacts", {}).get(published):
        partial.replace(published)  # complete, but killed before this last rename
    return f"ended process {pid}, the kernel of a runner that was killed" if pid else ""


def restore_result(job: Job, attempt: str) -> None:
    """Restore the earlier result if this attempt failed after run.finish() had replaced it.

    The newer folder, with its journals, becomes the partial folder that the next run resumes.
    """
    final = Path("outputs", job.study, job.step)
    previous, partial = previous_path(final), final.with_name(f".{job.step}.partial")
    is_of_attempt = attempt and read_json(final / "run.json").get("attempt") == attempt
    if is_of_attempt and not partial.exists():
        final.replace(partial)
        if previous.exists():
            previous.replace(final)


def _kill_orphan(lock_file: Path) -> int:
    """Kill the kernel of a killed runner if it still has the step's lock; return its pid, or 0.

    A kernel checks once a second whether its parent is alive and ends with it, but cannot do so
    during a long call that never releases the interpreter. A JupyterLab kernel is not killed.
    """
    holder = read_json(lock_file)
    if not holder.get("runner") or holder.get("pid") == os.getpid() or not is_alive(holder):
        return 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(holder["pid"])
        process.kill()
        process.wait(10)
    return holder["pid"]
