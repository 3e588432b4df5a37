"""Concurrent writes to a ledger."""

import asyncio
import sqlite3
from collections.abc import Sequence

import pytest

from clinical_camel import teachers
from clinical_camel.teachers.ledger_writer import LedgerWriter


def write_concurrently(ledger: teachers.Ledger, commits: Sequence = ()) -> list:
    """Record 20 attempts and replies at once; return the commits after each, or the error."""

    async def write(writer: LedgerWriter, key: str) -> tuple[int, int]:
        attempt = await writer.write(ledger.record_attempt, key, {}, (1, 1), (0.0, 0.0))
        after_attempt = len(commits)
        await writer.write(ledger.record_reply, attempt, key, 200, b"{}")
        return after_attempt, len(commits)

    async def write_all() -> list:
        writer = LedgerWriter(ledger)
        writes = (write(writer, str(i)) for i in range(20))
        return await asyncio.gather(*writes, return_exceptions=True)

    return asyncio.run(write_all())


def test_simultaneous_writes_share_a_commit_and_are_on_disk_when_they_return(file, monkeypatch):
    ledger, commits = teachers.Ledger(file), []
    commit = teachers.Ledger.commit
    monkeypatch.setattr(teachers.Ledger, "commit", lambda self: commits.append(commit(self)))
    assert write_concurrently(ledger, commits) == [(1, 2)] * 20
    assert (len(commits), ledger.spending().replies) == (2, 20)


@pytest.mark.parametrize("method", ["commit", "record_reply"])
def test_a_full_disk_raises_for_every_write_of_the_transaction(method, file, monkeypatch):
    ledger = teachers.Ledger(file)

    def fail(*_):
        ledger._db.execute("ROLLBACK")  # as SQLite does
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(teachers.Ledger, method, fail)
    assert {str(error) for error in write_concurrently(ledger)} == {"database or disk is full"}
    assert ledger.spending().replies == 0
