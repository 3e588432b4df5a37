"""The record of a run, run.json, as others read it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clinical_camel.core.files import read_json

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


def sum_seconds(record: Mapping[str, Any]) -> float:
    """Return the seconds by the clock of a run and its interrupted attempts.

    An attempt ends with the last file that it wrote. Pauses and lost work count.

    >>> sum_seconds({"seconds": 2.0, "attempts": [{"seconds": 1.5}, {}]})
    3.5
    """
    attempts = sum(attempt.get("seconds", 0.0) for attempt in record["attempts"])
    return record["seconds"] + attempts


def is_resumed(record: Mapping[str, Any]) -> bool:
    """Return whether a run found all its answers in the journal of an earlier one.

    Its seconds and its memory are then those of the end only.
    """
    computed = record.get("notes", {}).get("computed")  # counts by model
    return bool(computed) and not any(computed.values())
