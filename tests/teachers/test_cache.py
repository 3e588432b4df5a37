"""The ledger: append-only, one writer, complete after a kill."""

import json
import re
import signal
import sqlite3
import subprocess
import sys

import pytest

from clinical_camel import teachers


def test_rows_cannot_be_changed_or_deleted(file):
    ledger = teachers.Ledger(file)
    ledger.append("k", {"raw": "{}"})
    ledger.close()
    with sqlite3.connect(file) as db:
        for change in ("DELETE FROM replies", "UPDATE attempts SET price_in = 0"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(change)


def test_an_attempt_without_a_reply_counts_with_its_maximum_cost(file):
    ledger = teachers.Ledger(file)
    ledger.record_attempt("k", {}, (1000, 500), (2.0, 4.0))
    assert ledger.spending() == teachers.Spending(attempts=1, replies=0, tokens=1500, money=0.004)
    attempt = ledger.record_attempt("j", {}, (1000, 500), (2.0, 4.0))
    usage = {"prompt_tokens": 10, "completion_tokens": 20}
    ledger.record_reply(attempt, "j", 200, json.dumps({"usage": usage}).encode())
    assert ledger.spending().tokens == 1530
    assert ledger.find_cost(attempt) == (30, pytest.approx(1e-4))


def test_a_second_process_cannot_open_the_ledger(file):
    teachers.Ledger(file).append("k", {"raw": "{}"})
    code = f"from clinical_camel.dbke import Ledger; Ledger({str(file)!r})"
    second = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "ledger.sqlite is in use by another process" in second.stderr


def test_the_same_process_reopens_its_own_ledger(file):
    teachers.Ledger(file).append("k", {"raw": "{}"})
    reopened = teachers.Ledger(file)  # Run All, after a run that was stopped
    assert reopened.done["k"] == {"raw": "{}"}


def cut_page(content: bytes) -> bytes:
    return content[: len(content) // 2 // 4096 * 4096]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:5000], "is damaged, or not a ledger of this version ("),
        (cut_page, "is damaged, or not a ledger of this version ("),
        (lambda c: c[:40_960] + bytes(20_480) + c[61_440:], "is damaged, or not a ledger of"),
        (lambda content: bytes(len(content)), "is not a ledger; move it away"),
        (lambda content: b"a text\n" * 900, "is not a ledger; move it away"),
        (lambda content: None, "cannot be opened (unable to open database file)"),
        (lambda content: "CREATE TABLE other (id)", "(other tables than this version writes)"),
        (lambda content: "CREATE TABLE attempts (id)", "(other tables than this version writes)"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_with_the_remedy(damage, reason, file):
    ledger = teachers.Ledger(file)
    for number in range(100):
        ledger.append(str(number), {"raw": "x" * 3000})
    ledger.close()
    damaged = damage(file.read_bytes())
    file.unlink()
    if isinstance(damaged, str):
        sqlite3.connect(file).execute(damaged)
    elif damaged is None:
        file.mkdir()
    else:
        file.write_bytes(damaged)
    with pytest.raises(RuntimeError, match=f"^ledger.sqlite .*{re.escape(reason)}"):
        teachers.Ledger(file)
    assert damaged is None or file.read_bytes()[:9] in (damaged[:9], b"SQLite fo")


def test_every_received_reply_survives_a_kill(file):
    code = (
        "import os, signal; from clinical_camel.dbke import Ledger;"
        f"l = Ledger({str(file)!r});"
        "[l.append(str(i), {'raw': 'x' * 5000}) for i in range(500)];"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert teachers.Ledger(file).spending().replies == 500
