"""The ledger: append-only, one writer, complete after a kill."""

import json
import signal
import sqlite3
import subprocess
import sys

import pytest

from clinical_camel import dbke


def test_rows_cannot_be_changed_or_deleted(file):
    ledger = dbke.Ledger(file)
    ledger.append("k", {"raw": "{}"})
    ledger.close()
    with sqlite3.connect(file) as db:
        for change in ("DELETE FROM replies", "UPDATE attempts SET price_in = 0"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(change)


def test_an_attempt_without_a_reply_counts_with_its_maximum_cost(file):
    ledger = dbke.Ledger(file)
    ledger.record_attempt("k", {}, (1000, 500), (2.0, 4.0))
    assert ledger.spending() == dbke.Spending(attempts=1, replies=0, tokens=1500, money=0.004)
    attempt = ledger.record_attempt("j", {}, (1000, 500), (2.0, 4.0))
    usage = {"prompt_tokens": 10, "completion_tokens": 20}
    ledger.record_reply(attempt, "j", 200, json.dumps({"usage": usage}).encode())
    assert ledger.spending().tokens == 1530
    assert ledger.find_cost(attempt) == (30, pytest.approx(1e-4))


def test_a_second_process_cannot_open_the_ledger(file):
    dbke.Ledger(file).append("k", {"raw": "{}"})
    code = f"from clinical_camel.dbke import Ledger; Ledger({str(file)!r})"
    second = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "ledger.sqlite is in use by another process" in second.stderr


def test_the_same_process_reopens_its_own_ledger(file):
    dbke.Ledger(file).append("k", {"raw": "{}"})
    reopened = dbke.Ledger(file)  # Run All, after a run that was stopped
    assert reopened.done["k"] == {"raw": "{}"}


def test_every_received_reply_survives_a_kill(file):
    code = (
        "import os, signal; from clinical_camel.dbke import Ledger;"
        f"l = Ledger({str(file)!r});"
        "[l.append(str(i), {'raw': 'x' * 5000}) for i in range(500)];"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert dbke.Ledger(file).spending().replies == 500
