"""README.md: what we found, and its tables, from params/ and the committed results."""

import html
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clinical_camel.core.files import write_bytes
from clinical_camel.core.paths import root
from clinical_camel.core.settings import Incomplete
from clinical_camel.release.model_sizes import format_size_table
from clinical_camel.release.records import (
    EXAM,
    TRAINING,
    format_device,
    format_table,
    require_artefact,
    require_same_adapter,
)
from clinical_camel.results import Results, format_readme
from clinical_camel.runner.jobs import PlanError
from clinical_camel.runs.params_files import (
    SWEEP_FILE,
    list_params_files,
    list_studies,
    load_params,
)
from clinical_camel.runs.run_json import is_resumed, read_run_record, sum_seconds
from clinical_camel.runs.sweeps import list_runs

BEGIN, END = "<!-- studies:begin -->", "<!-- studies:end -->"
FINDINGS_BEGIN, FINDINGS_END = "<!-- findings:begin -->", "<!-- findings:end -->"
SIZES_BEGIN, SIZES_END = "<!-- sizes:begin -->", "<!-- sizes:end -->"
NOT_RUN = "not run yet"
MINUTES = "minutes, summed over tasks"  # tasks of a sweep may run at the same time
HEADLINES = (EXAM, "04_note_synthesis", "07_reward_and_rl")
TRAININGS = (TRAINING, "07_reward_and_rl")  # a study without these, and no sweep, trains no model


def format_study_table() -> str:
    """Return one row per study with results as a Markdown table, then a fold.

    In the fold are the headlines of these studies, the studies that train no model (TRAININGS),
    sweeps with runs but without a result of a final step, and studies that have not run.

    `results`: executed notebooks and tables are committed. `tables`: only tables are, because the
    notebooks quote texts of others. The headline is that of step 03, else 04, else 07, else the
    first.
    """
    committed = set(_list_committed())
    rows = [_describe_study(study, committed) for study in list_studies()]
    shown, headlines, made, runs, missing = [], [], [], [], []
    for row in rows:
        text = f"{row['study']}: {row['what it is']}"
        if row["state"] == NOT_RUN:
            missing.append(text)
        elif "headline" not in row:
            runs.append(f"{text} {row['state']}.")
        elif row.pop("is_folded"):
            made.append(f"{text} {row['state']}: {row['headline']}.")
        else:
            headlines.append(f"{row['study']}: {html.escape(row.pop('headline'), quote=False)}")
            shown.append(row)
    titles = ["Headlines of these studies"] * bool(headlines)
    counts = [f"{len(made)} that train no model"] * bool(made)
    counts += [f"{len(runs)} whose final step has not run"] * bool(runs)
    counts += [f"{len(missing)} not run yet"] * bool(missing)
    titles += [f"more studies: {', '.join(counts)}"] * bool(counts)
    if not titles:
        return format_table(shown)
    title = "; ".join(titles)
    texts = [*headlines, "", *made, *runs, *missing] if headlines else made + runs + missing
    fold = f"<details><summary>{title[0].upper()}{title[1:]}</summary>"
    machine = _shorten_machine(shown)
    return "\n".join([format_table(machine), "", fold, "", "<br>".join(texts), "</details>"])


def _shorten_machine(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows with the machine in the header, instead of a column, if there is only one."""
    if len({row["machine"] for row in rows}) != 1:
        return rows
    names = {MINUTES: f"{MINUTES}, {rows[0]['machine']}"}
    return [{names.get(k, k): v for k, v in row.items() if k != "machine"} for row in rows]


def format_findings() -> str:
    """Return what we found, with the settings of params/results/00_results.yaml.

    Raises PlanError for a table that is not as its run wrote it.
    """
    settings = Results.require(load_params("results", "00_results"), "params/results")
    try:
        return format_readme(settings)
    except Incomplete as error:
        raise PlanError(str(error)) from None


def update_readme(file: Path) -> None:
    """Replace the text between the markers of a README: the studies; findings, sizes if marked.

    Raises PlanError if the markers of the studies are missing.
    """
    text = file.read_text(encoding="utf-8")
    text = _replace(text, file.name, (BEGIN, END), format_study_table())
    if FINDINGS_BEGIN in text:
        text = _replace(text, file.name, (FINDINGS_BEGIN, FINDINGS_END), format_findings())
    if SIZES_BEGIN in text:
        text = _replace(text, file.name, (SIZES_BEGIN, SIZES_END), format_size_table())
    write_bytes(file, text.encode())


def _replace(text: str, name: str, markers: tuple[str, str], table: str) -> str:
    before, begin, rest = text.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not (begin and end):
        raise PlanError(f"{name}: no markers for the table; write {markers[0]} and {markers[1]}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def _list_committed() -> Iterator[str]:
    """Yield the files of outputs/ that git tracks; all files in a folder without git."""
    try:
        command = ["git", "-C", str(root()), "ls-files", "-z", "outputs"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        yield from done.stdout.split("\0")
    except (OSError, subprocess.SubprocessError):
        yield from (f.relative_to(root()).as_posix() for f in (root() / "outputs").rglob("*"))


def _describe_study(study: str, committed: set[str]) -> dict[str, str]:
    files = list_params_files(study)
    sweep = root() / "params" / study / SWEEP_FILE
    purpose = read_purpose(sweep if sweep.is_file() else files[0])
    row = {"study": f"[{study}](params/{study})", "what it is": purpose}
    folder = f"outputs/{study}"
    steps = [f.stem for f in files if f"{folder}/{f.stem}/run.json" in committed]
    records = {step: read_run_record(root() / folder / step) for step in steps}
    records = {step: r for step, r in records.items() if r.get("status") == "complete"}
    for step, record in records.items():
        _require_own_files(study, step, record)
    if records.keys() >= {TRAINING, EXAM}:
        require_same_adapter(study, records[TRAINING], records[EXAM])
    if not records:
        return row | {"state": _count_runs(study, committed) if sweep.is_file() else NOT_RUN}
    are_shared = all(f"{folder}/{step}.ipynb" in committed for step in records)
    state = f"[{'results' if are_shared else 'tables'}]({folder})"
    if len(records) < len(files):
        state += f", {len(records)} of {len(files)} steps"
    of_runs = _read_runs(study, committed) if sweep.is_file() else []
    if of_runs:
        state += f", {sum(map(bool, of_runs))} of {len(of_runs)} runs"
    every = [*records.values(), *(record for run in of_runs for record in run)]
    seconds = sum(map(sum_seconds, every))
    peaks = (r.get("peak_gpu_memory_mb", r["peak_memory_mb"]) for r in every)
    main = next((step for step in HEADLINES if step in records), next(iter(records)))
    return row | {
        "state": state,
        "machine": ", ".join(dict.fromkeys(map(format_device, records.values()))),
        MINUTES: _format_minutes(seconds, bool(of_runs) or any(map(is_resumed, every))),
        "peak memory (GB)": f"{max(peaks) * 2**20 / 10**9:.1f}",
        "headline": records[main]["headline"],
        "is_folded": not sweep.is_file() and not any(f.stem in TRAININGS for f in files),
    }


def _count_runs(sweep: str, committed: set[str]) -> str:
    """Return how many runs of a sweep are committed, all of their steps but the first complete."""
    runs = _read_runs(sweep, committed)
    if not any(runs):
        return NOT_RUN
    return f"[tables](outputs/{sweep}), {sum(map(bool, runs))} of {len(runs)} runs"


def _read_runs(sweep: str, committed: set[str]) -> list[list[dict[str, Any]]]:
    """Return the run records of each run of a sweep; [] for one that is not complete.

    Step 01 of a run has none: its texts are not committed.
    """
    runs = []
    for run in list_runs(sweep):
        folders = [*run.folders.values()][1:]
        paths = [(folder / "run.json").relative_to(root()).as_posix() for folder in folders]
        records = [read_run_record(f) for f in folders] if committed.issuperset(paths) else []
        is_complete = all(record.get("status") == "complete" for record in records)
        runs.append(records if is_complete else [])
    return runs


def _format_minutes(seconds: float, is_part: bool) -> str:
    """Return the minutes; "over" them if they are a part of all: of a sweep, whose step 01 has no
    record, and of a run that found its answers in the journal of an earlier one.

    >>> _format_minutes(30.0, False), _format_minutes(600.0, True)
    ('0.5', 'over 10')
    """
    minutes = f"{seconds / 60:.0f}" if seconds >= 60 else f"{seconds / 60:.1f}"
    return f"over {minutes}" if is_part else minutes


def _require_own_files(study: str, step: str, record: Mapping[str, Any]) -> None:
    """Raise PlanError if a file of a result, of those on this machine, is not as its run wrote it.

    A clone has neither weights nor texts that may not be shared, so a file may be missing.
    """
    folder = root() / "outputs" / study / step
    for name in record["artefacts"]:
        if (folder / name).is_file():
            require_artefact(study, step, name)


def read_purpose(file: Path) -> str:
    """Return the first paragraph of the comment at the top of a params file.

    Raises PlanError for a file without such a comment.
    """
    comment = re.match(r"(# .*\n)+", file.read_text(encoding="utf-8"))
    if not comment:
        raise PlanError(f"{file.name}: no comment in its first line; write what the study is")
    return " ".join(line.removeprefix("# ") for line in comment.group().splitlines())
