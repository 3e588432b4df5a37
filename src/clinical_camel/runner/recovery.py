"""What a runner that was killed may have left, put right by the next one that holds the study."""

import contextlib
import os
from pathlib import Path

import psutil

from clinical_camel.core.files import previous_of, read_json
from clinical_camel.core.hashing import hash_file
from clinical_camel.runner.jobs import Job
from clinical_camel.runner.state import alive, record_path


def recover(job: Job, side: Path) -> str:
    """End a kernel that lives on, undo or end an unfinished swap; what there is to say of it."""
    ended = _end_orphan(Path("outputs", job.study, f".{job.step}.lock.json"))
    record, published = read_json(record_path(job)), f"outputs/{job.study}/{job.step}.ipynb"
    if record.get("status") == "running":
        restore(job, record["started"])
    elif side.exists() and hash_file(side) == record.get("artefacts", {}).get(published):
        side.replace(published)  # complete, and killed before this last rename
    return f"ended process {ended}, the kernel of a runner that was killed" if ended else ""


def restore(job: Job, started: str) -> None:
    """Bring the earlier result back if run.finish() has swapped it out in a run that broke.

    The newer folder, with its journals, is what the next run goes on from.
    """
    final = Path("outputs", job.study, job.step)
    previous, partial = previous_of(final), final.with_name(f".{job.step}.partial")
    if read_json(final / "run.json").get("started", "") >= started and not partial.exists():
        final.replace(partial)
        if previous.exists():
            previous.replace(final)


def _end_orphan(holder: Path) -> int:
    """Kill the kernel of a killed runner if it still holds the step's lock; its pid, or 0.

    A kernel looks for its parent once a second and goes with it, but not from inside a long
    call that never lets the interpreter go. One opened in JupyterLab is not ours to end.
    """
    facts = read_json(holder)
    if not facts.get("runner") or facts["pid"] == os.getpid() or not alive(facts):
        return 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(facts["pid"])
        process.kill()
        process.wait(10)
    return facts["pid"]
