"""Files written completely or not at all, and folders swapped by renames."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clinical_camel.core.hashing import hash_file, to_jsonable

NOT_RESULTS = ("journal_", "checkpoint-")  # for resuming; neither hashed nor committed


def now() -> str:
    """Return the time in UTC, to the microsecond, so that no two runs share it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file completely or not at all: a side file, synced, then renamed."""
    partial = file.with_name(f".{file.name}.tmp")
    try:
        with partial.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        error.filename = error.filename or file.name  # a full disk names no file
        raise


def write_json(file: Path, value: Any) -> None:
    """Write a JSON file completely or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=2, ensure_ascii=False, default=to_jsonable)
    write_bytes(file, f"{text}\n".encode())


def read_json(file: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file; {} if the file is missing or damaged."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def swap_in(partial: Path, final: Path) -> None:
    """Put a finished folder in place by renames; the earlier one becomes .<step>.previous."""
    previous = previous_path(final)
    if final.exists():
        shutil.rmtree(previous, ignore_errors=True)
        final.replace(previous)
    partial.replace(final)


def previous_path(final: Path) -> Path:
    """Return where `swap_in` keeps the earlier result of a folder."""
    return final.with_name(f".{final.name}.previous")


def list_results(folder: Path, skip: tuple[str, ...] = NOT_RESULTS) -> list[Path]:
    """Return the files of a folder, sorted, except paths with a part that starts as in `skip`."""

    def is_result(file: Path) -> bool:
        return not any(part.startswith(skip) for part in file.relative_to(folder).parts)

    return sorted(f for f in folder.rglob("*") if f.is_file() and is_result(f))


def hash_folder(folder: Path, skip: tuple[str, ...] = NOT_RESULTS) -> dict[str, str]:
    """Return the sha256 of each result file, by its path inside the folder."""
    return {f.relative_to(folder).as_posix(): hash_file(f) for f in list_results(folder, skip)}
