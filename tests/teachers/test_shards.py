"""Shards: merged once, never while a worker writes."""

import subprocess
import sys
from pathlib import Path

import pytest

from clinical_camel import teachers
from clinical_camel.teachers import shards


def test_an_interrupted_merge_can_be_repeated(file, tmp_path, monkeypatch):
    shards.announce_job(file, "job")
    shard = teachers.Ledger(tmp_path / "ledger.shards/00000_of_00001.sqlite")
    shard.append("k", {"raw": "{}"})
    shard.record_attempt("j", {}, (10, 10), (1.0, 1.0))
    shard.close()
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # killed before it could delete
    teachers.Ledger(file).close()
    monkeypatch.undo()
    ledger = teachers.Ledger(file)
    total = ledger.spending()
    assert (total.attempts, total.replies, total.tokens) == (2, 1, 20)
    assert ledger.done["k"] == {"raw": "{}"}
    assert not list((tmp_path / "ledger.shards").glob("*.sqlite"))


def test_a_damaged_shard_is_named_and_stays(file, tmp_path):
    shards.announce_job(file, "job")
    shard = tmp_path / "ledger.shards/00000_of_00001.sqlite"
    shard.write_bytes(b"hello" * 900)
    with pytest.raises(RuntimeError, match="00000_of_00001.sqlite of ledger.sqlite cannot be read"):
        teachers.Ledger(file)
    assert shard.exists()
    shards.require_job(file, "job")
    (shard.parent / shards.JOB).write_text("{")  # cut by a kill
    with pytest.raises(RuntimeError, match="withdrawn"):
        shards.require_job(file, "job")


def test_the_ledger_cannot_be_opened_while_a_worker_writes(file, tmp_path):
    shards.announce_job(file, "job")
    place = tmp_path / "ledger.shards/00000_of_00001.sqlite"
    teachers.Ledger(place).append("k", {"raw": "{}"})
    teachers.Ledger(place).close()
    code = (
        f"import sqlite3; db = sqlite3.connect({str(place)!r}, isolation_level=None);"
        "db.execute('BEGIN EXCLUSIVE'); print('open', flush=True); input()"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    worker.stdout.readline()
    with pytest.raises(RuntimeError, match="a worker still writes"):
        teachers.Ledger(file)
    shards.require_job(file, "job")  # the worker may continue
    worker.communicate("\n")
    assert "k" in teachers.Ledger(file)
    with pytest.raises(RuntimeError, match="withdrawn"):  # a worker that starts too late may not
        shards.require_job(file, "job")
