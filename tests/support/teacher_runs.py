"""Runs of the endpoint teacher against the toy server, and an audit of their ledgers."""

import csv
import dataclasses
import itertools
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.support.toy_teacher import FIXED_BY_RETRY, KEY, TEMPORARY, Response, Server

from clinical_camel import data, dbke, teachers
from clinical_camel.dbke.checks import strip_quote
from clinical_camel.teachers.ledger_writer import LedgerWriter
from clinical_camel.teachers.rate_limits import TeacherStop
from clinical_camel.teachers.secrets import KEY_VARIABLE

MONEY_CAP = 10.0
PRICES = {"price_in": 1.0, "price_out": 2.0}
BILL = (900 * 1.0 + 300 * 2.0) / 1e6  # the server's price of one reply
REQUEST_ATTEMPTS, DIALOGUE_ATTEMPTS = 3, 2
SLOW = ("slower than the time-out", "turns of a million letters")  # faults that cost seconds


def read_rows(test_file: str, name: str) -> list[list[str]]:
    """The rows of a table beside a test, without its header."""
    with Path(test_file).with_name(name).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def make_settings(base_url: str, **more: object) -> dbke.Synthesis:
    """Settings of step 01 with the toy endpoint; `more` are settings of the teacher."""
    values = {"base_url": base_url, "model": "toy", "terms": "own", **PRICES}
    values |= {"request_attempts": REQUEST_ATTEMPTS, "dialogue_attempts": DIALOGUE_ATTEMPTS}
    values |= {"concurrency": 4, "timeout_seconds": 1, "backoff": 0.02, "money_cap": MONEY_CAP}
    values |= {"max_new_tokens": 1024}
    return dbke.Synthesis(teacher=dbke.OpenAI(**(values | more)), language="")


def plan_requests(count: int) -> list[dbke.Request]:
    """One request on each of so many articles."""
    rows = itertools.islice(itertools.cycle(data.load_articles("mini_articles")), count)
    articles = [dataclasses.replace(row, id=f"{row.id}-{i}") for i, row in enumerate(rows)]
    return dbke.plan_requests(articles, [], 1, 5, seed=0)


def run(file: Path, count: int, settings: dbke.Synthesis) -> tuple[list[str], list[str], str]:
    """Return dialogues as JSON lines, rejection reasons, and why the run stopped, if it did."""
    ledger, dialogues, reasons, stopped = teachers.Ledger(file), [], [], ""
    teacher = dbke.load_teacher(settings.teacher)
    try:
        for outcome in dbke.Synthesizer(teacher, ledger, settings).run(plan_requests(count)):
            if outcome.result:
                dialogues.append(json.dumps(data.to_dict(outcome.result), ensure_ascii=False))
            else:
                reasons.append(strip_quote(outcome.reason))
    except TeacherStop as stop:
        stopped = str(stop)
    ledger.close()
    return dialogues, reasons, stopped


def audit(file: Path, server: Server, cap: float, request_attempts: int) -> tuple[int, int, int]:
    """Return (replies paid twice, 1 if over a cap, attempts), from ledger and server."""
    ledger = teachers.Ledger(file)
    total = ledger.spending()
    ledger.close()
    with sqlite3.connect(file) as db:
        most = db.execute("SELECT max(n) FROM (SELECT count(*) n FROM attempts GROUP BY key)")
        most = most.fetchone()[0] or 0
        query = "SELECT count(*) FROM (SELECT key FROM replies WHERE status = 200 GROUP BY key"
        paid_twice = db.execute(f"{query} HAVING count(*) > 1)").fetchone()[0]
    over_cap = total.money > cap + 1e-9 or server.billed * BILL > cap + 1e-9
    over_cap |= server.delivered * BILL > total.money + 1e-9
    return paid_twice, int(over_cap or most > request_attempts), total.attempts


def count_lost(file: Path, server: Server) -> int:
    """Count bodies that left the server completely and are not in the ledger, key masked."""
    with sqlite3.connect(file) as db:
        recorded = Counter(body for (body,) in db.execute("SELECT body FROM replies"))
    return (Counter(b.replace(KEY.encode(), b"[key]") for b in server.sent) - recorded).total()


class MixedServer(Server):
    """Another temporary or fixable fault for each prompt, from its text or from `rng`."""

    kinds = [kind for kind in (*TEMPORARY, *FIXED_BY_RETRY) if kind not in SLOW]

    def __init__(self, rng: random.Random | None = None, **more: float) -> None:
        super().__init__(**more)
        self.rng = rng

    def respond(self, body: bytes) -> Response:
        rng = self.rng or random.Random(body)
        kind = rng.choice(self.kinds) if rng.random() < 0.5 else ""
        self.fault = "" if "502" in kind and not self.rng else kind
        return super().respond(body)


KILLED = {"concurrency": 16, "request_attempts": 12, "timeout_seconds": 5, "backoff": 0.02}
CONTEXT = multiprocessing.get_context("forkserver")


def _run_in_child(folder: Path, base_url: str, count: int) -> None:
    """In its own process: the run, and its dialogues as `folder`/dialogues.jsonl."""
    marks = os.open(folder / "confirmed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write = LedgerWriter.write

    async def write_and_mark(writer: LedgerWriter, record: Callable, *row: object) -> object:
        result = await write(writer, record, *row)
        if record.__name__ == "record_reply":
            os.write(marks, f"{row[0]}\n".encode())
        return result

    LedgerWriter.write = write_and_mark
    (folder / "started").touch()
    settings = make_settings(base_url, **KILLED)
    dialogues, reasons, stopped = run(folder / "ledger.sqlite", count, settings)
    lines = [*dialogues, *reasons, stopped]
    (folder / "partial").write_text("".join(f"{line}\n" for line in lines))
    (folder / "partial").replace(folder / "dialogues.jsonl")


def _start(folder: Path, server: Server, count: int) -> multiprocessing.Process:
    folder.mkdir(exist_ok=True)
    (folder / "started").unlink(missing_ok=True)
    process = CONTEXT.Process(target=_run_in_child, args=(folder, server.base_url, count))
    process.start()
    while process.is_alive() and not (folder / "started").exists():
        time.sleep(0.005)
    return process


def _read_result(folder: Path) -> str:
    file = folder / "dialogues.jsonl"
    return file.read_text() if file.exists() else ""


def _count_lost_confirmed(folder: Path) -> int:
    """Count confirmed attempts without a reply in the ledger; a last line may be torn."""
    marks = (folder / "confirmed").read_text().splitlines()
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        recorded = {attempt for (attempt,) in db.execute("SELECT attempt FROM replies")}
    return sum(int(mark) not in recorded for mark in marks[:-1])


def kill_runs(kills: int, folder: Path, count: int) -> Counter:
    """Kill runs on `count` articles at random moments until `kills` kills; resume each to its end.

    Returns totals over the runs; `open` replies were in flight at a kill: paid, not received.
    Raises RuntimeError if two undisturbed runs differ.
    """
    os.environ[KEY_VARIABLE] = KEY
    CONTEXT.set_forkserver_preload(["clinical_camel.teachers.openai"])
    with MixedServer(delay=0.03) as server:
        for name in ("first", "second"):
            process = _start(folder / name, server, count)
            started = time.monotonic()
            process.join()
            seconds = time.monotonic() - started
    expected = _read_result(folder / "first")
    if not expected or _read_result(folder / "second") != expected:
        raise RuntimeError("two undisturbed runs are not the same")
    total = Counter(accepted=sum(line.startswith("{") for line in expected.splitlines()))
    rng = random.Random(0)
    while total["kills"] < kills:
        place = folder / f"killed {total['runs']}"
        with MixedServer(delay=0.03) as server:
            while not _read_result(place):
                process = _start(place, server, count)
                if total["kills"] < kills:
                    process.join(rng.uniform(0, seconds))
                    if process.is_alive():
                        os.kill(process.pid, signal.SIGKILL)
                        total["kills"] += 1
                process.join()
                if process.exitcode not in (0, -signal.SIGKILL):
                    raise RuntimeError(f"exit {process.exitcode}")
            file = place / "ledger.sqlite"
            paid_twice, over_cap, attempts = audit(file, server, MONEY_CAP, 1000)
            total.update(paid_twice=paid_twice, over_cap=over_cap, attempts=attempts, runs=1)
            total.update(lost=_count_lost_confirmed(place), open=count_lost(file, server))
            total.update(same=_read_result(place) == expected)
    return total
