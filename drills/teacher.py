"""Is anything lost, paid twice or paid over a cap when an endpoint fails, or when we are killed?

    python -m drills.teacher             everything, about three minutes
    python -m drills.teacher SIGKILL 50  so many kills; the other rows stay

A server on loopback (tests/support/toy_teacher.py) writes dialogues on 12 articles of the embedded
study. A request has at most three attempts, a dialogue two.

- one row per fault: accepted and rejected dialogues, requests sent, and the message;
- `random`: 1,000 runs, each with random faults and its own money cap;
- `SIGKILL`: runs on 300 articles, with faults, are killed at random moments and resumed until they
  end. Their dialogues must be those of an undisturbed run, byte for byte.

`lost` counts replies that the ledger had confirmed and does not contain. `paid_twice` counts
dialogues with two replies to one prompt. `over_cap` counts runs that exceeded a cap: the ledger or
the bill exceeded the money cap, the bill for what was delivered exceeded the ledger, or a prompt
was sent too often in one run. Writes results/teacher.csv and fails if one of the three is not 0 or
the dialogues differ.

A reply in flight at a kill is paid for and never arrives. Their number, and the requests and
dialogues of the last two rows, differ from run to run.
"""

import os
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from tests.support.teacher_runs import (
    MONEY_CAP,
    REQUEST_ATTEMPTS,
    MixedServer,
    audit,
    count_lost,
    kill_runs,
    make_settings,
    run,
)
from tests.support.toy_teacher import FAULTS, FIXED_BY_RETRY, FORMS, KEY, Server

from clinical_camel.teachers.secrets import KEY_VARIABLE

TABLE = Path(__file__).with_name("results") / "teacher.csv"


@dataclass
class Row:
    """One fault, or all random runs, or all kills."""

    fault: str
    requested: int
    accepted: int
    rejected: int
    sends: int
    lost: int
    paid_twice: int
    over_cap: int
    dialogues: str  # the same as undisturbed, as many, fewer, others, or none
    message: str


def run_fault(fault: str, file: Path, undisturbed: list[str]) -> Row:
    file.unlink(missing_ok=True)
    with Server(fault) as server:
        dialogues, reasons, stopped = run(file, 12, make_settings(server.base_url))
        paid_twice, over_cap, sends = audit(file, server, MONEY_CAP, REQUEST_ATTEMPTS)
        lost = count_lost(file, server)
    lost += KEY.encode() in file.read_bytes()
    same = "others" if dialogues else "none"
    if set(dialogues) == set(undisturbed):
        same = "the same"
    if fault in (*FIXED_BY_RETRY, *FORMS):  # another prompt: other sentences, as many dialogues
        same = "as many" if len(dialogues) == 12 else "fewer"
    reason = re.sub(r"http://\S+", "http://...", stopped.partition(". fault.sqlite")[0])
    message = f"stops: {reason}" if stopped else "; ".join(sorted(set(reasons)))
    counts = (12, len(dialogues), 0 if stopped else len(reasons), sends)
    return Row(fault or "none", *counts, lost, paid_twice, over_cap, same, message)


def run_faults(folder: Path) -> Iterator[Row]:
    with Server() as server:
        undisturbed, _, _ = run(folder / "good.sqlite", 12, make_settings(server.base_url))
    for fault in ("", *FAULTS, *FORMS):
        yield run_fault(fault, folder / "fault.sqlite", undisturbed)


def run_random_faults(folder: Path) -> Iterator[Row]:
    rng, total, same = random.Random(0), Counter(), "as many"
    for i in range(1000):
        file, cap = folder / f"random{i}.sqlite", rng.uniform(0.0, 0.06)
        with MixedServer(random.Random(i)) as server:
            settings = make_settings(server.base_url, money_cap=cap, backoff=0.001)
            dialogues, reasons, stopped = run(file, 6, settings)
            paid_twice, over_cap, sends = audit(file, server, cap, REQUEST_ATTEMPTS)
            total.update(lost=count_lost(file, server), paid_twice=paid_twice, over_cap=over_cap)
        total.update(requested=6, accepted=len(dialogues), rejected=len(reasons), sends=sends)
        total.update(stops=bool(stopped))
        if not stopped and len(dialogues) + len(reasons) != 6:
            same = "fewer"
        file.unlink()
    message = f"1000 runs, {total.pop('stops')} ended by their money cap"
    yield Row("random", **total, dialogues=same, message=message)


def run_kills(folder: Path, kills: int, count: int = 300) -> Iterator[Row]:
    total = kill_runs(kills, folder, count)
    same = "the same" if total["same"] == total["runs"] else "others"
    message = f"{total['kills']} kills in {total['runs']} runs, {total['same']} of them the same; "
    message += f"{total['open']} in flight"
    counts = (count, total["accepted"], count - total["accepted"], total["attempts"])
    losses = (total["lost"], total["paid_twice"], total["over_cap"])
    yield Row("SIGKILL", *counts, *losses, same, message)


def save(rows: list[Row]) -> None:
    """Write the table; a row replaces an earlier one of the same fault."""
    table = pd.DataFrame(rows)
    if TABLE.exists():
        table = pd.concat([pd.read_csv(TABLE, keep_default_na=False), table])
    table.groupby("fault", sort=False).last().to_csv(TABLE)


def main() -> None:
    """Run faults, random faults and kills, or those named on the command line."""
    kills = next((int(text) for text in sys.argv[1:] if text.isdecimal()), 50)
    names = [text for text in sys.argv[1:] if not text.isdecimal()]
    os.environ[KEY_VARIABLE] = KEY
    rows = []
    with tempfile.TemporaryDirectory() as name:
        drills = {
            "faults": run_faults(Path(name)),
            "random": run_random_faults(Path(name)),
            "SIGKILL": run_kills(Path(name), kills),
        }
        for drill in names or drills:
            for row in drills[drill]:
                print(*asdict(row).values(), sep=" | ", flush=True)
                rows.append(row)
    save(rows)
    wrong = [r for r in rows if r.lost or r.paid_twice or r.over_cap or r.dialogues == "fewer"]
    wrong += [r for r in rows if r.fault == "SIGKILL" and r.dialogues != "the same"]
    if wrong:
        raise SystemExit(f"{len(wrong)} rows are not as they should be; the first: {wrong[0]}")


if __name__ == "__main__":
    main()
