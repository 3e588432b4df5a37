"""The recorded replies of an earlier run as the teacher: no model, no network."""

import functools
import hashlib
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clinical_camel.core.companions import list_companions
from clinical_camel.core.paths import root
from clinical_camel.teachers.cache import REPEATED, require_intact
from clinical_camel.teachers.settings import Replay
from clinical_camel.teachers.teacher import Query, Reply, Teacher

COLUMNS = {
    "attempts": {"id", "prompt", "model", "settings"},
    "replies": {"attempt", "status", "body", "received"},
}
NO_REPLY = "the recorded ledger has no reply to this prompt"


class ReplayTeacher(Teacher):
    """Replies from a recorded ledger, by the prompt that they answered.

    The ledger is only read: it may be the study's own, a copy, or on a read-only disk.
    """

    name = "replay"
    prompted = True

    def __init__(self, settings: Replay, setting: str = "teacher") -> None:
        file = root() / settings.ledger
        if not file.is_file():
            raise ValueError(f"{setting}.ledger: {settings.ledger} is not a file; name a ledger")
        self._db = open_recorded(file, f"{setting}.ledger: {settings.ledger}")
        self.settings, self.model, self.terms = settings, settings.ledger, settings.terms

    @functools.cached_property
    def _attempts(self) -> dict[str, list[int]]:
        """The attempts of one model that answered each prompt, in the order of their replies."""
        query = "SELECT prompt, id, model, settings FROM attempts JOIN replies ON id = attempt"
        attempts: dict[str, list[int]] = defaultdict(list)
        models: dict[str, list[str]] = {}
        query += " AND status = 200 AND settings <> ? ORDER BY id"
        for prompt, attempt, *model in self._db.execute(query, (REPEATED,)):
            if models.setdefault(prompt, model) == model:
                attempts[prompt].append(attempt)
        return attempts

    @property
    def readings(self) -> Path | None:
        """The table beside the ledger, <ledger>_readings.csv, if it exists."""
        return next(iter(list_companions(root() / self.settings.ledger, "ledger")), None)

    def describe(self) -> dict[str, Any]:
        """Add what the ledger states: see `describe_replies`."""
        return super().describe() | describe_replies(self._db)

    def has_reply(self, query: Query, ledger: Any) -> bool:
        return len(self._attempts.get(query.provenance["prompt"], ())) > query.round

    def fetch_reply(self, query: Query, ledger: Any) -> Reply:
        if not self.has_reply(query, ledger):
            return {"failed": NO_REPLY}
        attempt = self._attempts[query.provenance["prompt"]][query.round]
        row = self._db.execute("SELECT body FROM replies WHERE attempt = ?", (attempt,)).fetchone()
        return {"raw": row[0].decode(errors="replace")}


def describe_replies(db: sqlite3.Connection) -> dict[str, Any]:
    """Return who wrote the replies of a ledger, how many, when (UTC), and their prompts.

    `prompts_sha256` hashes the sorted prompt hashes, each once, one a line.
    """
    query = "SELECT prompt, model, received FROM attempts JOIN replies ON id = attempt"
    rows = db.execute(f"{query} AND status = 200").fetchall()
    days = sorted({f"{datetime.fromtimestamp(row[2], UTC):%Y-%m-%d}" for row in rows})
    prompts = sorted({row[0] for row in rows})
    return {
        "written_by": "; ".join(sorted({row[1] for row in rows})),
        "replies": len(rows),
        "prompts": len(prompts),
        "recorded": " to ".join(dict.fromkeys([*days[:1], *days[-1:]])),
        "prompts_sha256": hashlib.sha256("\n".join(prompts).encode()).hexdigest(),
    }


def open_recorded(file: Path, name: str) -> sqlite3.Connection:
    """Open a ledger to read it; not a byte beside it is written.

    After a kill the last replies are in its write-ahead log, which cannot be read without writing:
    then a temporary copy is opened. Raises ValueError, which begins with `name`, for any other
    file.
    """
    log = file.with_name(f"{file.name}-wal")
    if log.is_file() and log.stat().st_size:
        with tempfile.TemporaryDirectory() as folder:
            for part in (file, log):
                shutil.copy(part, folder)
            copied = sqlite3.connect(Path(folder, file.name))
            db = sqlite3.connect(":memory:")
            with copied:
                copied.backup(db)
            copied.close()
    else:
        address = f"{file.resolve().as_uri()}?mode=ro&immutable=1"
        db = sqlite3.connect(address, uri=True, check_same_thread=False)
    try:
        require_intact(db)
        for table, columns in COLUMNS.items():
            present = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
            if not columns <= present:
                db.close()
                raise ValueError(f"{name} is a database, but not a ledger")
    except sqlite3.DatabaseError as error:
        db.close()
        raise ValueError(f"{name} is not a ledger ({error})") from error
    return db
