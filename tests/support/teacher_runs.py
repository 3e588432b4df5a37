"""Runs of the endpoint teacher against the toy server, and an audit of their ledgers."""

import dataclasses
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.toy_teacher import FIXED_BY_RETRY, KEY, TEMPORARY, Response, Server

from clinical_camel import data, dbke
from clinical_camel.dbke.checks import strip_quote
from clinical_camel.dbke.teachers import openai
from clinical_camel.dbke.teachers.rate_limits import TeacherStop

MONEY_CAP = 10.0
PRICES = {"price_in": 1.0, "price_out": 2.0}
BILL = (900 * 1.0 + 300 * 2.0) / 1e6  # the server's price of one reply
REQUEST_ATTEMPTS, DIALOGUE_ATTEMPTS = 3, 2


def make_settings(base_url: str, **more: object) -> dbke.Synthesis:
    """Settings of step 01 with the toy endpoint; `more` are settings of the teacher."""
    values = {"base_url": base_url, "model": "toy", "terms": "own", **PRICES}
    values |= {"request_attempts": REQUEST_ATTEMPTS, "dialogue_attempts": DIALOGUE_ATTEMPTS}
    values |= {"concurrency": 4, "timeout_seconds": 1, "backoff": 0.02, "money_cap": MONEY_CAP}
    values |= {"max_new_tokens": 1024}
    return dbke.Synthesis(teacher=dbke.OpenAI(**(values | more)), language="")


def load_articles(count: int) -> list[data.Article]:
    rows = data.load_articles("mini_articles")
    return [
        dataclasses.replace(rows[i % len(rows)], id=f"{rows[i % len(rows)].id}-{i}")
        for i in range(count)
    ]


def plan_requests(count: int) -> list[dbke.Request]:
    """One request on each of so many articles."""
    return dbke.plan_requests(load_articles(count), [], 1, 5, seed=0)


def run(file: Path, count: int, settings: dbke.Synthesis) -> tuple[list[str], list[str], str]:
    """Return dialogues as JSON lines, rejection reasons, and why the run stopped, if it did."""
    ledger, dialogues, reasons, stopped = dbke.Ledger(file), [], [], ""
    teacher = dbke.load_teacher(settings.teacher)
    try:
        for outcome in dbke.Synthesizer(teacher, ledger, settings).run(plan_requests(count)):
            if outcome.dialogue:
                dialogues.append(json.dumps(data.to_dict(outcome.dialogue), ensure_ascii=False))
            else:
                reasons.append(strip_quote(outcome.reason))
    except TeacherStop as stop:
        stopped = str(stop)
    ledger.close()
    return dialogues, reasons, stopped


def audit(file: Path, server: Server, cap: float, request_attempts: int) -> tuple[int, int, int]:
    """Return (replies paid twice, 1 if over a cap, attempts), from ledger and server."""
    ledger = dbke.Ledger(file)
    total = ledger.spending()
    ledger.close()
    with sqlite3.connect(file) as db:
        most = db.execute("SELECT max(n) FROM (SELECT count(*) n FROM attempts GROUP BY key)")
        most = most.fetchone()[0] or 0
        query = "SELECT count(*) FROM (SELECT key FROM replies WHERE status = 200 GROUP BY key"
        paid_twice = db.execute(f"{query} HAVING count(*) > 1)").fetchone()[0]
    over_cap = total.money > cap + 1e-9 or server.billed * BILL > total.money + 1e-9
    return paid_twice, int(over_cap or most > request_attempts), total.attempts


def count_lost(file: Path, server: Server) -> int:
    """Count bodies that left the server completely and are not in the ledger, key masked."""
    with sqlite3.connect(file) as db:
        recorded = Counter(body for (body,) in db.execute("SELECT body FROM replies"))
    return (Counter(b.replace(KEY.encode(), b"[key]") for b in server.sent) - recorded).total()


class MixedServer(Server):
    """Another temporary or fixable fault for each prompt, from its text or from `rng`."""

    kinds = [k for k in (*TEMPORARY, *FIXED_BY_RETRY) if k != "slower than the time-out"]

    def __init__(self, rng: random.Random | None = None, **more: float) -> None:
        super().__init__(**more)
        self.rng = rng

    def respond(self, body: bytes) -> Response:
        rng = self.rng or random.Random(body)
        kind = rng.choice(self.kinds) if rng.random() < 0.5 else ""
        self.fault = "" if "502" in kind and not self.rng else kind
        return super().respond(body)


# ----------------------------------------------------------------------------- killed runs

KILLED = {"concurrency": 16, "request_attempts": 12, "timeout_seconds": 5, "backoff": 0.02}


def _run_in_child(folder: Path, base_url: str, count: int) -> None:
    """In its own process: the run, and its dialogues as `folder`/dialogues.jsonl."""
    marks = os.open(folder / "confirmed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    record_reply = openai.LedgerWriter.record_reply

    async def record_and_mark(writer: openai.LedgerWriter, attempt: int, *rest: object) -> None:
        await record_reply(writer, attempt, *rest)
        os.write(marks, f"{attempt}\n".encode())

    openai.LedgerWriter.record_reply = record_and_mark
    (folder / "started").touch()
    settings = make_settings(base_url, **KILLED)
    dialogues, reasons, stopped = run(folder / "ledger.sqlite", count, settings)
    lines = [*dialogues, *reasons, stopped]
    (folder / "partial").write_text("".join(f"{line}\n" for line in lines))
    (folder / "partial").replace(folder / "dialogues.jsonl")


class KilledRun:
    """A folder in which a run is started, killed, and started again."""

    context = multiprocessing.get_context("forkserver")

    def __init__(self, folder: Path, server: Server, count: int) -> None:
        self.folder, self.server, self.count = folder, server, count
        folder.mkdir()

    def start(self) -> multiprocessing.Process:
        (self.folder / "started").unlink(missing_ok=True)
        arguments = (self.folder, self.server.base_url, self.count)
        process = self.context.Process(target=_run_in_child, args=arguments)
        process.start()
        while process.is_alive() and not (self.folder / "started").exists():
            time.sleep(0.005)
        return process

    def result(self) -> str:
        file = self.folder / "dialogues.jsonl"
        return file.read_text() if file.exists() else ""

    def count_lost(self) -> int:
        """Count confirmed attempts without a reply in the ledger; a last line may be torn."""
        marks = (self.folder / "confirmed").read_text().splitlines()
        with sqlite3.connect(self.folder / "ledger.sqlite") as db:
            recorded = {attempt for (attempt,) in db.execute("SELECT attempt FROM replies")}
        return sum(int(mark) not in recorded for mark in marks[:-1])


@dataclass
class KillCounts:
    """Totals over killed runs; `open` replies were in flight at a kill: paid, not received."""

    accepted: int
    kills: int = 0
    runs: int = 0
    same: int = 0
    attempts: int = 0
    lost: int = 0
    paid_twice: int = 0
    over_cap: int = 0
    open: int = 0


def kill_runs(kills: int, folder: Path, count: int) -> KillCounts:
    """Kill runs on `count` articles at random moments until `kills` kills; resume each to its end.

    Raises RuntimeError if two undisturbed runs differ.
    """
    os.environ[openai.KEY_VARIABLE] = KEY
    KilledRun.context.set_forkserver_preload(["clinical_camel.dbke.teachers.openai"])
    with MixedServer(delay=0.03) as server:
        first = KilledRun(folder / "first", server, count)
        first.start().join()
        started = time.monotonic()
        second = KilledRun(folder / "second", server, count)
        second.start().join()
        seconds, expected = time.monotonic() - started, first.result()
    if not expected or second.result() != expected:
        raise RuntimeError("two undisturbed runs are not the same")
    total = KillCounts(sum(line.startswith("{") for line in expected.splitlines()))
    rng = random.Random(0)
    while total.kills < kills:
        with MixedServer(delay=0.03) as server:
            killed = KilledRun(folder / f"killed {total.runs}", server, count)
            while not killed.result():
                process = killed.start()
                if total.kills < kills:
                    process.join(rng.uniform(0, seconds))
                if total.kills < kills and process.is_alive():
                    os.kill(process.pid, signal.SIGKILL)
                    total.kills += 1
                process.join()
                if process.exitcode not in (0, -signal.SIGKILL):
                    raise RuntimeError(f"exit {process.exitcode}")
            file = killed.folder / "ledger.sqlite"
            paid_twice, over_cap, attempts = audit(file, server, MONEY_CAP, 12)
            total.lost += killed.count_lost()
            total.open += count_lost(file, server)
        total.paid_twice += paid_twice
        total.over_cap += over_cap
        total.attempts += attempts
        total.runs += 1
        total.same += killed.result() == expected
    return total
