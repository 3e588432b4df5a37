"""An endpoint as the teacher: every reply recorded before it is parsed, retries, stops."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from tests.support.project import Memory
from tests.support.teacher_runs import (
    MONEY_CAP,
    REQUEST_ATTEMPTS,
    MixedServer,
    audit,
    count_lost,
    kill_runs,
    make_settings,
    plan_requests,
    run,
)
from tests.support.toy_dbke import UNUSABLE_REPLIES
from tests.support.toy_teacher import KEY, Server

from clinical_camel import dbke
from clinical_camel.core.paths import root
from clinical_camel.dbke.teachers import openai
from clinical_camel.dbke.teachers.openai import KEY_VARIABLE
from clinical_camel.estimate import doctor

ROOT = Path(__file__).parents[3]


def write_concurrently(ledger: dbke.Ledger, commits: Sequence = ()) -> list:
    """Record 20 attempts and replies at once; return the commits after each, or the error."""

    async def write(writer: openai.LedgerWriter, key: str) -> tuple[int, int]:
        attempt = await writer.write(ledger.record_attempt, key, {}, (1, 1), (0.0, 0.0))
        after_attempt = len(commits)
        await writer.write(ledger.record_reply, attempt, key, 200, b"{}")
        return after_attempt, len(commits)

    async def write_all() -> list:
        writer = openai.LedgerWriter(ledger)
        writes = (write(writer, str(i)) for i in range(20))
        return await asyncio.gather(*writes, return_exceptions=True)

    return asyncio.run(write_all())


def test_simultaneous_writes_share_a_commit_and_are_on_disk_when_they_return(file, monkeypatch):
    ledger, commits = dbke.Ledger(file), []
    commit = dbke.Ledger.commit
    monkeypatch.setattr(dbke.Ledger, "commit", lambda self: commits.append(commit(self)))
    assert write_concurrently(ledger, commits) == [(1, 2)] * 20
    assert (len(commits), ledger.spending().replies) == (2, 20)


@pytest.mark.parametrize("method", ["commit", "record_reply"])
def test_a_full_disk_raises_for_every_write_of_the_transaction(method, file, monkeypatch):
    ledger = dbke.Ledger(file)

    def fail(*_):
        ledger._db.execute("ROLLBACK")  # as SQLite does
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(dbke.Ledger, method, fail)
    assert {str(error) for error in write_concurrently(ledger)} == {"database or disk is full"}
    assert ledger.spending().replies == 0


@pytest.mark.parametrize(
    ("fault", "sends"),
    [
        ("", 3),
        ("429 with Retry-After", 6),
        ("half a body", 6),
        ("slower than the time-out", 6),
        ("200 with an HTML page", 6),
        ("cut at the token limit, still JSON", 6),
        ("the prompt comes back", 6),
        ("usage that is nonsense", 3),
    ],
)
def test_a_temporary_fault_costs_a_second_request_and_no_dialogue(fault, sends, file):
    with Server(fault) as server:
        dialogues, reasons, stopped = run(file, 3, make_settings(server.base_url))
        assert audit(file, server, MONEY_CAP, REQUEST_ATTEMPTS) == (0, 0, sends)
        assert count_lost(file, server) == 0
    assert (len(dialogues), reasons, stopped) == (3, [], "")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500 for ever", "no reply after 3 attempts: HTTP 500: internal error"),
        ("400 for every prompt", "refused: HTTP 400: context length exceeded"),
        ("the same dialogue for all", "an assistant sentence is not in the source"),
    ],
)
def test_a_permanent_fault_rejects_the_dialogue_with_its_reason(fault, reason, file):
    with Server(fault) as server:
        assert run(file, 3, make_settings(server.base_url)) == ([], [reason] * 3, "")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("401 that repeats the key", "the key in TEACHER_API_KEY was refused"),
        ("404 unknown model", "has no model 'toy'"),
        ("402 no money", "has no money left"),
        ("429 quota used up", "has no money left"),
        ("429 with Retry-After of a day", "asks to wait 86400 seconds"),
    ],
)
def test_a_fault_of_every_request_stops_the_run_and_states_the_spending(fault, message, file):
    with Server(fault) as server:
        _, _, stopped = run(file, 9, make_settings(server.base_url))
    assert message in stopped
    assert "ledger.sqlite contains 0 replies" in stopped
    assert KEY not in stopped
    assert KEY.encode() not in file.read_bytes()


def test_no_request_follows_a_refusal_that_stops_the_run(file):
    with Server("401 that repeats the key") as server:
        run(file, 9, make_settings(server.base_url, concurrency=1))
        assert server.requests == 1


def test_a_second_run_sends_nothing_and_gives_the_same_dialogues(file):
    with Server() as server:
        first = run(file, 5, make_settings(server.base_url))
        assert run(file, 5, make_settings(server.base_url)) == first
        assert server.requests == 5
        run(file, 5, make_settings(server.base_url, temperature=0.1))
        assert server.requests == 10  # other sampling, other replies


def test_the_order_of_dialogues_does_not_depend_on_the_order_of_replies(tmp_path):
    with Server() as server:
        settings = make_settings(server.base_url, concurrency=1)
        expected = run(tmp_path / "a.sqlite", 12, settings)
    with MixedServer(delay=0.01) as server:
        server.kinds = ["slower than the time-out", "500"]  # some late, some twice
        settings = make_settings(server.base_url, concurrency=12, timeout_seconds=9)
        mixed = run(tmp_path / "b.sqlite", 12, settings)
    assert mixed == expected
    assert len(expected[0]) == 12


def test_attempts_of_killed_runs_count(file):
    with Server() as server:
        settings = make_settings(server.base_url)
        ledger, teacher = dbke.Ledger(file), dbke.load_teacher(settings.teacher)
        synthesizer = dbke.Synthesizer(teacher, ledger, settings)
        query = next(synthesizer.attempt(plan_requests(1)[0]))
        for _ in range(REQUEST_ATTEMPTS):  # recorded, without a reply
            ledger.record_attempt(query.key, query.provenance, (10, 10), (0.0, 0.0))
        (outcome,) = synthesizer.run(plan_requests(1))
        assert outcome.reason == "no reply after 3 attempts: no reply in earlier runs"
        assert server.requests == 0


def test_an_endpoint_needs_a_ledger():
    settings = make_settings("http://127.0.0.1:9/v1")
    teacher = dbke.load_teacher(settings.teacher)
    with pytest.raises(TypeError, match="needs a Ledger"):
        dbke.synthesise(plan_requests(1), teacher, Memory(), settings)


@pytest.mark.parametrize(
    ("base_url", "key", "message"),
    [
        ("http://api.example.org/v1", KEY, "needs https"),
        ("https://api.example.org/v1", "", "a key in the environment as TEACHER_API_KEY"),
        ("ftp://127.0.0.1/v1", KEY, "is not https://host/v1"),
    ],
)
def test_an_endpoint_that_would_expose_the_key_is_rejected(base_url, key, message, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, key)
    with pytest.raises(ValueError, match=message):
        dbke.load_teacher(make_settings(base_url).teacher)


def test_a_killed_run_resumes_with_the_same_dialogues(tmp_path):
    total = kill_runs(2, tmp_path, count=40)
    assert (total["lost"], total["paid_twice"], total["over_cap"]) == (0, 0, 0)
    assert total["same"] == total["runs"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of `transformers serve` with the shipped base model, and its folder."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "hub").mkdir()
    model = str(root() / "src/clinical_camel/mini/base")
    with Server() as free:  # a port that was free a moment ago
        port = free.base_url.rsplit(":", 1)[1].removesuffix("/v1")
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", model]
    command += ["--host", "127.0.0.1", "--port", port, "--device", "cpu"]
    environment = {**os.environ, "HF_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            for _ in range(600):
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1", model
        finally:
            process.kill()
            process.wait()


def test_every_reply_of_a_real_server_is_recorded(served, file):
    base_url, model = served
    settings = make_settings(base_url, model=model, max_new_tokens=24, timeout_seconds=600)
    ledger, teacher = dbke.Ledger(file), dbke.load_teacher(settings.teacher)
    outcomes = list(dbke.Synthesizer(teacher, ledger, settings).run(plan_requests(3)))
    total = ledger.spending()
    assert (total.attempts, total.replies) == (6, 6)
    assert total.tokens > 6 * 1000  # as the server counts its prompts
    assert [o.dialogue for o in outcomes] == [None] * 3  # expected of a million parameters
    assert {o.reason for o in outcomes} <= UNUSABLE_REPLIES


def test_the_doctor_reads_the_model_list_of_a_real_server(served):
    base_url, model = served
    (finding,) = doctor.check_teacher(make_settings(base_url, model=model).teacher)
    assert finding.status == "warning"  # it serves a folder, and lists the hub's cache
    assert f"{base_url} does not list {model}; it lists: none" in str(finding)


def test_the_documented_rate_is_the_measured_one():
    rows = pd.read_csv(ROOT / "benchmarks/results/dbke_scale.csv").set_index("client")
    ours = rows.loc["ours (aiohttp)"]
    assert (ours["requests"], ours["share_of_bare"] >= 0.9) == (100_000, True)
    share, page = f"{ours['share_of_bare']:.2f}", (ROOT / "benchmarks/README.md").read_text()
    link = f"[{share} of the rate](../benchmarks/results/dbke_scale.csv)"
    assert link in (ROOT / "docs/teachers.md").read_text()
    assert f"{share} of the bare client's rate" in page
    growth = ours["peak_mb"] / ours["peak_mb_at_a_tenth"] - 1
    assert f"{100 * growth:.0f} % more memory" in page
