"""What do our runner and stock papermill report when something breaks, and what is on disk then?

    make drill                            all faults, about 15 minutes on 2 free cores
    python -m drills.runner "SIGTERM"     these faults only; the other rows stay

A toy study (tests/support/toy_study.py) has an earlier good result. It runs again, meets one fault
(toy_faults.py), and runs once more without it: under our runner, and under stock papermill, one
`papermill in out -f params` after the other, as with `&&`. Both execute the same notebooks, which
write through `clinical_camel.runs`. So both have the journal and the folders that are replaced
completely; they differ in what the launcher reports, preserves and does next.

The disk is full from the n-th write on, for every n. It is really full where `unshare -rm` works:
each case has a small tmpfs in a private mount namespace, for HOME and temporary files too.
Elsewhere an audit hook rejects opening files for writing; the table says which was used.
Writes results/runner.csv (no times: the same code gives the same file) and results/runner.md.
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
    describe_earlier_result,
    find_still_running,
    format_marks,
    is_new,
    is_truthful,
    normalize,
    read_last_message,
    run_again,
)

RESULTS = Path(__file__).with_name("results")
TABLE = RESULTS / "runner.csv"
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
    """A fault: environment variables, and what happens before, during and after the run."""

    fault: str
    variant: str
    environment: dict[str, str] = field(default_factory=dict)
    during: During | None = None
    output: str = ""  # where the launcher prints, if not to a file
    before: Callable[[Toy], None] = lambda toy: None
    after: Callable[[Toy], None] = lambda toy: None

    def __call__(self, toy: Toy) -> Row:
        row = Row(self.fault, self.variant, toy.launcher)
        first, second = (toy.read_result(step) for step in STEPS)
        self.before(toy)
        code = toy.run(force=True, during=self.during, output=self.output, **self.environment)
        row.exit_code, row.message = str(code), read_last_message(toy)
        if self.during and toy.launcher == STOCK:  # its last line differs from run to run
            row.message = f"notebook: {format_marks(toy)}"
        row.still_running = find_still_running(toy)
        row.truthful = "yes" if is_truthful(toy, code) else "no"
        row.earlier_result = describe_earlier_result(toy, first)
        row.later_step = "not run" if toy.read_result(STEPS[1]) == second else "run"
        self.after(toy)
        row.next_run = run_again(toy)
        row.paid_twice = str(max(0, toy.count_paid() - QUESTIONS))
        return row


def send(*signals: int) -> During:
    """Send signals to the launcher, a second apart, once the kernel has reached its fault."""

    def during(toy: Toy, process: subprocess.Popen) -> None:
        toy.wait_until_ready()
        for number in signals:
            process.send_signal(number)
            time.sleep(1)

    return during


def between_steps(toy: Toy, process: subprocess.Popen) -> None:
    """Send SIGTERM when the first step is published and the second has just started."""
    started = toy.root / f"outputs/toy/.records/{STEPS[1]}.json"
    if toy.launcher == STOCK:
        started = toy.root / f"outputs/toy/{STEPS[1]}.ipynb"
        if str(started.relative_to(toy.root)) not in process.args:
            return
    before = started.stat().st_mtime_ns
    while started.stat().st_mtime_ns == before and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)


def install_deleted_kernelspec(toy: Toy) -> None:
    toy.file(
        "../home/.local/share/jupyter/kernels/python3/kernel.json",
        '{"argv": ["/gone/bin/python", "-f", "{connection_file}"], "display_name": "Python 3"}',
    )


def name_unknown_kernelspec(toy: Toy) -> None:
    params, cells = NOTEBOOKS[STEPS[0]]
    toy.notebook(STEPS[0], params, *cells, kernel="my-env")


def repair(toy: Toy) -> None:
    shutil.rmtree(toy.disk / "home/.local/share/jupyter/kernels", ignore_errors=True)
    toy.build()


WAIT, TERM, KILL = {"TOY_FAULT": "cell:wait"}, signal.SIGTERM, signal.SIGKILL
CASES = [
    Case("exception", "in a cell", {"TOY_FAULT": "cell:raise"}),
    Case("exception", "after run.finish()", {"TOY_FAULT": "after finish:raise"}),
    Case("sys.exit(0)", "in a cell", {"TOY_FAULT": "cell:exit"}),
    Case("kernel killed", "SIGKILL, as when memory runs out", {"TOY_FAULT": "cell:kill"}),
    Case("kernel killed", "os._exit(0) in a library", {"TOY_FAULT": "cell:os_exit"}),
    Case("kernel cannot start", "ipykernel is missing", {"TOY_NO_KERNEL": "1"}),
    Case(
        "kernel cannot start",
        "python3 is the kernelspec of a deleted environment",
        {"JUPYTER_PREFER_ENV_PATH": "0"},
        before=install_deleted_kernelspec,
        after=repair,
    ),
    Case(
        "kernel cannot start",
        "the notebook names an unknown kernelspec",
        before=name_unknown_kernelspec,
        after=repair,
    ),
    Case("SIGTERM", "in a cell", WAIT, send(TERM)),
    Case("SIGTERM", "between two steps, as the second begins", during=between_steps),
    Case(
        "SIGTERM",
        "twice, in a cell that does not stop",
        {"TOY_FAULT": "cell:ignore interrupts"},
        send(TERM, TERM),
    ),
    Case("SIGTERM", "SIGHUP instead: the ssh session ends", WAIT, send(signal.SIGHUP)),
    Case("SIGTERM", "SIGINT instead: Ctrl-C", WAIT, send(signal.SIGINT)),
    Case("SIGKILL of the runner", "in a cell", WAIT, send(KILL)),
    Case(
        "SIGKILL of the runner",
        "in a cell that never releases the interpreter",
        {"TOY_FAULT": "cell:hold the interpreter"},
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


def run_two(variant: str, toy: Toy) -> Row:
    """Start a second launcher of the first step while one is at work, or at the same instant."""
    row = Row("two runners at once", variant, toy.launcher)
    toy.round += 1
    command, at_work = toy.commands(STEPS[0], force=True)[0], "at work" in variant
    first = toy.start(command, TOY_FAULT="cell:pause")  # until the other has ended
    if at_work:
        toy.wait_until_ready()
    second = toy.start(command, TOY_FAULT="cell:pause")
    while first.poll() is None and second.poll() is None:
        time.sleep(0.05)
    (toy.folder / "go").touch()
    codes = [process.wait(timeout=300) for process in (first, second)]
    row.exit_code = " and ".join(map(str, sorted(codes)))
    rejected = [
        line for line in toy.read_output().splitlines() if re.search(r"running|being run", line)
    ]
    rejected = [line for line in rejected if "process" in line]
    row.message = normalize(f"the second: {rejected[-1]}" if rejected else read_last_message(toy))
    has_result = is_new(toy, STEPS[0])
    is_truthful = has_result and sorted(codes)[0] == 0 < sorted(codes)[1]
    row.truthful = "yes" if is_truthful else "no"
    damaged = f"damaged: {format_marks(toy)}"
    row.earlier_result = "replaced by a complete one" if has_result else damaged
    row.later_step, row.still_running = "not requested", find_still_running(toy)
    row.next_run = run_again(toy)
    row.paid_twice = str(max(0, toy.count_paid() - QUESTIONS))
    return row


def change_input(toy: Toy) -> None:
    toy.file("data/questions.txt", "\n".join(f"p{i}" for i in range(QUESTIONS)))


def change_params(toy: Toy) -> None:
    toy.params("toy", STEPS[0], PARAMS[STEPS[0]].replace("seed: 0", "seed: 1"))


def change_code(toy: Toy) -> None:
    params, cells = NOTEBOOKS[STEPS[0]]
    toy.notebook(STEPS[0], params, *cells[:-2], cells[-2].replace("six", "6"), cells[-1])


def edit_result(toy: Toy) -> None:
    rows = toy.root / "outputs/toy/01_ask/rows.jsonl"
    rows.write_text(rows.read_text().replace("round 1", "round 9"))


def run_first_again(toy: Toy) -> None:
    toy.run(STEPS[0], force=True)


def clone(toy: Toy) -> None:
    """Delete what git ignores: names that start with a dot."""
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


def run_stale(fault: str, variant: str, change: Callable[[Toy], None], toy: Toy) -> Row:
    """Run step 2 alone after its input, step 1, has changed.

    It may run only if step 1 is complete and newer; then step 2 is computed anew.
    """
    row = Row(fault, variant, toy.launcher)
    change(toy)
    first, second = (toy.read_result(step) for step in STEPS)
    may_run = change is run_first_again
    status = toy.read_status() if toy.launcher == OURS else {}
    code = toy.run(STEPS[1])
    has_run = toy.read_result(STEPS[1]) != second
    row.exit_code, row.message = str(code), read_last_message(toy)
    row.still_running = find_still_running(toy)
    is_noticed = toy.launcher == STOCK or status[STEPS[may_run]] != "complete"
    row.truthful = "yes" if has_run == may_run == (code == 0) and is_noticed else "no"
    row.earlier_result = describe_earlier_result(toy, first)
    row.later_step = "run" if has_run else "refused"
    row.next_run = run_again(toy)
    row.paid_twice = "-"
    return row


# ------------------------------------------------------------------ full disk at each write


def fill_disk_at(number: int, real: bool, toy: Toy) -> Row:
    """Run step 1 with a disk that is full from this write on (0: never), then with free space."""
    row = Row("full disk", str(number), toy.launcher)
    step = STEPS[0]
    before = toy.read_result(step)
    disk = {
        "TOY_DISK": str(toy.disk),
        "TOY_FULL_AT": str(number),
        "TOY_DISK_IS_REAL": str(int(real)),
    }
    code = toy.run(step, force=True, **disk)
    row.exit_code, row.message = str(code), read_last_message(toy)
    row.still_running = find_still_running(toy)
    row.truthful = "yes" if is_truthful(toy, code, step) else "no"
    row.earlier_result = describe_earlier_result(toy, before)
    row.later_step = "not requested"
    (toy.disk / FILLER).unlink(missing_ok=True)
    row.next_run = run_again(toy, step)
    row.paid_twice = str(max(0, toy.count_paid() - QUESTIONS))
    return row


def summarize(rows: list[Row], real: bool) -> Row:
    """Return one row for all writes: how often each outcome occurred."""
    disk = "tmpfs" if real else "audit hook"
    variant = f"from the n-th write of step 1 on, n = 1 to {len(rows)} ({disk})"
    row = Row("full disk", variant, rows[0].launcher)
    columns = ("exit_code", "truthful", "earlier_result", "later_step", "still_running", "next_run")
    for column in columns:
        outcomes = (getattr(r, column).partition(":")[0] for r in rows)
        counts = sorted(Counter(outcomes).items(), key=lambda item: (-item[1], item[0]))
        setattr(row, column, "; ".join(f"{word} ({n})" for word, n in counts))
    correct = sum("No space left" in r.message for r in rows)
    row.message = f"names the full disk in its last line ({correct} of {len(rows)})"
    row.paid_twice = f"at most {max(int(r.paid_twice) for r in rows)}"
    return row


# ------------------------------------------------------------------------------- the drill


class Drill:
    """Runs cases in parallel, each on a fresh copy of a toy with a good result."""

    def __init__(self, place: Path, real: bool) -> None:
        self.place, self.real, self.count = place, real, 0
        self.templates = {launcher: self._build_template(launcher) for launcher in (OURS, STOCK)}

    def _build_template(self, launcher: str) -> Toy:
        toy = Toy(self.place / launcher.replace(" ", "_"), launcher)
        toy.build()
        if toy.run() or not is_new(toy):
            raise RuntimeError(f"the toy study does not run: {toy.read_output()}")
        return toy

    def run_case(self, launcher: str, case: Callable[[Toy], Row]) -> Row:
        self.count += 1
        template = self.templates[launcher]
        toy = Toy(template.folder / f"case_{self.count}", launcher)
        if self.real:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(toy.disk)]
            subprocess.run(mount, check=True)
        shutil.copytree(template.disk, toy.disk, dirs_exist_ok=True)
        toy.round = template.round
        row = case(toy)
        if self.real:
            subprocess.run(["umount", "--lazy", str(toy.disk)], check=True)
        shutil.rmtree(toy.folder, ignore_errors=True)
        print(f"{row.fault}, {row.variant}: {row.launcher}: {row.message}", flush=True)
        return row

    def run_fault(self, fault: str) -> Iterator[Row]:
        """Yield the rows of one fault, each variant under both launchers."""
        cases: list[tuple[str, Callable[[Toy], Row]]] = [(case.fault, case) for case in CASES]
        for variant in ("a second while one is at work", "both at one instant"):
            cases.append(("two runners at once", partial(run_two, variant)))
        cases += [(case[0], partial(run_stale, *case)) for case in STALE]
        chosen = [case for name, case in cases if name == fault]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [(launcher, case) for case in chosen for launcher in (OURS, STOCK)]
            yield from pool.map(lambda job: self.run_case(*job), jobs)
            for launcher in (OURS, STOCK) if fault == "full disk" else ():
                yield summarize(list(self._fill_disk(launcher, pool)), self.real)

    def _fill_disk(self, launcher: str, pool: ThreadPoolExecutor) -> Iterator[Row]:
        writes = 0

        def count(toy: Toy) -> Row:
            nonlocal writes
            row = fill_disk_at(0, self.real, toy)
            writes = (toy.folder / "writes").stat().st_size
            return row

        self.run_case(launcher, count)
        at = [partial(fill_disk_at, number, self.real) for number in range(1, writes + 1)]
        yield from pool.map(lambda case: self.run_case(launcher, case), at)


def write_table(rows: list[Row], real: bool) -> None:
    """Write results/runner.csv and results/runner.md."""
    names = [f.name for f in fields(Row)]
    rows = sorted(rows, key=lambda row: FAULTS.index(row.fault))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        table.writerows(map(asdict, rows))
    used = ", ".join(f"{name} {version(name)}" for name in ("papermill", "nbclient", "ipykernel"))
    lines = [
        "# Our runner and stock papermill under faults",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}; {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores; Python {platform.python_version()}, {used}; disk full by "
        f"{'a small tmpfs' if real else 'an audit hook'}. Made by `make drill`; do not edit.",
        "",
        (__doc__ or "").split("\n\n")[2],
        "",
        "*Truthful*: success is claimed if and only if the result is new and complete, and every",
        "step that is reported complete (by papermill: all cells completed) is complete. *Paid",
        f"twice*: replies of {QUESTIONS} that were paid a second time over both runs.",
        "",
        "| " + " | ".join(name.replace("_", " ") for name in names) + " |",
        "| " + " | ".join("---" for _ in names) + " |",
    ]
    for row in rows:
        cells = (str(value).replace("|", "\\|") for value in asdict(row).values())
        lines.append("| " + " | ".join(cells) + " |")
    (RESULTS / "runner.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run the drill, in a private mount namespace if the machine allows it."""
    # under nohup or `&` these are ignored, and then child processes ignore them too
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    inside = "DRILL_NAMESPACE" in os.environ
    private = ["unshare", "-rm"]
    if not inside and shutil.which("unshare") and not subprocess.call([*private, "true"]):
        os.environ["DRILL_NAMESPACE"] = "1"
        os.execvp("unshare", [*private, sys.executable, "-m", "drills.runner", *sys.argv[1:]])
    faults, rows = sys.argv[1:] or FAULTS, []
    if TABLE.exists() and sys.argv[1:]:
        with TABLE.open(newline="", encoding="utf-8") as file:
            rows = [Row(**row) for row in csv.DictReader(file) if row["fault"] not in faults]
    with tempfile.TemporaryDirectory() as place:
        drill = Drill(Path(place), real=inside)
        for fault in faults:  # written after each, so that a stopped drill loses nothing
            rows += drill.run_fault(fault)
            write_table(rows, real=inside)


if __name__ == "__main__":
    main()
