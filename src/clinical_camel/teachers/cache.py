"""The ledger: a cache of all requests and replies, in an append-only SQLite file.

An attempt is recorded with its maximum cost before its request leaves. A reply is recorded as
received, before it is parsed. After a kill at any moment the ledger therefore contains every
received reply, counts everything that may have been paid, and no reply is requested twice.

`status` is the HTTP status of a reply, or one of ours: UNSENT and SILENT cost nothing, CUT counts
with the maximum, NOT_A_COMPLETION with what it states. Only a complete chat completion (200) is
final: after any other status a later run sends the request again.

A ledger has one writer: each shard of a large run has its own file. A commit survives a killed
process. A killed machine may lose the commits after the last checkpoint (WAL, synchronous=NORMAL):
those replies are requested and paid again.
"""

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from clinical_camel.teachers import shards

UNSENT = 0  # no connection
SILENT = 1  # sent, and not a byte came back
CUT = 206  # a part of a reply with HTTP 200
NOT_A_COMPLETION = 299  # HTTP 200 with an error or a page in its body
REPEATED = "repeated prompt"  # instead of the settings: a further reply, which is not replayed
MOST_TOKENS = 10**9  # a larger count in a reply is nonsense


def _count_tokens(name: str, most: str) -> str:
    """Return SQL for the tokens of an attempt: as its reply states them, else the maximum."""
    value = f"json_extract(json, '$.usage.{name}')"
    return (
        f"CASE WHEN status NOT IN (200, {CUT}, {NOT_A_COMPLETION}) THEN 0.0 "
        f"WHEN json_type(json, '$.usage.{name}') = 'integer' "
        f"AND {value} BETWEEN 0 AND {MOST_TOKENS} THEN CAST({value} AS REAL) "
        f"WHEN status = {NOT_A_COMPLETION} THEN 0.0 ELSE CAST({most} AS REAL) END"
    )


SCHEMA = f"""
DROP VIEW IF EXISTS spending;
DROP VIEW IF EXISTS tokens;
DROP VIEW IF EXISTS usage;
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
CREATE TABLE IF NOT EXISTS dialects (
    id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL, dialect TEXT NOT NULL);
CREATE VIEW usage AS SELECT attempts.*, status,
    CASE WHEN json_valid(CAST(body AS TEXT)) THEN CAST(body AS TEXT) ELSE '{{}}' END AS json
    FROM attempts LEFT JOIN replies ON attempt = id;
CREATE VIEW tokens AS SELECT id, key, request, status, price_in, price_out,
    {_count_tokens("prompt_tokens", "most_in")} AS tokens_in,
    {_count_tokens("completion_tokens", "most_out")} AS tokens_out
    FROM usage;
CREATE VIEW spending AS SELECT *,
    (tokens_in * price_in + tokens_out * price_out) / 1e6 AS money FROM tokens;
"""
for _table in ("attempts", "replies"):
    for _change in ("UPDATE", "DELETE"):
        SCHEMA += (
            f"CREATE TRIGGER IF NOT EXISTS {_table}_no_{_change} BEFORE {_change} ON {_table} "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;\n"
        )

CHECKPOINT = "wal_autocheckpoint=5000"  # pages; a checkpoint syncs and blocks every writer
PROVENANCE = ("request", "article", "prompt", "model", "settings")
_open: dict[Path, "Ledger"] = {}  # of this process: a second Run All reuses its own ledger


@dataclass(frozen=True, slots=True)
class Spending:
    """Totals over all attempts that were sent; one that a kill cut off counts with its maximum."""

    attempts: int
    replies: int
    tokens: int
    money: float


def require_intact(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if a part of the file is missing or overwritten."""
    (result,) = db.execute("PRAGMA main.quick_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(result.splitlines()[-1])


def _list_columns(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return table and column of each column; without the dialects, which early ledgers lack."""
    query = "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
    return db.execute(f"{query} WHERE m.type = 'table' AND m.name <> 'dialects'").fetchall()


def _explain(error: sqlite3.DatabaseError, file: Path) -> str:
    """Return why a ledger cannot be opened, and what to do."""
    if "locked" in str(error):
        return "is in use by another process; wait until it has ended"
    if isinstance(error, sqlite3.OperationalError):
        return f"cannot be opened ({error}); check the file and its folder"
    with file.open("rb") as opened:
        is_database = opened.read(15) == b"SQLite format 3"
    if not is_database:
        return "is not a ledger; move it away"
    return f"is damaged, or not a ledger of this version ({error}); {shards.RECOVER}"


class Ledger:
    """Replies by key: `done` (a mapping to {"raw": body}) and `append`, as in `runs.Journal`.

    `earlier` is a closed ledger that is only read and whose replies and attempts count as well: the
    study's ledger, for a worker that writes a shard of it (see `shards`).

    Requests to an endpoint use `record_attempt` and `record_reply`. The SQL view `spending` has
    the tokens and the money of each attempt. Raises RuntimeError if another process has the file
    open, and for a file that is damaged or no ledger.
    """

    def __init__(self, file: Path | str, earlier: Path | None = None) -> None:
        self.file = Path(file)
        if opened := _open.get(self.file.resolve()):
            opened.close()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._databases = ("main", "earlier") if earlier else ("main",)
        with contextlib.ExitStack() as opened:
            try:
                self._db = sqlite3.connect(
                    file, timeout=2, isolation_level=None, check_same_thread=False, uri=True
                )
                opened.callback(self._db.close)
                self._prepare(earlier)
            except sqlite3.DatabaseError as error:
                raise RuntimeError(f"{self.file.name} {_explain(error, self.file)}") from error
            shards.merge_shards(self._db, self.file)
            opened.pop_all()  # it stays open
        _open[self.file.resolve()] = self

    def _prepare(self, earlier: Path | None) -> None:
        """Lock the file, check it, and create what it lacks. Raises sqlite3.DatabaseError."""
        pragmas = ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL", CHECKPOINT)
        for pragma in pragmas:
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        require_intact(self._db)
        with contextlib.closing(sqlite3.connect(":memory:")) as empty:
            empty.executescript(SCHEMA)
            if _list_columns(self._db) not in (_list_columns(empty), []):
                raise sqlite3.DatabaseError("other tables than this version writes")
        self._db.executescript("BEGIN IMMEDIATE;" + SCHEMA + "COMMIT;")
        if earlier:
            address = f"{earlier.resolve().as_uri()}?mode=ro&immutable=1"
            self._db.execute("ATTACH ? AS earlier", (address,))

    @property
    def done(self) -> "Ledger":
        return self

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __getitem__(self, key: str) -> dict[str, str]:
        if (reply := self.get(key)) is None:
            raise KeyError(key)
        return reply

    def get(self, key: str) -> dict[str, str] | None:
        for database in self._databases:
            query = f"SELECT body FROM {database}.replies WHERE key = ? AND status = 200"
            if row := self._db.execute(query, (key,)).fetchone():
                return {"raw": row[0].decode(errors="replace")}
        return None

    def append(self, key: str, reply: dict[str, str]) -> None:
        """Record a reply that was generated here at no cost; `reply` includes its provenance."""
        attempt = self.record_attempt(key, reply, (0, 0), (0.0, 0.0))
        self.record_reply(attempt, key, 200, reply["raw"].encode(errors="replace"))

    def record_attempt(
        self,
        key: str,
        provenance: dict[str, str],
        max_tokens: tuple[int, int],
        prices: tuple[float, float],
    ) -> int:
        """Record an attempt before its request leaves; return its number.

        `max_tokens` and `prices` (per million tokens) are those of prompt and reply.
        """
        values = (provenance.get(name, "") for name in PROVENANCE)
        row = (key, *values, time.time(), *max_tokens, *prices)
        query = f"INSERT INTO attempts VALUES (NULL, {', '.join('?' * len(row))})"
        return self._db.execute(query, row).lastrowid

    def record_reply(self, attempt: int, key: str, status: int, body: bytes) -> None:
        """Record a body as received; on disk on return, except in a transaction."""
        row = (attempt, key, status, body, time.time())
        self._db.execute("INSERT INTO replies VALUES (?, ?, ?, ?, ?)", row)

    @property
    def in_transaction(self) -> bool:
        """Whether writes wait for a commit."""
        return self._db.in_transaction

    def begin_transaction(self) -> None:
        """Start a transaction: its writes are on disk when `commit` returns.

        A commit costs more than a write, so simultaneous writes share one.
        """
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit the transaction; if that fails, none of its writes is recorded."""
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def find_cost(self, attempt: int) -> tuple[int, float]:
        """Return tokens and money of one attempt: measured if its reply states them, or maximum."""
        query = "SELECT tokens_in + tokens_out, money FROM spending WHERE id = ?"
        tokens, money = self._db.execute(query, (attempt,)).fetchone()
        return int(tokens), money

    def record_dialect(self, endpoint: str, dialect: str) -> None:
        """Record the form of requests that an endpoint accepts (`dialect.Dialect`, as JSON)."""
        query = "INSERT INTO dialects VALUES (NULL, ?, ?)"
        self._db.execute(query, (endpoint, dialect))

    def find_dialect(self, endpoint: str) -> str:
        """Return the form that an endpoint accepted last; "" if none is recorded."""
        for database in self._databases:
            query = f"SELECT dialect FROM {database}.dialects WHERE endpoint = ? ORDER BY id DESC"
            if row := self._db.execute(query, (endpoint,)).fetchone():
                return row[0]
        return ""

    def spending(self) -> Spending:
        """Return the totals of this file."""
        query = (
            f"SELECT count(CASE WHEN coalesce(status, 200) <> {UNSENT} THEN 1 END), "
            "count(CASE WHEN status = 200 THEN 1 END), "
            "total(tokens_in + tokens_out), total(money) FROM spending"
        )
        attempts, replies, tokens, money = self._db.execute(query).fetchone()
        return Spending(attempts, replies, int(tokens), money)

    def close(self) -> None:
        """Leave one plain file, readable in a read-only folder; closing twice is fine."""
        if _open.pop(self.file.resolve(), None) is not self:
            return
        if self.in_transaction:
            self.commit()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._db.execute("PRAGMA journal_mode=DELETE").fetchall()
        self._db.close()
