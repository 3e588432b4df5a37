"""sha256 of files and of values."""

import hashlib
import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any


def to_jsonable(value: Any) -> Any:
    """Convert what `json` cannot write: dataclass rows, settings, numpy scalars and arrays."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def key_hash(key: Any) -> str:
    """Return the sha256 of the canonical JSON of `key`."""
    text = json.dumps(
        key, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=to_jsonable
    )
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(file: Path) -> str:
    """Return the sha256 of a file."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
