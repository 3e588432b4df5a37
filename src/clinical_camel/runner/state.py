"""Which steps are complete: a record on this machine has the hash of every artefact and input.

The records are in outputs/<study>/.records/, which git ignores. Committed results never make a step
complete: a fresh clone makes them again. A step may read committed files of a step that was not run
on this machine (`are_committed`). The runs of a sweep take hours and may come from several
machines: of them, the tables are enough (`find_states`), and of the final step of another sweep
(`has_tables`).
"""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from clinical_camel.core.files import NOT_RESULTS, list_results, now, read_json, write_json
from clinical_camel.core.hashing import hash_file, key_hash
from clinical_camel.core.paths import find_producer, relative, root
from clinical_camel.core.settings import DIVERGED, changed_settings
from clinical_camel.runner.jobs import Job, load_sweep_jobs
from clinical_camel.runs.machine import describe_process, hash_source
from clinical_camel.runs.notebooks import hash_code, notebook_path, read_cells
from clinical_camel.runs.run_json import read_run_record

STOPPED = ("failed", "incomplete", "kernel died", "interrupted")
COMPLETE, ENDED = "complete", "ended"
RECORD_KEYS = {  # what every reader of a record relies on
    "status": str,
    "reason": str,
    "headline": str,
    "seconds": float | int,
    "params": dict,
    "notebook_hash": str,
    "source_hash": str,
    "inputs": dict,
    "artefacts": dict,
    "hashes": dict,
}


@dataclass(frozen=True, slots=True)
class State:
    """The status of a step, and why.

    complete, stale, running, failed, incomplete, kernel died, interrupted, not run, not started,
    ended. Ended is a training that diverged: with the same settings it would diverge again.
    """

    status: str
    reason: str = ""
    headline: str = ""
    seconds: float = 0.0
    commit: str = ""  # of the code of a complete step, where it is not the code of today


class HashCache:
    """sha256 by root-relative path; a file with unchanged size and time is not read again.

    Otherwise `status` would read all 140 GB of a 70B model's files.
    """

    def __init__(self, entries: dict[str, list[Any]] | None = None) -> None:
        # path: size, modification time in ns, sha256; an entry of another form is damaged
        pairs = (entries or {}).items()
        self.entries = {k: v for k, v in pairs if isinstance(v, list) and len(v) == 3}

    def hash(self, text: str) -> str:
        """Return the hash of a file, or of a folder's result files; "" if it does not exist."""
        path = root() / text
        if path.is_dir():
            files = list_results(path, skip=(*NOT_RESULTS, "run.json"))
            return key_hash({f.relative_to(path).as_posix(): self._hash_file(f) for f in files})
        return self._hash_file(path) if path.is_file() else ""

    def _hash_file(self, file: Path) -> str:
        # the name as written, not the target of a link: data/public may be a link
        text, stat = file.relative_to(root()).as_posix(), file.stat()
        unchanged = [stat.st_size, stat.st_mtime_ns]
        if text not in self.entries or self.entries[text][:2] != unchanged:
            self.entries[text] = [*unchanged, hash_file(file)]
        return self.entries[text][2]


def record_path(job: Job) -> Path:
    """Return the path of a step's local record."""
    return root() / "outputs" / job.study / ".records" / f"{job.step}.json"


def read_record(job: Job) -> dict[str, Any]:
    """Return the local record of a step; {} if it is missing, damaged or lacks a key."""
    record = read_json(record_path(job))
    is_complete = all(isinstance(record.get(key), kind) for key, kind in RECORD_KEYS.items())
    return record if is_complete else {}


def open_record(job: Job, attempt: str) -> dict[str, Any]:
    """Write the record of a step that starts, `running` in this process, and return it.

    `attempt`: a name that no other run has, which the kernel writes into run.json.
    """
    cache = HashCache(read_record(job).get("hashes"))
    record = {
        "study": job.study,
        "step": job.step,
        "status": "running",
        "reason": "",
        "headline": "",
        "started": now(),
        "attempt": attempt,
        "seconds": 0.0,
        **describe_process(psutil.Process()),
        "params": job.params,
        "notebook_hash": hash_code(read_cells(notebook_path(job.step))),
        "source_hash": hash_source(),
        "inputs": {text: cache.hash(text) for text in job.inputs},
        "artefacts": {},
        "hashes": cache.entries,
    }
    write_json(record_path(job), record)
    return record


def close_record(
    job: Job, record: dict[str, Any], status: str, seconds: float, partial: Path, **facts: Any
) -> None:
    """Write how a step ended; for a complete step with the hash of every artefact.

    The notebook is hashed under its partial name and renamed later: renaming works on a full disk.
    """
    record |= {"status": status, "seconds": round(seconds, 1), **facts}
    if status == "complete":
        cache = HashCache(record["hashes"])
        artefacts = [*list_results(root() / "outputs" / job.study / job.step), root() / partial]
        names = [file.relative_to(root()).as_posix() for file in artefacts]
        record["artefacts"] = {name: cache.hash(name) for name in names}
        record["hashes"] = cache.entries
        for hashes in (record["artefacts"], record["hashes"]):
            hashes[f"outputs/{job.study}/{job.step}.ipynb"] = hashes.pop(names[-1])
    write_json(record_path(job), record)


def find_state(job: Job, find_source: Callable[[], str] | None = None) -> State:
    """Return whether a step is complete and unchanged, and if not, why not.

    `find_source`: `hash_source` for many steps, which hashes once.
    """
    record = read_record(job)
    if not record and record_path(job).exists():
        return State("not run", f"its record is damaged: {relative(record_path(job))}")
    if not record:
        has_result = (root() / "outputs" / job.study / f"{job.step}.ipynb").exists()
        reason = "its results exist, but were not made on this machine" if has_result else ""
        return State("not run", reason)
    status, reason = record["status"], record["reason"]
    facts = {"headline": record["headline"], "seconds": record["seconds"]}
    if status == "running":
        if is_alive(record):
            return State("running", f"in process {record['pid']}", **facts)
        return State("interrupted", "its runner is gone; running it again resumes", **facts)
    if status in STOPPED:
        diverged = DIVERGED.search(reason)
        if diverged and not _find_change(job, record):
            return State(ENDED, f"{diverged[2]} is not a number", **facts)
        return State(status, reason, **facts)
    if change := _find_change(job, record):
        return State("stale", change, **facts)
    is_current = record["source_hash"] == (find_source or hash_source)()
    return State(COMPLETE, commit="" if is_current else _describe_commit(job), **facts)


def find_states(jobs: Iterable[Job]) -> dict[tuple[str, str], State]:
    """Return the state of each step, by study and step.

    Steps of a run of a sweep that were not run on this machine are complete if the tables of all of
    them are here as another machine wrote them, and its training texts do not differ from those
    here.
    """
    by_study: dict[str, list[Job]] = {}
    for job in jobs:
        by_study.setdefault(job.study, []).append(job)
    states = {}
    find_source = functools.cache(hash_source)  # both take 10 ms, a sweep has hundreds of steps
    list_texts = functools.cache(_list_read_texts)
    for study, steps in by_study.items():
        own = [find_state(job, find_source) for job in steps]
        is_copy = "/" in study and all(state.status == "not run" for state in own)
        if is_copy:
            texts = list_texts(study.partition("/")[0])
            if all(has_tables(job, texts.get((study, job.step), set())) for job in steps):
                own = [_describe_copy(job, find_source) for job in steps]
        states |= {(study, job.step): state for job, state in zip(steps, own, strict=True)}
    return states


def _list_read_texts(sweep: str) -> dict[tuple[str, str], set[str]]:
    """Return by study and step which of its files other runs of a sweep read."""
    read: dict[tuple[str, str], set[str]] = {}
    for job in load_sweep_jobs(sweep):
        for text in job.inputs:
            producer = find_producer(text)
            if producer and producer[0] != job.study:
                read.setdefault(producer, set()).add(text)
    return read


def has_tables(job: Job, texts: Collection[str] = ()) -> bool:
    """Return whether a copied result folder has run.json and every table, all unchanged.

    And `texts`, the files that other runs read: those of a first step are not optional.
    """
    folder = root() / "outputs" / job.study / job.step
    record = read_run_record(folder)
    tables = [name for name in record.get("artefacts", {}) if name.endswith(".csv")]
    if not tables or not are_committed(job, [*(relative(folder / t) for t in tables), *texts]):
        return False
    sources = record["notes"].get("sources", ())  # what step 02 was trained on
    files = {s["path"]: s["sha256"] for s in sources if "path" in s}
    files |= {path: sha256 for s in sources for path, sha256 in s.get("companions", {}).items()}
    hashes = {root() / path: sha256 for path, sha256 in files.items() if path in job.inputs}
    return all(hash_file(file) == sha256 for file, sha256 in hashes.items() if file.is_file())


def _describe_copy(job: Job, find_source: Callable[[], str]) -> State:
    record = read_run_record(root() / "outputs" / job.study / job.step)
    commit = "" if record.get("source_hash") == find_source() else _describe_commit(job)
    return State(COMPLETE, "", record["headline"], record["seconds"], commit)


def _describe_commit(job: Job) -> str:
    record = read_run_record(root() / "outputs" / job.study / job.step)
    commit = str(record.get("commit") or "unknown")[:7]
    return f"commit {commit}{' with changes' if record.get('dirty') else ''}"


def are_committed(job: Job, texts: list[str]) -> bool:
    """Return whether files and folders of a step are as its committed run wrote them.

    That run must have been complete, with the parameters and the notebook that the step has now.
    """
    folder = root() / "outputs" / job.study / job.step
    record = read_run_record(folder)
    if record.get("status") != COMPLETE or changed_settings(record["params"], job.params):
        return False
    if hash_code(read_cells(notebook_path(job.step))) != record.get("notebook_hash"):
        return False
    for text in texts:
        path = root() / text
        files = {
            folder / name: sha256
            for name, sha256 in record["artefacts"].items()
            if (folder / name).is_relative_to(path)
        }
        if not files or any(not f.is_file() or hash_file(f) != h for f, h in files.items()):
            return False
    return True


def is_alive(record: dict[str, Any]) -> bool:
    """Return whether the process of a record (`pid`, `process_started`) is still running."""
    try:
        process = describe_process(psutil.Process(record["pid"]))
        return abs(process["process_started"] - record["process_started"]) < 2  # else another one
    except (psutil.Error, KeyError, TypeError, ValueError):  # the last three: a damaged record
        return False


def _find_change(job: Job, record: dict[str, Any]) -> str:
    """Return what changed since a step was complete; "" for no change."""
    if changed := changed_settings(record["params"], job.params):
        return f"params changed: {', '.join(changed)}"
    if hash_code(read_cells(notebook_path(job.step))) != record["notebook_hash"]:
        return "the notebook's code changed"
    cache = HashCache(record["hashes"])
    for kind in ("artefact", "input"):
        for text, expected in record[f"{kind}s"].items():
            current = cache.hash(text)
            if not current and (expected or not _has_ended(text)):
                return f"{kind} missing: {text}"
            if current != expected:
                return f"{kind} {text} changed"
    if set(job.inputs) != record["inputs"].keys():  # a sweep has other runs
        return "it reads other files than before"
    if cache.entries != record["hashes"]:  # new times, same content: do not read it next time
        with contextlib.suppress(OSError):  # a full disk
            write_json(record_path(job), {**record, "hashes": cache.entries})
    return ""


def _has_ended(text: str) -> bool:
    """Return whether an input is missing because the training of its run diverged."""
    study, _ = find_producer(text) or ("", "")
    records = (root() / "outputs" / study / ".records").glob("*.json")
    return any(DIVERGED.search(str(read_json(file).get("reason"))) for file in records)
