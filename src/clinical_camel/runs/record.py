"""The run of a step: its folder, its tables and figures, and run.json.

A run writes to outputs/<study>/.<step>.partial/, which replaces the earlier result at the end. So
a result is complete or absent, and a killed run can resume. Notebooks write only through `Run`.
"""

import importlib
import importlib.util
import io
import json
import os
import re
import shutil
import sys
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import psutil
from filelock import FileLock, Timeout

from clinical_camel.core.files import (
    NOT_RESULTS,
    hash_folder,
    now,
    previous_path,
    read_json,
    swap_in,
    write_bytes,
    write_json,
)
from clinical_camel.core.hashing import key_hash, to_jsonable
from clinical_camel.core.paths import relative, root
from clinical_camel.core.settings import (
    Incomplete,
    Settings,
    changed_settings,
    drop_without_effect,
)
from clinical_camel.runs import launch
from clinical_camel.runs.energy import EnergyMeter
from clinical_camel.runs.figures import DPI, UnreadableFigure, check_readable
from clinical_camel.runs.inputs import check_missing_inputs
from clinical_camel.runs.journal import Journal
from clinical_camel.runs.machine import (
    describe_device,
    describe_process,
    hash_source,
    list_versions,
    measure_peak_memory,
    read_commit,
)
from clinical_camel.runs.notebooks import (
    hash_code,
    list_steps,
    notebook_path,
    read_cells,
    read_parameters_cell,
    require_valid,
)
from clinical_camel.runs.params_files import STUDY_NAME
from clinical_camel.runs.process import prepare_process
from clinical_camel.runs.run_json import read_run_record
from clinical_camel.runs.schema import check_params

ATTEMPT = "CLINICAL_CAMEL_ATTEMPT"  # the runner's name for this run; clocks may jump
LOCK_WAIT = 5  # seconds; the kernel of a killed runner ends after about two
SettingsT = TypeVar("SettingsT", bound=Settings)
_ATTEMPT_KEYS = {"started", "source_hash"}
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_open_runs: dict[Path, "Run"] = {}  # of this process: a second Run All takes over its own lock


def start(study: str, step: str, seed: int, params: dict[str, Any] | None = None) -> "Run":
    """Open the run of one step: check, lock, seed, theme, folder, run.json.

    The parameters are the notebook's variables, so a run by plain papermill or in JupyterLab is
    checked like a run by the runner. Outside a notebook, pass them as `params`.

    Raises ParamsError for invalid parameters, ValueError for an unknown study or step, RuntimeError
    if another process is running this step.
    """
    names = study.split("/")  # of a sweep and its run
    if len(names) > 2 or not all(map(STUDY_NAME.fullmatch, names)):
        raise ValueError(f"study {study!r}: use letters, digits, - and _")
    if step not in list_steps():
        raise ValueError(f"step {step!r} has no notebook; known: {', '.join(list_steps())}")
    params = _read_variables(study, step) if params is None else params
    folder = launch.results_folder(study)
    folder.mkdir(parents=True, exist_ok=True)
    lock = _take_lock(folder, step)
    prepare_process(seed)
    run = Run(study, step, seed, params, lock)
    _open_runs[folder / step] = run
    return run


def _read_variables(study: str, step: str) -> dict[str, Any]:
    """Return the parameters of the running notebook; {} outside one. Raises ParamsError."""
    variables = vars(sys.modules["__main__"])
    if variables.get("study") != study:
        return {}
    declared = read_parameters_cell(notebook_path(step))
    params = {name: variables[name] for name in declared if name in variables}
    # papermill injects unknown names without an error; its cell is in the kernel's history
    injected = [cell for cell in variables.get("In", []) if cell.startswith(launch.INJECTED)]
    unknown = re.findall(r"^(\w+) = ", injected[-1], re.MULTILINE) if injected else []
    params |= {name: variables.get(name, "") for name in unknown}
    problems = check_params(step, params)
    require_valid(problems or list(check_missing_inputs(params)), "parameters")
    return params


def _take_lock(folder: Path, step: str) -> FileLock:
    earlier = _open_runs.pop(folder / step, None)
    if earlier is not None:
        earlier._close_journals()
        return earlier._lock
    holder = folder / f".{step}.lock.json"
    lock = FileLock(folder / f".{step}.lock", thread_local=False)
    try:
        lock.acquire(timeout=LOCK_WAIT)
    except Timeout:
        pid = read_json(holder).get("pid", "unknown")
        raise RuntimeError(
            f"{step} of {folder.name} is already running in process {pid}; "
            "wait for it, or close that notebook's kernel"
        ) from None
    runner = os.environ.get(launch.RUNNER, "")
    write_json(holder, {**describe_process(psutil.Process()), "runner": runner})
    return lock


class Run:
    """One step of one study while it runs; created by `start`. Only it writes results."""

    def __init__(
        self, study: str, step: str, seed: int, params: dict[str, Any], lock: FileLock
    ) -> None:
        self.study, self.step = study, step
        self.final = launch.results_folder(study) / step
        self.dir = self.final.with_name(f".{step}.partial")
        self._lock = lock
        self._journals: dict[str, Journal] = {}
        self._finished = False
        self._started_at, self._meter = time.monotonic(), EnergyMeter()
        earlier_attempts = self._prepare_folder(params)
        commit, is_dirty = read_commit()
        attempt = {"started": now(), "commit": commit, "source_hash": hash_source()}
        self._record: dict[str, Any] = {
            "study": study,
            "step": step,
            "status": "running",
            "headline": "",
            "started": attempt["started"],
            "attempt": os.environ.get(ATTEMPT) or uuid.uuid4().hex,
            "seconds": 0.0,
            "attempts": [*earlier_attempts, attempt],  # several if it was interrupted and resumed
            "commit": commit,
            "dirty": is_dirty,
            "notebook_hash": hash_code(read_cells(notebook_path(step))),
            "seed": seed,
            "params": params,
            "device": describe_device(),
            "versions": list_versions(),
            "peak_memory_mb": 0,
            "notes": {},
            "artefacts": {},
        }
        self._save_record()

    def _prepare_folder(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        """Resume an interrupted run of these settings; rename one of others until they return.

        Journals stay in both cases: their keys decide whether they are used. Returns the attempts
        that this run resumes.
        """
        previous = previous_path(self.final)
        if previous.exists() and not self.final.exists():  # killed between the two renames
            previous.replace(self.final)
        params = json.loads(json.dumps(params, default=to_jsonable))
        record, inactive = read_run_record(self.dir), self._inactive_folder(params)
        changed = changed_settings(record["params"], params) if record else []
        if changed or (inactive.exists() and not record and not _has_folders(self.dir)):
            self._swap_folders(record, inactive, changed)
            record = read_run_record(self.dir)
        self.dir.mkdir(exist_ok=True)
        for folder in self.dir.parent.glob(f"{self.dir.name}_*"):  # killed before a rename
            _move_journals(folder, self.dir)
        attempts = _list_attempts(record, self.dir)
        for file in self.dir.iterdir():  # each table of the interrupted run is written anew
            if file.suffix in (".csv", ".png", ".jsonl") and not file.name.startswith("journal_"):
                file.unlink()
        if attempts and attempts[-1]["source_hash"] != hash_source():
            folder = relative(self.dir)
            print(f"the code changed since the interrupted run; to start afresh delete {folder}")
        return attempts

    def _inactive_folder(self, params: dict[str, Any]) -> Path:
        """The folder of an interrupted run of these settings while a run of others is current."""
        return self.dir.with_name(f"{self.dir.name}_{key_hash(drop_without_effect(params))[:8]}")

    def _swap_folders(self, record: dict[str, Any], inactive: Path, changed: list[str]) -> None:
        """Rename the current folder to that of its settings, and `inactive` to the current one.

        Without folders in it, such as checkpoints, the current one is deleted. Its journals move
        first, so that a kill at any moment loses none.
        """
        is_back = _has_folders(inactive)
        message = "resuming an earlier run of these values" if is_back else "starting afresh"
        attempts, place = _list_attempts(record, self.dir), ""
        inactive.mkdir(exist_ok=True)
        _move_journals(self.dir, inactive)
        if _has_folders(self.dir):
            other = self._inactive_folder(record["params"])
            write_json(self.dir / "run.json", record | {"attempts": attempts})
            shutil.rmtree(other, ignore_errors=True)
            self.dir.replace(other)
            place = f"; it is in {relative(other)} and resumes when they return"
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        inactive.replace(self.dir)
        if changed:
            names = ", ".join(changed)
            print(f"{message}: the interrupted run had other values of {names}{place}")

    def settings(self, cls: type[SettingsT]) -> SettingsT:
        """Return the validated settings of this run, with the defaults of nested mappings.

        Raises SettingsError with every problem, one line each.
        """
        return cls.require(self._record["params"], "parameters")

    def journal(self, name: str, key: Any) -> Journal:
        """Return journal `journal_<name>.jsonl`: `.done` (id -> payload), `.append(id, payload)`.

        `key` is everything that an entry depends on: model, data and settings.
        """
        self._require_open(name)
        if name in self._journals:
            self._journals[name].close()
        self._journals[name] = Journal(self.dir / f"journal_{name}.jsonl", key)
        return self._journals[name]

    def persistent_file(self, name: str) -> Path:
        """Return the path of a file that outlives this run and its result, such as a ledger.

        In outputs/<study>/.<step>.persistent/: not part of any result, never replaced, not in git.
        """
        self._require_open(name)
        file = persistent_path(self.study, self.step, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def save_table(self, table: Any, name: str) -> Any:
        """Write a data frame as <name>.csv (10 significant digits, no index) and return it."""
        self._require_open(name)
        if len(table.columns) == 0:
            raise ValueError(f"table {name} has no columns")
        text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
        write_bytes(self.dir / f"{name}.csv", text.encode())
        return table

    def save_rows(self, rows: Iterable[Any], name: str) -> int:
        """Write dataclass rows or dicts as <name>.jsonl, one per line; return how many."""
        self._require_open(name)
        lines = [
            json.dumps(r, ensure_ascii=False, default=to_jsonable, allow_nan=False) for r in rows
        ]
        write_bytes(self.dir / f"{name}.jsonl", "".join(f"{s}\n" for s in lines).encode())
        return len(lines)

    def save_figure(self, figure: Any, name: str, alt: str) -> None:
        """Write a figure (or the figure of an axes) as <name>.png and display it with `alt`.

        `alt` describes the figure for readers who cannot see it. The same figure gives the same
        bytes: the file contains no date and no software version. Warns of a text that is too small
        to read, and of tick labels that overlap (see `figures`).
        """
        self._require_open(name)
        if not alt.strip():
            raise ValueError(f"figure {name} needs a description of what it shows: alt=...")
        figure = getattr(figure, "figure", figure)
        for problem in check_readable(figure):
            warnings.warn(f"figure {name}: {problem}", UnreadableFigure, stacklevel=2)
        png = io.BytesIO()
        figure.savefig(png, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
        write_bytes(self.dir / f"{name}.png", png.getvalue())
        importlib.import_module("matplotlib.pyplot").close(figure)  # else it is displayed twice
        _display(png.getvalue(), alt)

    def note(self, **facts: Any) -> None:
        """Add facts to run.json under `notes`: model and data revisions, hashes, counts."""
        self._require_open("note")
        self._record["notes"] |= facts
        self._save_record()

    def finish(self, headline: str, problems: Sequence[str] = ()) -> None:
        """Complete run.json and replace the earlier result; the last cell of every notebook.

        `problems`: sentences on what is missing from the result, from a `check_*` of the step. The
        earlier result becomes .<step>.previous; both changes are renames.

        Raises Incomplete if there is a problem, or if the headline contains nan: the earlier result
        then stays, and the next run resumes this one.
        """
        self._require_open("finish")
        if not headline.strip():
            raise ValueError("finish needs a headline: the main result in one line")
        self._close_journals()
        self._require_complete([*problems, *_check_headline(headline)])
        self._record |= {
            "status": "complete",
            "headline": " ".join(headline.split()),
            "seconds": round(time.monotonic() - self._started_at, 1),
            "device": describe_device(),
            "artefacts": hash_folder(self.dir, skip=(*NOT_RESULTS, "run.json")),
            **measure_peak_memory(),
            **self._meter.read(),
        }
        self._save_record()
        swap_in(self.dir, self.final)
        self._finished = True
        _open_runs.pop(self.final, None)
        self._lock.release()
        folder = relative(self.final)
        print(f"{folder}  {self._record['seconds']:.0f} s  {self._record['peak_memory_mb']} MB")
        if self.final.parent == root() / "outputs" / launch.SCRATCH / self.study:
            print(f"a trial: the results in outputs/{self.study} are unchanged")

    def _require_complete(self, problems: list[str]) -> None:
        if problems:
            reason = " ".join("; ".join(problems).split())
            self._record |= {"status": "incomplete", "reason": reason}
            self._save_record()
            raise Incomplete(reason)

    def _require_open(self, name: str) -> None:
        if self._finished:
            raise RuntimeError(f"{self.step} is finished; call runs.start again to write {name}")
        if not _NAME.fullmatch(name):
            raise ValueError(f"name {name!r}: use small letters, digits and _")

    def _close_journals(self) -> None:
        for journal in self._journals.values():
            journal.close()

    def _save_record(self) -> None:
        write_json(self.dir / "run.json", self._record)


def persistent_path(study: str, step: str, name: str) -> Path:
    """Return the path of `Run.persistent_file`, for a command outside the notebook.

    JupyterLab uses the study's own file too: no reply is paid for twice.
    """
    folder = launch.results_folder(study) if launch.rank() else root() / "outputs" / study
    return folder / f".{step}.persistent" / f"{name}.sqlite"


def _check_headline(headline: str) -> Iterator[str]:
    # as Python writes them; "NaN" is a word of ours, and before a number stands a user's name
    if re.search(r"\b(nan|inf)\b(?!\.? -?\d)", headline):
        yield f"the main result is no number: {headline}"


def _list_attempts(record: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Return the attempts of an interrupted run; the last one ran until it last wrote a file."""
    attempts = [a for a in record.get("attempts", []) if set(a) >= _ATTEMPT_KEYS]
    if attempts and "seconds" not in attempts[-1]:
        last = max((f.stat().st_mtime for f in folder.rglob("*") if f.is_file()), default=0.0)
        started = datetime.fromisoformat(attempts[-1]["started"]).timestamp()
        attempts[-1]["seconds"] = round(max(0.0, last - started), 1)
    return attempts


def _has_folders(folder: Path) -> bool:
    """Return whether a folder has folders: what is large and takes long is in one of its own."""
    return any(path.is_dir() for path in folder.glob("*"))


def _move_journals(source: Path, target: Path) -> None:
    for journal in source.glob("journal_*.jsonl"):
        if not (target / journal.name).exists():
            journal.replace(target / journal.name)


def _display(png: bytes, alt: str) -> None:
    ipython = sys.modules.get("IPython", SimpleNamespace(get_ipython=lambda: None))
    if ipython.get_ipython() is not None:
        display = importlib.import_module("IPython.display").display
        data = {"image/png": png, "text/plain": alt}
        display(data, raw=True, metadata={"image/png": {"alt": alt}})
