"""Results of several studies, collected: run records, tables, costs."""

from pathlib import Path
from typing import Any

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root

RECORD_KEYS = {  # what every reader of a run.json relies on
    "study": str,
    "step": str,
    "status": str,
    "headline": str,
    "seconds": float | int,
    "attempts": list,
    "peak_memory_mb": int,
    "params": dict,
    "device": dict,
    "notes": dict,
    "artefacts": dict,
}


def read_run_record(folder: Path) -> dict[str, Any]:
    """Return the run.json of a result folder; {} if it is missing, damaged or lacks a key."""
    record = read_json(folder / "run.json")
    is_whole = all(isinstance(record.get(key), kind) for key, kind in RECORD_KEYS.items())
    return record if is_whole else {}


def collect_table(step: str, table: str) -> Any:
    """Return one table of a step, concatenated over all studies, the study as first column.

    Read from the CSV files, so every figure can be redrawn without a GPU. outputs/scratch/ (the
    exercises) is excluded. Raises FileNotFoundError if no study has the table.
    """
    import pandas as pd

    frames = []
    for file in sorted((root() / "outputs").glob(f"*/{step}/{table}.csv")):
        study = file.parts[-3]
        if study != "scratch" and not study.startswith("."):
            # only an empty field is missing: an answer "None" or "NA" is text
            frame = pd.read_csv(file, keep_default_na=False, na_values=[""])
            frame.insert(0, "study", study)
            frames.append(frame)
    if not frames:
        raise FileNotFoundError(
            f"no study has outputs/<study>/{step}/{table}.csv; run {step} first"
        )
    return pd.concat(frames, ignore_index=True)


def collect_costs() -> Any:
    """Return study, step, seconds, peak memory and device of each complete step of all studies.

    From the run.json files. Not saved as a table, since no two runs take the same time.
    """
    import pandas as pd

    rows = []
    for file in sorted((root() / "outputs").glob("*/*/run.json")):
        record = read_run_record(file.parent)
        study, step = file.parts[-3:-1]  # hidden folders: earlier and unfinished results
        if record.get("status") == "complete" and study != "scratch" and step[0] != ".":
            device = ", ".join(record["device"].get("gpu", [])) or record["device"].get("cpu", "")
            row = {name: record[name] for name in ("study", "step", "seconds", "peak_memory_mb")}
            rows.append(row | {"device": device})
    return pd.DataFrame(rows)
