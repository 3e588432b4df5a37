"""What is complete: a record on this machine that lists every artefact and input with its hash.

The records live in outputs/<study>/.records/ and stay out of git: committed results never make
a step complete, since a fresh clone has no adapter to go on with.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from clinical_camel.core.files import NOT_RESULTS, read_json, result_files, write_json
from clinical_camel.core.hashing import hash_file, key_hash
from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import Job
from clinical_camel.runs.machine import source_hash
from clinical_camel.runs.notebooks import code_hash, notebook_path, read_cells

STOPPED = ("failed", "kernel died", "interrupted")


@dataclass(frozen=True, slots=True)
class State:
    """complete, stale, running, failed, kernel died, interrupted or not run; and why."""

    status: str
    reason: str = ""
    headline: str = ""
    seconds: float = 0.0
    note: str = ""


class Hashes:
    """sha256 by root-relative path; a file of known size and time is not read again.

    `status` on a 70B adapter must not read 140 GB to say that nothing happened.
    """

    def __init__(self, known: dict[str, list[Any]] | None = None) -> None:
        self.known = dict(known or {})

    def of(self, text: str) -> str:
        """The hash of a file, or of a folder's result files; "" if it is not there."""
        place = root() / text
        if place.is_dir():
            files = result_files(place, skip=(*NOT_RESULTS, "run.json"))
            return key_hash({f.relative_to(place).as_posix(): self._file(f) for f in files})
        return self._file(place) if place.is_file() else ""

    def _file(self, file: Path) -> str:
        # the name as written, not the target of a link: data/public may be one
        text, facts = file.relative_to(root()).as_posix(), file.stat()
        before = self.known.get(text, [])
        if before[:2] != [facts.st_size, facts.st_mtime_ns]:
            self.known[text] = [facts.st_size, facts.st_mtime_ns, hash_file(file)]
        return self.known[text][2]


def record_path(job: Job) -> Path:
    """Where the local record of a step is."""
    return root() / "outputs" / job.study / ".records" / f"{job.step}.json"


def open_record(job: Job, started: str) -> dict[str, Any]:
    """Write the record of a step that begins: running, by this process."""
    record = {
        "study": job.study,
        "step": job.step,
        "status": "running",
        "reason": "",
        "headline": "",
        "started": started,
        "seconds": 0.0,
        "pid": psutil.Process().pid,
        "process_started": psutil.Process().create_time(),
        "params": job.params,
        "params_hash": key_hash(job.params),
        "notebook_hash": code_hash(read_cells(notebook_path(job.step))),
        "source_hash": source_hash(),
        "inputs": {},
        "artefacts": {},
        "hashes": {},
    }
    hashes = Hashes(read_json(record_path(job)).get("hashes"))
    record["inputs"] = {text: hashes.of(text) for text in job.inputs}
    record["hashes"] = hashes.known
    write_json(record_path(job), record)
    return record


def close_record(
    job: Job, record: dict[str, Any], status: str, seconds: float, side: Path, **facts: Any
) -> None:
    """Write how a step ended; when complete, with the hash of everything it made.

    The notebook is hashed in its side file and renamed after this: a rename needs no room.
    """
    record |= {"status": status, "seconds": round(seconds, 1), **facts}
    if status == "complete":
        hashes = Hashes(record["hashes"])
        outputs = root() / "outputs" / job.study
        made = [*result_files(outputs / job.step), root() / side]
        names = [file.relative_to(root()).as_posix() for file in made]
        record["artefacts"] = {name: hashes.of(name) for name in names}
        record["hashes"] = hashes.known
        for facts in (record["artefacts"], record["hashes"]):
            facts[f"outputs/{job.study}/{job.step}.ipynb"] = facts.pop(names[-1])
    write_json(record_path(job), record)


def state_of(job: Job) -> State:
    """Whether a step is complete and unchanged, and if not, why not."""
    record = read_json(record_path(job))
    if not record:
        made = record_path(job).parent.parent / f"{job.step}.ipynb"
        there = "its results are here, but were not made on this machine" if made.exists() else ""
        return State("not run", there)
    status, reason = record["status"], record["reason"]
    facts = {"headline": record["headline"], "seconds": record["seconds"]}
    if status == "running":
        if alive(record):
            return State("running", f"in process {record['pid']}", **facts)
        return State("interrupted", "its runner is gone; running it again resumes", **facts)
    if status in STOPPED:
        return State(status, reason, **facts)
    reason = _why_stale(job, record)
    changed = record["source_hash"] != source_hash()
    note = "code changed since; --force re-runs" if changed else ""
    return State("stale" if reason else "complete", reason, note=note, **facts)


def alive(record: dict[str, Any]) -> bool:
    """Whether the process of a record (`pid`, `process_started`) is still there."""
    try:
        started = psutil.Process(record["pid"]).create_time()
    except psutil.Error:
        return False
    return abs(started - record["process_started"]) < 1  # or the number was given to another


def _why_stale(job: Job, record: dict[str, Any]) -> str:
    before = record["params"]
    if key_hash(job.params) != record["params_hash"]:
        changed = sorted(k for k in before | job.params if before.get(k) != job.params.get(k))
        return f"params changed: {', '.join(changed)}"
    if code_hash(read_cells(notebook_path(job.step))) != record["notebook_hash"]:
        return "the notebook's code changed"
    hashes = Hashes(record["hashes"])
    for kind in ("artefact", "input"):
        for text, expected in record[f"{kind}s"].items():
            found = hashes.of(text)
            if not found:
                return f"{kind} missing: {text}"
            if found != expected:
                return f"{kind} {text} changed"
    if hashes.known != record["hashes"]:  # touched, not changed: remember, to read it only once
        with contextlib.suppress(OSError):  # a full disk: it will be read again
            write_json(record_path(job), {**record, "hashes": hashes.known})
    return ""
