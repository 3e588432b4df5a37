"""One ledger per shard: written by one worker each, taken in by the study's ledger afterwards.

Several workers cannot write one ledger, so each has its own, in `<ledger>.shards/`, and reads the
study's as it was when they began. Whoever opens the study's ledger next takes the shards in before
anything is asked: so what a worker has paid for cannot be overlooked.

`job.json` says which run of workers the shards belong to. It is withdrawn before they are taken in,
and a worker looks for it once it holds its shard: one that starts too late asks for nothing. The
file system must know locks between machines (NFS 4 and Lustre do).
"""

import contextlib
import json
import sqlite3
from pathlib import Path

JOB = "job.json"
COLUMNS = "key, request, article, prompt, model, settings, begun, most_in, most_out, "
COLUMNS += "price_in, price_out"


def folder_of(ledger: Path) -> Path:
    """Where the shards of a ledger are."""
    return ledger.with_suffix(".shards")


def announce(ledger: Path, job: str) -> None:
    """Say that the workers of this job may begin."""
    folder = folder_of(ledger)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOB).write_text(json.dumps({"job": job}), encoding="utf-8")


def check(ledger: Path, job: str) -> None:
    """RuntimeError if the job is no longer wanted; to be asked once the shard is held."""
    file = folder_of(ledger) / JOB
    if not file.exists() or json.loads(file.read_text(encoding="utf-8"))["job"] != job:
        raise RuntimeError(f"job {job} was withdrawn: its shards are in {ledger.name} already")


def take_in(db: sqlite3.Connection, ledger: Path) -> None:
    """Copy what the shards hold into the ledger open as `db`, and delete them.

    Killed at any moment it can be done again: an attempt is known by its key and its time.
    RuntimeError if a worker still holds a shard; then all is as before.
    """
    folder = folder_of(ledger)
    shards = sorted(folder.glob("*.sqlite"))
    job, withdrawn = folder / JOB, folder / f"{JOB}.withdrawn"
    if job.exists():
        job.replace(withdrawn)
    for shard in shards:
        try:
            _copy(db, shard)
        except sqlite3.OperationalError as error:
            if withdrawn.exists():
                withdrawn.replace(job)
            raise RuntimeError(
                f"{shard.name} of {ledger.name} is in use: a worker still writes; wait for it"
            ) from error
        for suffix in ("-wal", "-shm", "-journal", ""):
            shard.with_name(shard.name + suffix).unlink(missing_ok=True)
    withdrawn.unlink(missing_ok=True)


def _copy(db: sqlite3.Connection, shard: Path) -> None:
    db.execute("ATTACH ? AS shard", (str(shard),))
    try:
        db.execute("PRAGMA main.synchronous=FULL")  # the shard is deleted after this
        db.execute("BEGIN EXCLUSIVE")
        if db.execute("SELECT 1 FROM shard.sqlite_master WHERE name = 'replies'").fetchone():
            _copy_rows(db)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute("DETACH shard")
        db.execute("PRAGMA main.synchronous=NORMAL")


def _copy_rows(db: sqlite3.Connection) -> None:
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM main.attempts").fetchone()
    db.execute(
        f"INSERT INTO main.attempts SELECT id + ?, {COLUMNS} FROM shard.attempts AS new "
        "WHERE NOT EXISTS (SELECT 1 FROM main.attempts AS old "
        "WHERE old.key = new.key AND old.begun = new.begun)",
        (last,),
    )
    db.execute(
        "INSERT OR IGNORE INTO main.replies SELECT attempt + ?, key, status, body, received "
        "FROM shard.replies AS new "
        "WHERE EXISTS (SELECT 1 FROM main.attempts WHERE id = new.attempt + ?)",
        (last, last),
    )
