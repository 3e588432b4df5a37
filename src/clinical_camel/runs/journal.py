"""A file of finished pieces of work, so that a killed run loses nothing it has paid for.

One JSON line per answer, note or reply, on disk as it comes. A step is handed the journal and
sees only `done` and `append`: it opens no file itself.
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
    """Finished pieces by id: `done` holds what is on disk, `append` adds one. Thread-safe.

    The first line holds the hash of `key`. A journal under another key is set aside under
    the first eight digits of its own hash and taken up again when its key comes back. A last
    line torn by a kill is cut off; a damaged line elsewhere raises ValueError with its number.
    """

    def __init__(self, file: Path, key: Any) -> None:
        self.file = file
        self.key = key_hash(key)
        self.done: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._synced = time.monotonic()
        self._set_aside_others()
        end = self._load() if file.exists() else 0
        self._handle = file.open("ab", buffering=0)
        self._handle.truncate(end)
        if end == 0:
            self._write({"journal_key": self.key})

    def append(self, id: str, payload: Any) -> None:
        """Write one finished piece; it is in `done` and on disk when this returns."""
        with self._lock:
            if self._handle.closed:
                raise ValueError(f"{self.file.name} is closed: the run is finished")
            # as it will be read after a restart: a resumed run must not see other types
            self.done[id] = self._write({"id": id, "payload": payload})["payload"]

    def close(self) -> None:
        """Sync and close; twice is fine."""
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
        if written != len(line):  # a full disk takes half a line and says nothing
            self._handle.truncate(end)
            raise OSError(f"{self.file.name}: no room for {len(line)} bytes; free some")
        if time.monotonic() - self._synced >= FSYNC_EVERY:
            os.fsync(self._handle.fileno())
            self._synced = time.monotonic()
        return json.loads(line)

    def _set_aside_others(self) -> None:
        """Move a journal with another key away, and bring back an earlier one with this key."""
        if self.file.exists():
            key = _first_key(self.file)
            if key == self.key:
                return
            if key:
                self.file.replace(self._aside(key))
            elif b"\n" in self.file.read_bytes():
                raise ValueError(f"{self.file.name}, line 1: damaged; it held the journal's key")
            else:
                self.file.unlink()  # torn before its first line was whole: it holds nothing
        if self._aside(self.key).exists():
            self._aside(self.key).replace(self.file)

    def _aside(self, key: str) -> Path:
        return self.file.with_name(f"{self.file.stem}.{key[:8]}.jsonl")

    def _load(self) -> int:
        """Fill `done`; return where the last whole line ends."""
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


def _first_key(file: Path) -> str:
    with file.open("rb") as lines:
        return (_parse(lines.readline()) or {}).get("journal_key", "")


def _parse(line: bytes) -> dict[str, Any] | None:
    """The record of a whole line; None for a torn or damaged one."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
