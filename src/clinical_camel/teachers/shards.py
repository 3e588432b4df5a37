"""Shards of a ledger: one file per worker, merged into the study's ledger afterwards.

Several workers cannot write one ledger. Each has its own file in `<ledger>.shards/` and reads the
study's ledger as it was at the start. Opening the study's ledger merges the shards first, so no
paid reply can be overlooked.

`job.json` names the job that the shards belong to. It is withdrawn before they are merged. A worker
checks it after it has opened its shard: one that starts too late requests nothing. The file system
must support locks between machines (NFS 4 and Lustre do).
"""

import contextlib
import json
import sqlite3
from pathlib import Path

JOB = "job.json"
RECOVER = "`sqlite3 FILE .recover` saves its replies; without it they are requested and paid again"
COLUMNS = "key, request, article, prompt, model, settings, begun, most_in, most_out, "
COLUMNS += "price_in, price_out"


def shards_folder(ledger: Path) -> Path:
    """Return the folder with the shards of a ledger."""
    return ledger.with_suffix(".shards")


def announce_job(ledger: Path, job: str) -> None:
    """Allow the workers of this job to start."""
    folder = shards_folder(ledger)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOB).write_text(json.dumps({"job": job}), encoding="utf-8")


def require_job(ledger: Path, job: str) -> None:
    """Raise RuntimeError if the job was withdrawn; a worker calls this once its shard is open."""
    try:
        announced = json.loads((shards_folder(ledger) / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # withdrawn, or cut by a kill
        announced = {}
    if announced.get("job") != job:
        raise RuntimeError(f"job {job} was withdrawn: {ledger.name} already contains its shards")


def merge_shards(db: sqlite3.Connection, ledger: Path) -> None:
    """Copy all shards into the ledger that is open as `db`, then delete them.

    An interrupted merge can be repeated: key and time identify an attempt. Raises RuntimeError, and
    changes nothing, if a worker still has a shard open.
    """
    folder = shards_folder(ledger)
    files = sorted(folder.glob("*.sqlite"))
    job, withdrawn = folder / JOB, folder / f"{JOB}.withdrawn"
    if job.exists():
        job.replace(withdrawn)
    for file in files:
        try:
            _copy(db, file)
        except sqlite3.DatabaseError as error:
            if withdrawn.exists():
                withdrawn.replace(job)
            reason = f"cannot be read ({error}); {RECOVER}"
            if "locked" in str(error):
                reason = "is in use: a worker still writes; wait for it"
            raise RuntimeError(f"{file.name} of {ledger.name} {reason}") from error
        for suffix in ("-wal", "-shm", "-journal", ""):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    withdrawn.unlink(missing_ok=True)


def _copy(db: sqlite3.Connection, file: Path) -> None:
    db.execute("ATTACH ? AS shard", (str(file),))
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
