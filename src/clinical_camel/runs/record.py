"""Where a run's results go and what is recorded about it.

A run works in outputs/<study>/.<step>.partial/ and is swapped in whole at the end, so a reader
never meets half a result and a killed run leaves what it had. Notebooks write only through `Run`.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import logging
import os
import random
import re
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Iterable
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
    previous_of,
    read_json,
    swap_in,
    write_bytes,
    write_json,
)
from clinical_camel.core.hashing import plain
from clinical_camel.core.paths import relative, root
from clinical_camel.core.settings import Settings
from clinical_camel.runs import launch
from clinical_camel.runs.energy import Meter
from clinical_camel.runs.journal import Journal
from clinical_camel.runs.machine import commit, device, peak_memory, source_hash, versions
from clinical_camel.runs.notebooks import (
    code_hash,
    declared_params,
    notebook_path,
    read_cells,
    steps,
)
from clinical_camel.runs.params_files import STUDY_NAME
from clinical_camel.runs.schema import require_params

LOCK_WAIT = 5  # seconds; the kernel of a killed runner is gone after about two
SettingsT = TypeVar("SettingsT", bound=Settings)
_TABLE_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_open_runs: dict[Path, "Run"] = {}  # of this process: Run All twice takes its own lock over


def start(study: str, step: str, seed: int, params: dict[str, Any] | None = None) -> "Run":
    """Open the run of one step: check, lock, seed, theme, folder, run.json.

    The parameters are read from the notebook's own variables, so a run by plain papermill or in
    JupyterLab is checked like one of ours; `params` gives them elsewhere.

    Raises ParamsError (a value does not fit its annotation), ValueError (study or step name)
    and RuntimeError (another process is running this step).
    """
    if not STUDY_NAME.fullmatch(study):
        raise ValueError(f"study {study!r}: use letters, digits, - and _")
    if step not in steps():
        raise ValueError(f"step {step!r} has no notebook; known: {', '.join(steps())}")
    params = _variables(study, step) if params is None else params
    folder = launch.results(study, root())
    folder.mkdir(parents=True, exist_ok=True)
    lock = _take_lock(folder, step)
    _set_seeds(seed)
    _set_theme()
    _quiet()
    _stop_like_ctrl_c()
    run = Run(study, step, seed, params, lock)
    _open_runs[folder / step] = run
    return run


def _variables(study: str, step: str) -> dict[str, Any]:
    """The parameters as the running notebook has them; {} outside one. Raises ParamsError."""
    variables = vars(sys.modules["__main__"])
    if variables.get("study") != study:
        return {}
    names = declared_params(notebook_path(step))
    params = {name: variables[name] for name in names if name in variables}
    # papermill injects an unknown name and runs on; its cell is in the kernel's history
    injected = [cell for cell in variables.get("In", []) if cell.startswith("# Parameters\n")]
    unknown = re.findall(r"^(\w+) = ", injected[-1], re.MULTILINE) if injected else []
    params |= {name: variables.get(name, "") for name in unknown}
    require_params(step, params, "parameters")
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
        who = read_json(holder).get("pid", "unknown")
        raise RuntimeError(
            f"{step} of {folder.name} is already running in process {who}; "
            "wait for it, or close that notebook's kernel"
        ) from None
    facts = {"pid": os.getpid(), "process_started": psutil.Process().create_time()}
    write_json(holder, {**facts, "runner": os.environ.get("CLINICAL_CAMEL_RUNNER", "")})
    return lock


def _set_seeds(seed: int) -> None:
    """Seed what the notebook has imported; importing torch for its seed alone costs two seconds."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _set_theme() -> None:
    if importlib.util.find_spec("seaborn"):
        seaborn = importlib.import_module("seaborn")
        seaborn.set_theme(style="ticks", palette="colorblind", rc={"figure.dpi": 110})


def _quiet() -> None:
    """Keep executed notebooks short and free of this machine's paths."""
    warnings.formatwarning = lambda message, category, *_: (
        f"{category.__name__}: {' '.join(str(message).split())}\n"
    )
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    switches = {
        "datasets": ("HF_DATASETS_DISABLE_PROGRESS_BARS", "datasets", "disable_progress_bars"),
        "transformers": (
            "HF_HUB_DISABLE_PROGRESS_BARS",
            "transformers.utils.logging",
            "disable_progress_bar",
        ),
    }
    for package, (variable, module, switch) in switches.items():
        os.environ.setdefault(variable, "1")  # read when the package is imported
        if package in sys.modules:
            getattr(importlib.import_module(module), switch)()


def _stop_like_ctrl_c() -> None:
    """In a kernel, SIGTERM raises KeyboardInterrupt, so that `finally` blocks run.

    A rented machine that is taken back sends SIGTERM; the default action would skip them.
    """
    if "ipykernel" not in sys.modules or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt("SIGTERM")

    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, interrupt)


class Run:
    """One step of one study while it runs; made by `start`. The only writer of results."""

    def __init__(
        self, study: str, step: str, seed: int, params: dict[str, Any], lock: FileLock
    ) -> None:
        self.study, self.step = study, step
        self.final = launch.results(study, root()) / step
        self.dir = self.final.with_name(f".{step}.partial")
        self._lock = lock
        self._journals: dict[str, Journal] = {}
        self._finished = False
        self._clock, self._meter = time.monotonic(), Meter()
        earlier = self._prepare_folder(params)
        commit_hash, dirty = commit()
        attempt = {"started": now(), "commit": commit_hash, "source_hash": source_hash()}
        self._record: dict[str, Any] = {
            "study": study,
            "step": step,
            "status": "running",
            "headline": "",
            "started": attempt["started"],
            "seconds": 0.0,
            "attempts": [*earlier, attempt],  # more than one: interrupted and taken up again
            "commit": commit_hash,
            "dirty": dirty,
            "notebook_hash": code_hash(read_cells(notebook_path(step))),
            "seed": seed,
            "params": params,
            "device": device(),
            "versions": versions(),
            "peak_memory_mb": 0,
            "notes": {},
            "artefacts": {},
        }
        self._save_record()

    def _prepare_folder(self, params: dict[str, Any]) -> list[dict[str, str]]:
        """Take up an interrupted run of the same parameters; put one of others aside.

        Journals stay either way: each carries the key that says when it may be used.
        Returns the attempts that this run goes on from.
        """
        previous = previous_of(self.final)
        if previous.exists() and not self.final.exists():  # killed between the two renames
            previous.replace(self.final)
        before = read_json(self.dir / "run.json")
        _time_attempt(before.get("attempts", []), self.dir)
        same = before.get("params", params) == json.loads(json.dumps(params, default=plain))
        if not same:
            self._put_aside(before["params"], params)
        self.dir.mkdir(exist_ok=True)
        for file in self.dir.iterdir():  # tables of the interrupted run: each is written anew
            if file.suffix in (".csv", ".png", ".jsonl") and not file.name.startswith("journal_"):
                file.unlink()
        attempts = before.get("attempts", []) if same else []
        if attempts and attempts[-1]["source_hash"] != source_hash():
            where = relative(self.dir)
            print(f"the code changed since the interrupted run; to start afresh delete {where}")
        return attempts

    def _put_aside(self, before: dict[str, Any], params: dict[str, Any]) -> None:
        old = self.dir.with_name(f"{self.dir.name}_old")
        shutil.rmtree(old, ignore_errors=True)
        self.dir.replace(old)
        self.dir.mkdir()
        for journal in old.glob("journal_*.jsonl"):
            journal.replace(self.dir / journal.name)
        changed = sorted(k for k in before | params if before.get(k) != params.get(k))
        print(f"the interrupted run had another {', '.join(changed)}: starting afresh")

    def settings(self, kind: type[SettingsT]) -> SettingsT:
        """The validated settings of this run, with the defaults of nested groups filled in.

        Raises SettingsError with every problem, one line each.
        """
        return kind.require(self._record["params"], "parameters")

    def journal(self, name: str, key: Any) -> Journal:
        """The journal `journal_<name>.jsonl`: `.done` (id -> payload) and `.append(id, payload)`.

        `key` is everything that decides what an entry would be: model, data and settings.
        """
        self._check_open(name)
        if name in self._journals:
            self._journals[name].close()
        self._journals[name] = Journal(self.dir / f"journal_{name}.jsonl", key)
        return self._journals[name]

    def persistent_file(self, name: str) -> Path:
        """The path of a file that outlives this run and its result, such as a ledger of replies.

        In outputs/<study>/.<step>.kept/: not part of any result, never replaced, not in git.
        """
        self._check_open(name)
        file = persistent_path(self.study, self.step, name)
        file.parent.mkdir(exist_ok=True)
        return file

    def save_table(self, table: Any, name: str) -> Any:
        """Write a data frame as <name>.csv (10 significant digits, no index) and return it."""
        self._check_open(name)
        if len(table.columns) == 0:
            raise ValueError(f"table {name} has no columns")
        text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
        write_bytes(self.dir / f"{name}.csv", text.encode())
        return table

    def save_rows(self, rows: Iterable[Any], name: str) -> int:
        """Write dataclass rows or dicts as <name>.jsonl, one a line; return how many."""
        self._check_open(name)
        lines = [json.dumps(r, ensure_ascii=False, default=plain, allow_nan=False) for r in rows]
        write_bytes(self.dir / f"{name}.jsonl", "".join(f"{s}\n" for s in lines).encode())
        return len(lines)

    def save_figure(self, figure: Any, name: str, alt: str) -> None:
        """Write a figure (or the figure of an axes) as <name>.png and show it once with `alt`.

        `alt` says in words what the figure shows, for readers who do not see it. The same figure
        gives the same bytes: no date and no software version goes into the file.
        """
        self._check_open(name)
        if not alt.strip():
            raise ValueError(f"figure {name} needs a text that says what it shows: alt=...")
        figure = getattr(figure, "figure", figure)
        png = io.BytesIO()
        figure.savefig(png, dpi=110, bbox_inches="tight", metadata={"Software": None})
        write_bytes(self.dir / f"{name}.png", png.getvalue())
        importlib.import_module("matplotlib.pyplot").close(figure)  # or it is shown a second time
        _show(png.getvalue(), alt)

    def note(self, **facts: Any) -> None:
        """Add facts to run.json under `notes`: model and data revisions, hashes, counts."""
        self._check_open("note")
        self._record["notes"] |= facts
        self._save_record()

    def finish(self, headline: str) -> None:
        """Record what was made and put it in place; the last cell of every notebook.

        The earlier result is kept as .<step>.previous; both changes are renames.
        """
        self._check_open("finish")
        if not headline.strip():
            raise ValueError("finish needs a headline: one line that says what came out")
        self._close_journals()
        self._record |= {
            "status": "complete",
            "headline": " ".join(headline.split()),
            "seconds": round(time.monotonic() - self._clock, 1),
            "device": device(),
            "artefacts": hash_folder(self.dir, skip=(*NOT_RESULTS, "run.json")),
            **peak_memory(),
            **self._meter.used(),
        }
        self._save_record()
        swap_in(self.dir, self.final)
        self._finished = True
        _open_runs.pop(self.final, None)
        self._lock.release()
        where = relative(self.final)
        print(f"{where}  {self._record['seconds']:.0f} s  {self._record['peak_memory_mb']} MB")

    def _check_open(self, name: str) -> None:
        if self._finished:
            raise RuntimeError(f"{self.step} is finished; call runs.start again to write {name}")
        if not _TABLE_NAME.fullmatch(name):
            raise ValueError(f"name {name!r}: use small letters, digits and _")

    def _close_journals(self) -> None:
        for journal in self._journals.values():
            journal.close()

    def _save_record(self) -> None:
        write_json(self.dir / "run.json", self._record)


def persistent_path(study: str, step: str, name: str) -> Path:
    """The path of `Run.persistent_file`, for a command outside the notebook."""
    return launch.results(study, root()) / f".{step}.kept" / f"{name}.sqlite"


def _time_attempt(attempts: list[dict[str, Any]], folder: Path) -> None:
    """Says of an interrupted attempt how long it ran, as far as the files that it wrote show."""
    if attempts and "seconds" not in attempts[-1]:
        last = max((f.stat().st_mtime for f in folder.rglob("*") if f.is_file()), default=0.0)
        began = datetime.fromisoformat(attempts[-1]["started"]).timestamp()
        attempts[-1]["seconds"] = round(max(0.0, last - began), 1)


def collect(step: str, table: str) -> Any:
    """One table of a step, stacked over all studies, with the study as first column.

    Read from the CSV files, so every figure can be redrawn without a GPU. outputs/scratch/
    (exercises) is left out. Raises FileNotFoundError if no study has the table.
    """
    import pandas as pd

    frames = []
    for file in sorted((root() / "outputs").glob(f"*/{step}/{table}.csv")):
        study = file.parts[-3]
        if study != "scratch" and not study.startswith("."):
            # only an empty field is missing: an answer "None" or "NA" is a text
            frame = pd.read_csv(file, keep_default_na=False, na_values=[""])
            frame.insert(0, "study", study)
            frames.append(frame)
    if not frames:
        raise FileNotFoundError(
            f"no study has outputs/<study>/{step}/{table}.csv; run {step} first"
        )
    return pd.concat(frames, ignore_index=True)


def costs() -> Any:
    """What each complete step of every study took: study, step, seconds, peak memory, device.

    From the run.json files; never saved as a table, since no two runs take the same time.
    """
    import pandas as pd

    rows = []
    for file in sorted((root() / "outputs").glob("*/*/run.json")):
        record = read_json(file)
        study, step = file.parts[-3:-1]  # hidden folders hold earlier and unfinished results
        if record.get("status") == "complete" and study != "scratch" and step[0] != ".":
            kind = ", ".join(record["device"].get("gpu", [])) or record["device"]["cpu"]
            row = {name: record[name] for name in ("study", "step", "seconds", "peak_memory_mb")}
            rows.append(row | {"device": kind})
    return pd.DataFrame(rows)


def _show(png: bytes, alt: str) -> None:
    ipython = sys.modules.get("IPython", SimpleNamespace(get_ipython=lambda: None))
    if ipython.get_ipython() is not None:
        display = importlib.import_module("IPython.display").display
        data = {"image/png": png, "text/plain": alt}
        display(data, raw=True, metadata={"image/png": {"alt": alt}})
