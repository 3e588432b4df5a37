"""Is anything lost, paid twice or paid too much when a teacher fails, or when we are killed?

    python drills/teacher.py             everything, about three minutes
    python drills/teacher.py SIGKILL 50  so many kills; the other rows stay

A server on loopback (toy_teacher.py) writes dialogues on 12 articles of the embedded study, three
sends a prompt and two dialogues a request at most.

- one row a fault: what became of the requests, what was sent, and what it said;
- `random`: 1,000 runs, each with faults drawn at random for each request and its own money cap;
- `SIGKILL`: a run on 300 articles with faults among them is killed at random moments, from its
  first request on, and run again until it ends; then anew. Its dialogues must be those of an
  undisturbed run, byte for byte.

`lost` are bodies that the ledger had confirmed and does not hold; `twice` are dialogues with two
replies to one prompt; `over` are runs whose account (every attempt without a reply counted with the
most it can cost) passed its cap, whose bill passed its account, or that sent a prompt too often.
Writes teacher_drill.csv; fails if any of the three is not 0 or the dialogues differ. What is in
flight at a kill is paid for and never arrives. How much that is, and how many sends and dialogues
the last two rows have, differs from run to run.
"""

import csv
import dataclasses
import json
import multiprocessing
import os
import random
import re
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tests.support import toy_teacher
from tests.support.toy_teacher import FAULTS, KEY, MENDED, PASSING, Server

from clinical_camel import data, dbke
from clinical_camel.dbke.teachers import openai
from clinical_camel.dbke.teachers.rate_limits import TeacherStop

TABLE = Path(__file__).with_name("results") / "teacher.csv"
PRICES = {"price_in": 1.0, "price_out": 2.0}
BILL = (900 * 1.0 + 300 * 2.0) / 1e6  # what the server takes for one reply
SENDS, TRIES = 3, 2


@dataclass
class Row:
    """One fault, or all kills."""

    fault: str
    requested: int
    accepted: int
    set_aside: int
    sends: int
    lost: int
    twice: int
    over: int
    dialogues: str  # the same as undisturbed, fewer, or none
    says: str


def settings(server: Server, **more: object) -> dbke.Settings:
    given = {"model": "toy", "base_url": server.base_url, "in_flight": 4, "attempts": SENDS}
    given |= {"timeout_seconds": 0.4, "backoff": 0.02, "money_cap": 10.0, **PRICES, **more}
    return dbke.Settings(**given)


def articles(count: int) -> list[data.Article]:
    rows = data.load_articles("mini_articles")
    return [
        dataclasses.replace(rows[i % len(rows)], id=f"{rows[i % len(rows)].id}-{i}")
        for i in range(count)
    ]


def run(file: Path, count: int, given: dbke.Settings) -> tuple[list[str], list[str], str]:
    """Dialogues as JSON lines, reasons of those set aside, and why the run ended, if it did."""
    ledger, dialogues, aside, ended = dbke.Ledger(file), [], [], ""
    requests = dbke.plan_requests(articles(count), [], 1, 5, seed=0)
    desk = dbke.Desk(dbke.load_teacher("openai", given), ledger, 2, TRIES)
    try:
        for verdict in dbke.verdicts(requests, desk):
            if verdict.dialogue:
                dialogues.append(json.dumps(data.to_dict(verdict.dialogue), ensure_ascii=False))
            else:
                aside.append(dbke.brief(verdict.reason))
    except TeacherStop as stop:
        ended = str(stop)
    ledger.close()
    return dialogues, aside, ended


def account(file: Path, server: Server, cap: float, sends: int) -> tuple[int, int, int]:
    """(twice, over, sends) of a ledger beside what its server knows."""
    ledger = dbke.Ledger(file)
    spent = ledger.spent()
    ledger.close()
    with sqlite3.connect(file) as db:
        most = db.execute("SELECT max(n) FROM (SELECT count(*) n FROM attempts GROUP BY key)")
        most = most.fetchone()[0] or 0
        twice = "SELECT count(*) FROM (SELECT key FROM replies WHERE status = 200 GROUP BY key"
        twice = db.execute(f"{twice} HAVING count(*) > 1)").fetchone()[0]
    over = spent.money > cap + 1e-9 or server.billed * BILL > spent.money + 1e-9 or most > sends
    return twice, int(over), spent.attempts


def missing(file: Path, server: Server) -> int:
    """Bodies that left the server whole and are not in the ledger, key masked."""
    with sqlite3.connect(file) as db:
        kept = Counter(body for (body,) in db.execute("SELECT body FROM replies"))
    return (Counter(b.replace(KEY.encode(), b"[key]") for b in server.sent) - kept).total()


def one_fault(fault: str, place: Path, undisturbed: list[str]) -> Row:
    file = place / "fault.sqlite"
    file.unlink(missing_ok=True)
    with Server(fault) as server:
        dialogues, aside, ended = run(file, 12, settings(server))
        twice, over, sends = account(file, server, 10.0, SENDS)
        lost = missing(file, server)
    held = file.read_bytes()
    lost += KEY.encode() in held
    same = "the same" if set(dialogues) == set(undisturbed) else "others" if dialogues else "none"
    reason = re.sub(r"http://\S+", "http://...", ended.partition(". Kept")[0])
    says = f"stops: {reason}" if ended else "; ".join(sorted(set(aside)))
    counts = (12, len(dialogues), 0 if ended else len(aside), sends)
    return Row(fault or "none", *counts, lost, twice, over, same, says)


def faults(place: Path) -> Iterator[Row]:
    with Server() as server:
        undisturbed, _, _ = run(place / "good.sqlite", 12, settings(server))
    for fault in ("", *FAULTS):
        row = one_fault(fault, place, undisturbed)
        if fault in MENDED:  # asked for again, a prompt of its own: other sentences, as many
            row.dialogues = "as many" if row.accepted == 12 else "fewer"
        print(*asdict(row).values(), sep=" | ", flush=True)
        yield row


class Mixed(Server):
    """Another fault for each prompt, drawn from its text or at random; each passes or is mended."""

    kinds = [k for k in (*PASSING, *MENDED) if k != "slower than the time-out"]

    def __init__(self, dice: random.Random | None = None, **more: float) -> None:
        super().__init__(**more)
        self.dice = dice

    def reply(self, body: bytes) -> toy_teacher.Reply:
        draw = self.dice or random.Random(body)
        kind = draw.choice(self.kinds) if draw.random() < 0.5 else ""
        if "502" in kind and not self.dice:
            kind = ""
        self.fault = kind
        return super().reply(body)


def at_random(place: Path) -> Iterator[Row]:
    dice, total = random.Random(0), Row("random", 0, 0, 0, 0, 0, 0, 0, "as many", "")
    ended = 0
    for i in range(1000):
        file, cap = place / f"random{i}.sqlite", dice.uniform(0.0, 0.06)
        with Mixed(random.Random(i)) as server:
            given = settings(server, money_cap=cap, backoff=0.001)
            dialogues, aside, stop = run(file, 6, given)
            twice, over, sends = account(file, server, cap, SENDS)
            total.lost += missing(file, server)
        ended += bool(stop)
        total.requested += 6
        total.accepted += len(dialogues)
        total.set_aside += len(aside)
        total.sends, total.twice, total.over = (
            total.sends + sends,
            total.twice + twice,
            total.over + over,
        )
        if not stop and len(dialogues) + len(aside) != 6:
            total.dialogues = "fewer"
        file.unlink()
    total.says = f"1000 runs, {ended} ended by their money cap"
    print(*asdict(total).values(), sep=" | ", flush=True)
    yield total


# -------------------------------------------------------------------------------- kills

KILLED = {"in_flight": 16, "attempts": 12, "timeout_seconds": 5.0}


def child(folder: Path, base_url: str, count: int) -> None:
    """In a process of its own: the run, and its dialogues as `folder`/dialogues.jsonl."""
    marks = os.open(folder / "confirmed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    receive = openai.Scribe.receive

    async def confirmed(scribe: openai.Scribe, attempt: int, *rest: object) -> None:
        await receive(scribe, attempt, *rest)
        os.write(marks, f"{attempt}\n".encode())

    openai.Scribe.receive = confirmed
    (folder / "begun").touch()
    given = {"model": "toy", "base_url": base_url, "backoff": 0.02, "money_cap": 10.0}
    dialogues, aside, ended = run(
        folder / "ledger.sqlite", count, dbke.Settings(**{**given, **PRICES, **KILLED})
    )
    (folder / "partial").write_text("".join(f"{line}\n" for line in [*dialogues, *aside, ended]))
    (folder / "partial").replace(folder / "dialogues.jsonl")


class Killed:
    """A folder in which the run is started, killed, and started again."""

    context = multiprocessing.get_context("forkserver")

    def __init__(self, folder: Path, server: Server, count: int) -> None:
        self.folder, self.server, self.count = folder, server, count
        folder.mkdir()

    def start(self) -> multiprocessing.Process:
        (self.folder / "begun").unlink(missing_ok=True)
        arguments = (self.folder, self.server.base_url, self.count)
        process = self.context.Process(target=child, args=arguments)
        process.start()
        while process.is_alive() and not (self.folder / "begun").exists():
            time.sleep(0.005)
        return process

    def result(self) -> str:
        file = self.folder / "dialogues.jsonl"
        return file.read_text() if file.exists() else ""

    def lost(self) -> int:
        """Confirmed attempts without a reply in the ledger; a last line may be torn."""
        marks = (self.folder / "confirmed").read_text().splitlines()
        with sqlite3.connect(self.folder / "ledger.sqlite") as db:
            kept = {attempt for (attempt,) in db.execute("SELECT attempt FROM replies")}
        return sum(int(mark) not in kept for mark in marks[:-1])


def kills(number: int, place: Path, count: int = 300) -> Iterator[Row]:
    os.environ[openai.KEY] = KEY
    Killed.context.set_forkserver_preload(["clinical_camel.dbke.endpoint"])
    with Mixed(delay=0.03) as server:
        whole = Killed(place / "whole", server, count)
        whole.start().join()
        began = time.monotonic()
        again = Killed(place / "again", server, count)
        again.start().join()
        seconds, expected = time.monotonic() - began, whole.result()
    if not expected or again.result() != expected:
        raise RuntimeError("two undisturbed runs are not the same")
    dice, sent, ends, row = random.Random(0), 0, [], None
    lost = twice = over = sends = flying = 0
    while sent < number:
        with Mixed(delay=0.03) as server:
            one = Killed(place / f"killed {len(ends)}", server, count)
            while not one.result():
                process = one.start()
                if sent < number:
                    process.join(dice.uniform(0, seconds))
                if sent < number and process.is_alive():
                    os.kill(process.pid, signal.SIGKILL)
                    sent += 1
                process.join()
                if process.exitcode not in (0, -signal.SIGKILL):
                    raise RuntimeError(f"exit {process.exitcode}")
            found = account(one.folder / "ledger.sqlite", server, 10.0, KILLED["attempts"])
            twice, over, sends = twice + found[0], over + found[1], sends + found[2]
            lost += one.lost()
            flying += missing(one.folder / "ledger.sqlite", server)
        ends.append(one.result() == expected)
    same = "the same" if all(ends) else "others"
    accepted = sum(line.startswith("{") for line in expected.splitlines())
    says = f"{sent} kills in {len(ends)} runs, {sum(ends)} of them the same; {flying} in flight"
    row = Row("SIGKILL", count, accepted, count - accepted, sends, lost, twice, over, same, says)
    print(*asdict(row).values(), sep=" | ", flush=True)
    yield row


def keep(rows: list[Row]) -> None:
    """Put rows into the table, in the place of earlier ones of the same name."""
    old = []
    if TABLE.exists():
        with TABLE.open(newline="", encoding="utf-8") as file:
            old = [Row(**row) for row in csv.DictReader(file)]
    named = {row.fault: row for row in (*old, *rows)}
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, named.values()))


def main() -> None:
    """Faults, random faults, kills."""
    number = next((int(text) for text in sys.argv[1:] if text.isdecimal()), 50)
    wanted = [text for text in sys.argv[1:] if not text.isdecimal()]
    os.environ[openai.KEY] = KEY
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        parts = {
            "faults": lambda: faults(place),
            "random": lambda: at_random(place),
            "SIGKILL": lambda: kills(number, place),
        }
        rows = [row for part in wanted or parts for row in parts[part]()]
    keep(rows)
    wrong = [r for r in rows if r.lost or r.twice or r.over or r.dialogues == "fewer"]
    wrong += [r for r in rows if r.fault == "SIGKILL" and r.dialogues != "the same"]
    if wrong:
        raise SystemExit(f"{len(wrong)} rows are not as they should be, first {wrong[0]}")


if __name__ == "__main__":
    main()
