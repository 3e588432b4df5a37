"""A file of finished pieces of work, so that a killed run loses nothing that it computed or paid.

One JSON line per answer, note or reply, on disk at once. A step gets the journal as an argument
and uses only `done` and `append`: it opens no file itself.
"""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from clinical_camel.core.hashing import key_hash, to_jsonable

FSYNC_EVERY = 1.0  # seconds; a flush survives a killed process, a sync a killed machine


class Journal:
    """Finished pieces by id: `done` has those on disk, `append` adds one. Thread-safe.

    The first line contains the hash of `key`. A journal with another key is renamed by the first
    eight digits of its hash, and renamed back when its key returns. A last line torn by a kill is
    removed; a damaged line elsewhere raises ValueError with its number.
    """

    def __init__(self, file: Path, key: Any) -> None:
        self.file = file
        self.key = key_hash(key)
        self.done: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._synced = time.monotonic()
        self._swap_files()
        end = self._load() if file.exists() else 0
        self._handle = file.open("ab", buffering=0)
        self._handle.truncate(end)
        if end == 0:
            self._write({"journal_key": self.key})

    def append(self, id: str, payload: Any) -> None:
        """Write one finished piece; afterwards it is in `done` and on disk."""
        with self._lock:
            if self._handle.closed:
                raise ValueError(f"{self.file.name} is closed: the run is finished")
            # with the types that a resumed run will read
            self.done[id] = self._write({"id": id, "payload": payload})["payload"]

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        with self._lock:
            if not self._handle.closed:
                os.fsync(self._handle.fileno())
                self._handle.close()

    def _write(self, record: dict[str, Any]) -> dict[str, Any]:
        line = json.dumps(record, ensure_ascii=False, default=to_jsonable).encode() + b"\n"
        end = self._handle.seek(0, os.SEEK_END)
        try:
            written = self._handle.write(line)
        except OSError:
            self._handle.truncate(end)
            raise
        if written != len(line):  # a full disk writes half a line without an error
            self._handle.truncate(end)
            raise OSError(
                f"{self.file.name}: disk full, {len(line)} bytes not written; free some space"
            )
        if time.monotonic() - self._synced >= FSYNC_EVERY:
            os.fsync(self._handle.fileno())
            self._synced = time.monotonic()
        return json.loads(line)

    def _swap_files(self) -> None:
        """Rename a journal with another key, and rename an earlier one with this key back."""
        if self.file.exists():
            key = _read_key(self.file)
            if key == self.key:
                return
            if key:
                self.file.replace(self._inactive_file(key))
            elif b"\n" in self.file.read_bytes():
                raise ValueError(
                    f"{self.file.name}, line 1: damaged, and it contains the key; delete it"
                )
            else:
                self.file.unlink()  # torn in its first line: it is empty
        if self._inactive_file(self.key).exists():
            self._inactive_file(self.key).replace(self.file)

    def _inactive_file(self, key: str) -> Path:
        return self.file.with_name(f"{self.file.stem}.{key[:8]}.jsonl")

    def _load(self) -> int:
        """Fill `done`; return where the last complete line ends."""
        end = 0
        with self.file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                record = _parse(line)
                if record is None:
                    if lines.read(1):
                        raise ValueError(f"{self.file.name}, line {number}: damaged; delete it")
                    break
                if "id" in record:
                    self.done[record["id"]] = record["payload"]
                end += len(line)
        return end


def _read_key(file: Path) -> str:
    with file.open("rb") as lines:
        return (_parse(lines.readline()) or {}).get("journal_key", "")


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the record of a complete line; None for a torn or damaged one."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
