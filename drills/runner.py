"""Does the runner tell the truth when something breaks, and what does stock papermill say then?

    make drill                                       all, about 15 minutes on 2 free cores
    python drills/runner.py "SIGTERM"      these faults again, the other rows stay

A toy study (toy_study.py) has an earlier good result. It is run again, meets one fault
(toy_faults.py), and is run once more without it: by our runner, and by stock papermill, one
`papermill in out -f params` after the other as `&&` would. Both execute the same notebooks, which
write through `clinical_camel.runs`: journal and whole folders help both, and what differs is
what the launcher says, keeps and does next.

The disk is full from the n-th write on, for every n: really full where `unshare -rm` works (each
case has a small tmpfs in a private mount namespace, which also holds HOME and the temporary
files), else by an audit hook that refuses to open files for writing; the table says which.
Writes runner_drill.csv (no times: the same code gives the same file) and runner_drill.md.
"""

import csv
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tests.support.toy_faults import FILLER
from tests.support.toy_study import (
    NOTEBOOKS,
    OURS,
    PARAMS,
    QUESTIONS,
    STEPS,
    STOCK,
    Row,
    Toy,
    again,
    earlier,
    is_true,
    left_running,
    made_now,
    marks,
    plain,
    says,
)

HERE = Path(__file__).with_name("results")
TABLE = HERE / "runner_drill.csv"
DISK = "24m"  # the small file system
FAULTS = (
    "exception",
    "sys.exit(0)",
    "kernel killed",
    "kernel cannot start",
    "SIGTERM",
    "SIGKILL of the runner",
    "full disk",
    "two runners at once",
    "stale input",
    "committed-only outputs",
)
During = Callable[[Toy, subprocess.Popen], None]


# ---------------------------------------------------------------------- one fault in a run


@dataclass
class Case:
    """A fault of a run: what the environment asks for, and what happens meanwhile."""

    fault: str
    variant: str
    environment: dict[str, str] = field(default_factory=dict)
    during: During | None = None
    output: str = ""  # where the launcher prints, if not to a file beside the project
    before: Callable[[Toy], None] = lambda toy: None
    after: Callable[[Toy], None] = lambda toy: None

    def __call__(self, toy: Toy) -> Row:
        row = Row(self.fault, self.variant, toy.launcher)
        first, second = (toy.kept(step) for step in STEPS)
        self.before(toy)
        code = toy.run(force=True, during=self.during, output=self.output, **self.environment)
        row.exit_code, row.says = str(code), says(toy)
        if self.during and toy.launcher == STOCK:  # its last line differs from run to run
            row.says = f"notebook: {marks(toy)}"
        row.left_running = left_running(toy)
        row.true = "yes" if is_true(toy, code) else "no"
        row.earlier_result = earlier(toy, first)
        row.later_step = "not run" if toy.kept(STEPS[1]) == second else "run"
        self.after(toy)
        row.next_run = again(toy)
        row.paid_again = str(max(0, toy.paid() - QUESTIONS))
        return row


def send(*signals: int) -> During:
    """Signals to the launcher, a second apart, once the kernel has come to its fault."""

    def during(toy: Toy, process: subprocess.Popen) -> None:
        toy.wait_ready()
        for number in signals:
            process.send_signal(number)
            time.sleep(1)

    return during


def between_steps(toy: Toy, process: subprocess.Popen) -> None:
    """SIGTERM when the first step is published and the second has just begun."""
    begun = toy.root / f"outputs/toy/.records/{STEPS[1]}.json"
    if toy.launcher == STOCK:
        begun = toy.root / f"outputs/toy/{STEPS[1]}.ipynb"
        if str(begun.relative_to(toy.root)) not in process.args:
            return
    before = begun.stat().st_mtime_ns
    while begun.stat().st_mtime_ns == before and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)


def deleted_environment(toy: Toy) -> None:
    toy.write(
        "../home/.local/share/jupyter/kernels/python3/kernel.json",
        '{"argv": ["/gone/bin/python", "-f", "{connection_file}"], "display_name": "Python 3"}',
    )


def unknown_kernelspec(toy: Toy) -> None:
    params, cells = NOTEBOOKS[STEPS[0]]
    toy.notebook(STEPS[0], params, *cells, kernel="my-env")


def repaired(toy: Toy) -> None:
    shutil.rmtree(toy.disk / "home/.local/share/jupyter/kernels", ignore_errors=True)
    toy.build()


WAIT, TERM, KILL = {"TOY_FAULT": "cell:wait"}, signal.SIGTERM, signal.SIGKILL
CASES = [
    Case("exception", "in a cell", {"TOY_FAULT": "cell:raise"}),
    Case("exception", "after run.finish()", {"TOY_FAULT": "after finish:raise"}),
    Case("sys.exit(0)", "in a cell", {"TOY_FAULT": "cell:exit"}),
    Case("kernel killed", "SIGKILL, as for want of memory", {"TOY_FAULT": "cell:kill"}),
    Case("kernel killed", "os._exit(0) in a library", {"TOY_FAULT": "cell:os_exit"}),
    Case("kernel cannot start", "ipykernel is missing", {"TOY_NO_KERNEL": "1"}),
    Case(
        "kernel cannot start",
        "python3 is the kernelspec of a deleted environment",
        {"JUPYTER_PREFER_ENV_PATH": "0"},
        before=deleted_environment,
        after=repaired,
    ),
    Case(
        "kernel cannot start",
        "the notebook names an unknown kernelspec",
        before=unknown_kernelspec,
        after=repaired,
    ),
    Case("SIGTERM", "in a cell", WAIT, send(TERM)),
    Case("SIGTERM", "between two steps, as the second begins", during=between_steps),
    Case(
        "SIGTERM",
        "twice, in a cell that does not stop",
        {"TOY_FAULT": "cell:deaf"},
        send(TERM, TERM),
    ),
    Case("SIGTERM", "SIGHUP instead: the ssh session ends", WAIT, send(signal.SIGHUP)),
    Case("SIGTERM", "SIGINT instead: Ctrl-C", WAIT, send(signal.SIGINT)),
    Case("SIGKILL of the runner", "in a cell", WAIT, send(KILL)),
    Case(
        "SIGKILL of the runner",
        "in a cell that never lets go",
        {"TOY_FAULT": "cell:hold"},
        send(KILL),
    ),
    Case(
        "SIGKILL of the runner",
        "after run.finish(), before the notebook is published",
        {"TOY_FAULT": "after finish:wait"},
        send(KILL),
    ),
    Case("full disk", "only where the launcher prints (/dev/full)", output="/dev/full"),
]


# ----------------------------------------------------------- two runners, and stale results


def two_runners(variant: str, toy: Toy) -> Row:
    """A second launcher of the first step, while one is at work or at the same instant."""
    row = Row("two runners at once", variant, toy.launcher)
    toy.round += 1
    command, at_work = toy.commands(STEPS[0], force=True)[0], "at work" in variant
    first = toy.start(command, TOY_FAULT="cell:pause")  # until the other has ended
    if at_work:
        toy.wait_ready()
    second = toy.start(command, TOY_FAULT="cell:pause")
    while first.poll() is None and second.poll() is None:
        time.sleep(0.05)
    (toy.folder / "go").touch()
    codes = [process.wait(timeout=300) for process in (first, second)]
    row.exit_code = " and ".join(map(str, sorted(codes)))
    refused = [line for line in toy.output().splitlines() if re.search(r"running|being run", line)]
    refused = [line for line in refused if "process" in line]
    row.says = plain(f"the second: {refused[-1]}" if refused else says(toy))
    made = toy.whole(STEPS[0]) == f"round {toy.round}"
    row.true = "yes" if made and sorted(codes)[0] == 0 < sorted(codes)[1] else "no"
    row.earlier_result = "replaced by a whole one" if made else f"damaged: {marks(toy)}"
    row.later_step, row.left_running = "not asked", left_running(toy)
    row.next_run = again(toy)
    row.paid_again = str(max(0, toy.paid() - QUESTIONS))
    return row


def change_input(toy: Toy) -> None:
    toy.write("data/questions.txt", "\n".join(f"p{i}" for i in range(QUESTIONS)))


def change_params(toy: Toy) -> None:
    toy.write(f"params/toy/{STEPS[0]}.yaml", PARAMS[STEPS[0]].replace("seed: 0", "seed: 1"))


def change_code(toy: Toy) -> None:
    params, cells = NOTEBOOKS[STEPS[0]]
    toy.notebook(STEPS[0], params, *cells[:-2], cells[-2].replace("six", "6"), cells[-1])


def edit_result(toy: Toy) -> None:
    rows = toy.root / "outputs/toy/01_ask/rows.jsonl"
    rows.write_text(rows.read_text().replace("round 1", "round 9"))


def run_first_again(toy: Toy) -> None:
    toy.run(STEPS[0], force=True)


def clone(toy: Toy) -> None:
    """Only what git would have: nothing whose name begins with a dot."""
    for hidden in (toy.root / "outputs/toy").glob(".*"):
        shutil.rmtree(hidden) if hidden.is_dir() else hidden.unlink()


STALE = [
    ("stale input", "a data file of step 1 changed", change_input),
    ("stale input", "a parameter of step 1 changed", change_params),
    ("stale input", "the code of notebook 1 changed", change_code),
    ("stale input", "a result of step 1 was edited by hand", edit_result),
    ("stale input", "step 1 was run again", run_first_again),
    ("committed-only outputs", "a fresh clone without the local record", clone),
]


def stale(fault: str, variant: str, change: Callable[[Toy], None], toy: Toy) -> Row:
    """Ask for step 2 alone when step 1 is not any more what it stands on.

    To run is right only where step 1 is complete, though newer: then step 2 is made anew.
    """
    row = Row(fault, variant, toy.launcher)
    change(toy)
    first, second = (toy.kept(step) for step in STEPS)
    may_run = change is run_first_again
    told = toy.status() if toy.launcher == OURS else {}
    code = toy.run(STEPS[1])
    ran = toy.kept(STEPS[1]) != second
    row.exit_code, row.says, row.left_running = str(code), says(toy), left_running(toy)
    noticed = toy.launcher == STOCK or told[STEPS[may_run]] != "complete"
    row.true = "yes" if ran == may_run == (code == 0) and noticed else "no"
    row.earlier_result = earlier(toy, first)
    row.later_step = "run" if ran else "refused"
    row.next_run = again(toy)
    row.paid_again = "-"
    return row


# ------------------------------------------------------------------ full disk at each write


def full_disk_at(number: int, real: bool, toy: Toy) -> Row:
    """Step 1 with a disk that is full from this write on (0: never), and again with room."""
    row = Row("full disk", str(number), toy.launcher)
    step = STEPS[0]
    before = toy.kept(step)
    disk = {
        "TOY_DISK": str(toy.disk),
        "TOY_FULL_AT": str(number),
        "TOY_DISK_IS_REAL": str(int(real)),
    }
    code = toy.run(step, force=True, **disk)
    row.exit_code, row.says, row.left_running = str(code), says(toy), left_running(toy)
    row.true = "yes" if is_true(toy, code, step) else "no"
    row.earlier_result, row.later_step = earlier(toy, before), "not asked"
    (toy.disk / FILLER).unlink(missing_ok=True)
    row.next_run = again(toy, step)
    row.paid_again = str(max(0, toy.paid() - QUESTIONS))
    return row


def summed_up(rows: list[Row], real: bool) -> Row:
    """One line for all writes: how many came out how."""
    disk = "tmpfs" if real else "audit hook"
    variant = f"from the n-th write of step 1 on, n = 1 to {len(rows)} ({disk})"
    row = Row("full disk", variant, rows[0].launcher)
    for column in ("exit_code", "true", "earlier_result", "later_step", "left_running", "next_run"):
        told = (getattr(r, column).partition(":")[0] for r in rows)
        counts = sorted(Counter(told).items(), key=lambda item: (-item[1], item[0]))
        setattr(row, column, "; ".join(f"{word} ({n})" for word, n in counts))
    named = sum("No space left" in r.says for r in rows)
    row.says = f"names the full disk in its last line ({named} of {len(rows)})"
    row.paid_again = f"at most {max(int(r.paid_again) for r in rows)}"
    return row


# ------------------------------------------------------------------------------- the drill


class Drill:
    """Runs cases side by side, each on a fresh copy of a toy with a good result."""

    def __init__(self, place: Path, real: bool) -> None:
        self.place, self.real, self.count = place, real, 0
        self.templates = {launcher: self._template(launcher) for launcher in (OURS, STOCK)}

    def _template(self, launcher: str) -> Toy:
        toy = Toy(self.place / launcher.replace(" ", "_"), launcher)
        toy.build()
        if toy.run() or not made_now(toy):
            raise RuntimeError(f"the toy study does not run: {toy.output()}")
        return toy

    def one(self, launcher: str, case: Callable[[Toy], Row]) -> Row:
        self.count += 1
        template = self.templates[launcher]
        toy = Toy(template.folder / f"case_{self.count}", launcher)
        toy.disk.mkdir()
        if self.real:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(toy.disk)]
            subprocess.run(mount, check=True)
        shutil.copytree(template.disk, toy.disk, dirs_exist_ok=True)
        toy.round = template.round
        row = case(toy)
        if self.real:
            subprocess.run(["umount", "--lazy", str(toy.disk)], check=True)
        shutil.rmtree(toy.folder, ignore_errors=True)
        print(f"{row.fault}, {row.variant}: {row.launcher}: {row.says}", flush=True)
        return row

    def all(self, fault: str) -> Iterator[Row]:
        """The rows of one fault, each variant under both launchers."""
        cases: list[tuple[str, Callable[[Toy], Row]]] = [(case.fault, case) for case in CASES]
        for variant in ("a second while one is at work", "both at one instant"):
            cases.append(("two runners at once", partial(two_runners, variant)))
        cases += [(facts[0], partial(stale, *facts)) for facts in STALE]
        wanted = [case for name, case in cases if name == fault]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [(launcher, case) for case in wanted for launcher in (OURS, STOCK)]
            yield from pool.map(lambda job: self.one(*job), jobs)
            for launcher in (OURS, STOCK) if fault == "full disk" else ():
                yield summed_up(list(self._full_disk(launcher, pool)), self.real)

    def _full_disk(self, launcher: str, pool: ThreadPoolExecutor) -> Iterator[Row]:
        writes = 0

        def count(toy: Toy) -> Row:
            nonlocal writes
            row = full_disk_at(0, self.real, toy)
            writes = (toy.folder / "writes").stat().st_size
            return row

        self.one(launcher, count)
        at = [partial(full_disk_at, number, self.real) for number in range(1, writes + 1)]
        yield from pool.map(lambda case: self.one(launcher, case), at)


def write_table(rows: list[Row], real: bool) -> None:
    """runner_drill.csv, and runner_drill.md from it."""
    names = [f.name for f in fields(Row)]
    rows = sorted(rows, key=lambda row: FAULTS.index(row.fault))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        table.writerows(map(asdict, rows))
    used = ", ".join(f"{name} {version(name)}" for name in ("papermill", "nbclient", "ipykernel"))
    lines = [
        "# The runner under faults, and stock papermill beside it",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}; {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores; Python {platform.python_version()}, {used}; disk full by "
        f"{'a small tmpfs' if real else 'an audit hook'}. Made by `make drill`; do not edit.",
        "",
        (__doc__ or "").split("\n\n")[2],
        "",
        "*True*: success is claimed if and only if the result is new and whole, and no step is",
        "called complete (by papermill: all cells completed) that is not. *Paid again*: replies",
        f"of {QUESTIONS} bought a second time over both runs.",
        "",
        "| " + " | ".join(name.replace("_", " ") for name in names) + " |",
        "| " + " | ".join("---" for _ in names) + " |",
    ]
    for row in rows:
        cells = (str(value).replace("|", "\\|") for value in asdict(row).values())
        lines.append("| " + " | ".join(cells) + " |")
    (HERE / "runner_drill.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run everything, in a mount namespace of its own where the machine allows it."""
    # ignored under nohup or behind `&`, and then by all that is started here
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    inside = "DRILL_NAMESPACE" in os.environ
    private = ["unshare", "-rm"]
    if not inside and shutil.which("unshare") and not subprocess.call([*private, "true"]):
        os.environ["DRILL_NAMESPACE"] = "1"
        os.execvp("unshare", [*private, sys.executable, *sys.argv])
    faults, rows = sys.argv[1:] or FAULTS, []
    if TABLE.exists() and sys.argv[1:]:
        with TABLE.open(newline="", encoding="utf-8") as file:
            rows = [Row(**row) for row in csv.DictReader(file) if row["fault"] not in faults]
    with tempfile.TemporaryDirectory() as place:
        drill = Drill(Path(place), real=inside)
        for fault in faults:  # written after each, so that a stopped drill keeps what it has
            rows += drill.all(fault)
            write_table(rows, real=inside)


if __name__ == "__main__":
    main()
