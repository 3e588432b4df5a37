"""The ledger of what was asked and what came back: an append-only SQLite file.

An attempt is written before its request leaves, with the most that it can cost; a reply is written
as it was received, before it is parsed. So whatever is killed, and whenever: what was received is
here, what may have been paid is counted, and nothing is asked for twice.

One ledger has one writer: each shard of a large run has its own. A commit survives a killed
process; a killed machine may lose what came after the last checkpoint (WAL, synchronous=NORMAL),
which costs money but no truth: those replies are asked for again.
"""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from clinical_camel.dbke.teachers import shards

SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, request TEXT NOT NULL, article TEXT NOT NULL,
    prompt TEXT NOT NULL, model TEXT NOT NULL, settings TEXT NOT NULL, begun REAL NOT NULL,
    most_in INTEGER NOT NULL, most_out INTEGER NOT NULL,
    price_in REAL NOT NULL, price_out REAL NOT NULL);
CREATE INDEX IF NOT EXISTS attempts_of ON attempts (key);
CREATE TABLE IF NOT EXISTS replies (
    attempt INTEGER PRIMARY KEY REFERENCES attempts, key TEXT NOT NULL, status INTEGER NOT NULL,
    body BLOB NOT NULL, received REAL NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS one_reply ON replies (key) WHERE status = 200;
CREATE VIEW IF NOT EXISTS usage AS SELECT attempts.*, status,
    CASE WHEN json_valid(CAST(body AS TEXT)) THEN CAST(body AS TEXT) ELSE '{}' END AS json
    FROM attempts LEFT JOIN replies ON attempt = id;
CREATE VIEW IF NOT EXISTS tokens AS SELECT id, key, request, status, price_in, price_out,
    CASE WHEN status <> 200 THEN 0
         WHEN json_type(json, '$.usage.prompt_tokens') = 'integer'
              AND json_extract(json, '$.usage.prompt_tokens') >= 0
         THEN json_extract(json, '$.usage.prompt_tokens') ELSE most_in END AS tokens_in,
    CASE WHEN status <> 200 THEN 0
         WHEN json_type(json, '$.usage.completion_tokens') = 'integer'
              AND json_extract(json, '$.usage.completion_tokens') >= 0
         THEN json_extract(json, '$.usage.completion_tokens') ELSE most_out END AS tokens_out
    FROM usage;
CREATE VIEW IF NOT EXISTS spending AS SELECT *,
    (tokens_in * price_in + tokens_out * price_out) / 1e6 AS money FROM tokens;
"""
for _table in ("attempts", "replies"):
    for _change in ("UPDATE", "DELETE"):
        SCHEMA += (
            f"CREATE TRIGGER IF NOT EXISTS {_table}_no_{_change} BEFORE {_change} ON {_table} "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;\n"
        )


CHECKPOINT = "wal_autocheckpoint=5000"  # pages; a checkpoint syncs, and everything waits
FACTS = ("request", "article", "prompt", "model", "settings")
_open: dict[Path, "Ledger"] = {}  # of this process: Run All twice takes its own ledger over


@dataclass(frozen=True, slots=True)
class Spent:
    """What all attempts took together; one without a reply counts with the most it can cost."""

    attempts: int
    replies: int
    tokens: int
    money: float


class Ledger:
    """Replies by key: `done` (a mapping to {"raw": body}) and `append`, as `runs.Journal` has them.

    `earlier` is a closed ledger whose replies and attempts count too and which is only read: that
    of the study, for a worker that writes a shard of it (see `shards`).

    An endpoint's requests go through `begin` and `receive`. The view `spending` has the tokens and
    the money of each attempt, for any reader of SQLite. RuntimeError if another process is in it.
    """

    def __init__(self, file: Path | str, earlier: Path | None = None) -> None:
        self.file = Path(file)
        if again := _open.get(self.file.resolve()):
            again.close()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            file, timeout=2, isolation_level=None, check_same_thread=False, uri=True
        )
        self._places = ("main", "earlier") if earlier else ("main",)
        try:
            for pragma in (
                "locking_mode=EXCLUSIVE",
                "journal_mode=WAL",
                "synchronous=NORMAL",
                CHECKPOINT,
            ):
                self._db.execute(f"PRAGMA {pragma}").fetchall()
            self._db.executescript("BEGIN IMMEDIATE;" + SCHEMA + "COMMIT;")
            if earlier:
                address = f"{earlier.resolve().as_uri()}?mode=ro&immutable=1"
                self._db.execute("ATTACH ? AS earlier", (address,))
        except sqlite3.OperationalError as error:
            self._db.close()
            raise RuntimeError(f"{self.file.name} is in use by another process") from error

        try:
            shards.take_in(self._db, self.file)
        except RuntimeError:
            self._db.close()
            raise
        _open[self.file.resolve()] = self

    @property
    def done(self) -> "Ledger":
        return self

    def __contains__(self, key: str) -> bool:
        return self._body(key) is not None

    def __getitem__(self, key: str) -> dict[str, str]:
        payload = self.get(key)
        if payload is None:
            raise KeyError(key)
        return payload

    def get(self, key: str) -> dict[str, str] | None:
        body = self._body(key)
        return None if body is None else {"raw": body.decode(errors="replace")}

    def _body(self, key: str) -> bytes | None:
        for place in self._places:
            query = f"SELECT body FROM {place}.replies WHERE key = ? AND status = 200"
            if row := self._db.execute(query, (key,)).fetchone():
                return row[0]
        return None

    def append(self, key: str, payload: dict[str, str]) -> None:
        """A reply that was written here and cost nothing; the rest of `payload` says of what."""
        attempt = self.begin(key, payload, (0, 0), (0.0, 0.0))
        self.receive(attempt, key, 200, payload["raw"].encode(errors="replace"))

    def begin(
        self,
        key: str,
        facts: dict[str, str],
        most: tuple[int, int],
        prices: tuple[float, float],
    ) -> int:
        """Write down an attempt before it leaves: `most` tokens in and out, `prices` a million.

        `facts` (see `Ask.facts`) are request, article, prompt, model and settings.
        """
        row = (key, *(facts.get(name, "") for name in FACTS), time.time(), *most, *prices)
        query = f"INSERT INTO attempts VALUES (NULL, {', '.join('?' * len(row))})"
        return self._db.execute(query, row).lastrowid

    def receive(self, attempt: int, key: str, status: int, body: bytes) -> None:
        """Write down a whole body as it was received; on disk when this returns (see `gather`)."""
        row = (attempt, key, status, body, time.time())
        self._db.execute("INSERT INTO replies VALUES (?, ?, ?, ?, ?)", row)

    @property
    def gathering(self) -> bool:
        """Whether writes wait for a commit."""
        return self._db.in_transaction

    def gather(self) -> None:
        """From here on writes are one transaction, on disk when `commit` returns, and not before.

        A commit costs more than a write: what happens within a moment shares one.
        """
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Put on disk what was written since `gather`; if that fails, none of it was written."""
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self.gathering:
                self._db.execute("ROLLBACK")
            raise

    def cost(self, attempt: int) -> tuple[int, float]:
        """Tokens and money of one attempt, as far as they are known."""
        query = "SELECT tokens_in + tokens_out, money FROM spending WHERE id = ?"
        return self._db.execute(query, (attempt,)).fetchone()

    def sends(self, key: str) -> int:
        """How often this was asked for already, by earlier runs too."""
        queries = (f"SELECT count(*) FROM {place}.attempts WHERE key = ?" for place in self._places)
        return sum(self._db.execute(query, (key,)).fetchone()[0] for query in queries)

    def recorded(self) -> dict[str, int]:
        """Which attempt answered which prompt, whichever model it was."""
        query = "SELECT prompt, id FROM attempts JOIN replies ON id = attempt AND status = 200"
        return dict(self._db.execute(f"{query} ORDER BY id DESC"))

    def body(self, attempt: int) -> str:
        """The reply to one attempt."""
        query = "SELECT body FROM replies WHERE attempt = ?"
        return self._db.execute(query, (attempt,)).fetchone()[0].decode(errors="replace")

    def spent(self) -> Spent:
        """Everything in this file."""
        query = (
            "SELECT count(*), count(CASE WHEN status = 200 THEN 1 END), "
            "coalesce(sum(tokens_in + tokens_out), 0), coalesce(sum(money), 0.0) FROM spending"
        )
        return Spent(*self._db.execute(query).fetchone())

    def close(self) -> None:
        """Leave one plain file, readable where nothing can be written beside it; twice is fine."""
        if _open.pop(self.file.resolve(), None) is not self:
            return
        if self.gathering:
            self.commit()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._db.execute("PRAGMA journal_mode=DELETE").fetchall()
        self._db.close()
