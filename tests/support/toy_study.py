"""A toy study of two notebooks, run by our runner or by stock papermill, and what is on disk then.

01_ask pays for six replies, 02_count reads their rows. Both launchers execute the same notebooks.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from tests.support.project import Project

REPOSITORY = Path(__file__).parents[2]
STEPS = ("01_ask", "02_count")
QUESTIONS = 6
OURS, STOCK = "our runner", "papermill"

# no torch and no seaborn: they take seconds to import and are not needed
START = """\
import sys
sys.modules.update(torch=None, seaborn=None)
from tests.support import toy_faults
from clinical_camel import runs
run = runs.start(study, "{step}", seed)"""
ASK = """\
journal = run.journal("replies", key=seed)
for name in runs.path(source).read_text().split():
    if name not in journal.done:
        journal.append(name, toy_faults.pay(name))
    if len(journal.done) == 3:
        toy_faults.inject("cell")"""
SAVE = """\
from matplotlib import pyplot as plt
run.save_rows([{"id": i, "reply": text[:7]} for i, text in journal.done.items()], "rows")
run.save_figure(plt.figure(figsize=(1, 1)), "empty", alt="nothing")"""
COUNT = """\
run.save_rows(runs.path(rows).read_text().splitlines(), "rows")"""
FINISH = """\
run.finish("six replies")"""
LAST = """\
toy_faults.inject("after finish")"""
NOTEBOOKS = {
    "01_ask": (
        'study: str = "toy"\nseed: int = 0\nsource: str = ""',
        (START.format(step="01_ask"), ASK, SAVE, FINISH, LAST),
    ),
    "02_count": (
        'study: str = "toy"\nseed: int = 0\nrows: str = ""',
        (START.format(step="02_count"), COUNT, FINISH),
    ),
}
PARAMS = {
    "01_ask": "study: toy\nseed: 0\nsource: data/questions.txt\n",
    "02_count": "study: toy\nseed: 0\nrows: outputs/toy/01_ask/rows.jsonl\n",
}


class Toy(Project):
    """A folder with the toy project and its ledger, for one launcher."""

    title = ""

    def __init__(self, folder: Path, launcher: str) -> None:
        self.folder, self.launcher = folder, launcher
        self.disk = folder / "disk"  # of a rented machine: project, HOME and temporary files
        super().__init__(self.disk / "project")
        self.ledger = folder / "ledger"
        self.round = 0

    def build(self) -> None:
        """Write the notebooks, the params files and the questions."""
        for step, (params, cells) in NOTEBOOKS.items():
            self.params("toy", step, PARAMS[step])
            self.notebook(step, params, *cells)
        self.file("data/questions.txt", "\n".join(f"q{i}" for i in range(QUESTIONS)))
        for folder in ("home", "tmp", "project/outputs/toy"):
            (self.disk / folder).mkdir(parents=True, exist_ok=True)
        code = "from tests.support import toy_faults\n\ntoy_faults.install()\n"
        self.file("../python/sitecustomize.py", code)

    def make_environment(self, **changes: str) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith(("TOY_", "JUPYTER_"))}
        paths = (self.disk / "python", REPOSITORY, REPOSITORY / "src")
        return own | {
            "CLINICAL_CAMEL_ROOT": str(self.root),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "HOME": str(self.disk / "home"),
            "TMPDIR": str(self.disk / "tmp"),
            "MPLBACKEND": "agg",
            "MPLCONFIGDIR": str(self.disk / "home"),
            "TOY_LEDGER": str(self.ledger),
            "TOY_ROUND": f"round {self.round}",
            **changes,
        }

    # ------------------------------------------------------------- running it

    def commands(self, *steps: str, force: bool = False) -> list[list[str]]:
        """Return what a user types: one command of ours, or one papermill command per step."""
        if self.launcher == OURS:
            options = ["--force"] if force else []
            return [[sys.executable, "-m", "clinical_camel", "run", "toy", *steps, *options]]
        return [
            [sys.executable, "-m", "papermill", "--no-progress-bar", f"notebooks/{step}.ipynb"]
            + [f"outputs/toy/{step}.ipynb", "-f", f"params/toy/{step}.yaml"]
            for step in (steps or STEPS)
        ]

    def start(self, command: list[str], output: str = "", **environment: str) -> subprocess.Popen:
        """Start a command in the project's folder; its output goes to a file outside it."""
        with Path(output or self.folder / "output").open("ab") as file:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env=self.make_environment(**environment),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(
        self,
        *steps: str,
        force: bool = False,
        during: "Callable[[Toy, subprocess.Popen], None] | None" = None,
        output: str = "",
        **environment: str,
    ) -> int:
        """Run these steps (none: all) as a user would; return the exit code of a shell."""
        self.round += 1
        for name in ("output", "ready", "go"):
            (self.folder / name).unlink(missing_ok=True)
        code = 0
        for command in self.commands(*steps, force=force):
            process = self.start(command, output, **environment)
            if during:
                during(self, process)
            code = process.wait(timeout=300)
            if code:
                break
        return code if code >= 0 else 128 - code

    def wait_until_ready(self) -> int:
        """Return the pid of the kernel once it has reached its fault."""
        deadline = time.monotonic() + 120
        while not (ready := self.folder / "ready").exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.folder}: {self.read_output()}")
            time.sleep(0.02)
        return int(ready.read_text())

    def read_output(self) -> str:
        """Return what the last run printed."""
        file = self.folder / "output"
        return file.read_text(errors="replace") if file.exists() else ""

    def read_status(self) -> dict[str, str]:
        """Return the status of each step, from our `status` command."""
        command = [sys.executable, "-m", "clinical_camel", "status", "toy"]
        environment = self.make_environment()
        process = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        rows = [re.split(r"\s{2,}", line.strip()) for line in process.stdout.splitlines()[1:]]
        return {row[0]: row[1] for row in rows if len(row) > 1}

    # ------------------------------------------------------------- what is on disk

    def read_result(self, step: str) -> dict[str, bytes]:
        """Return every published file of a step."""
        folder = self.root / "outputs/toy"
        files = [folder / f"{step}.ipynb", *sorted((folder / step).rglob("*"))]
        return {str(f.relative_to(folder)): f.read_bytes() for f in files if f.is_file()}

    def find_complete_round(self, step: str) -> str:
        """Return the latest round in a published result if it is complete, else ""."""
        folder = self.root / "outputs/toy"
        try:
            record = json.loads((folder / step / "run.json").read_text())
            rows = (folder / step / "rows.jsonl").read_text().splitlines()
            notebook = nbformat.read(folder / f"{step}.ipynb", as_version=4)
        except (OSError, ValueError, nbformat.reader.NotJSONError):
            return ""
        cells = [c for c in notebook.cells if c.cell_type == "code"]
        rounds = set(re.findall(r"round \d+", "".join(rows)))
        png = folder / step / "empty.png"
        is_complete = (
            record["status"] == "complete"
            and len(rows) == QUESTIONS
            and rounds
            and all(c.execution_count for c in cells)
            and not any(o.output_type == "error" for c in cells for o in c.outputs)
            and (step != "01_ask" or png.read_bytes().endswith(b"IEND\xaeB`\x82"))
        )
        return max(rounds) if is_complete else ""

    def count_marks(self, step: str = STEPS[0]) -> dict[str, int]:
        """Return how many cells papermill marks completed, failed, pending; {} if unreadable."""
        try:
            notebook = nbformat.read(self.root / f"outputs/toy/{step}.ipynb", as_version=4)
        except (OSError, ValueError, nbformat.reader.NotJSONError):
            return {}
        cells = [cell.metadata.get("papermill", {}) for cell in notebook.cells]
        marks = [cell["status"] for cell in cells if "status" in cell]
        return {mark: marks.count(mark) for mark in dict.fromkeys(marks)}

    def count_paid(self) -> int:
        """Return how many replies have been paid for."""
        return len(self.ledger.read_text().split()) if self.ledger.exists() else 0

    def find_kernels(self) -> list[psutil.Process]:
        """Return the kernels that run in this project."""
        kernels = []
        for process in psutil.process_iter():
            try:
                if "ipykernel_launcher" in process.cmdline() and process.cwd() == str(self.root):
                    kernels.append(process)
            except psutil.Error:
                continue
        return kernels


@dataclass
class Row:
    """One fault under one launcher."""

    fault: str
    variant: str
    launcher: str
    exit_code: str = ""
    message: str = ""
    truthful: str = ""  # whether the message agrees with what is on disk
    earlier_result: str = ""
    later_step: str = ""
    still_running: str = ""
    next_run: str = ""
    paid_twice: str = ""


# ------------------------------------------------------------------------ what happened


def read_last_message(toy: Toy) -> str:
    """Return the line that a user reads at the end, without what differs from run to run."""
    lines = [line for line in toy.read_output().splitlines() if line.strip()] or ["nothing"]
    if toy.launcher == STOCK:  # the kernel's own lines come and go
        own = [line for line in lines if "[IPKernelApp]" not in line] or ["nothing"]
        return normalize(f"{own[-1]}; notebook: {format_marks(toy)}")
    ended = [line for line in lines if re.match(r"\[\d/\d\].* \d+ s ", line)]
    broken = [line for line in ended if "complete" not in line]
    line = (broken or [line for line in lines if "not started" in line] or ended or lines)[-1]
    return normalize(re.sub(r" +\d+ s +", ": ", re.sub(r"^\[\d/\d\] \w+ +", "", line)))


def normalize(text: str) -> str:
    """Return text without pids, folders and colours."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    text = re.sub(r"/\S*/(disk|bin)/", ".../", text)
    return " ".join(re.sub(r"\bprocess \d+", "process N", text).split())[:200]


def format_marks(toy: Toy) -> str:
    return ", ".join(f"{n} {mark}" for mark, n in toy.count_marks().items()) or "torn"


def is_truthful(toy: Toy, code: int, *steps: str) -> bool:
    """Return whether success is claimed exactly if these steps are new, and `complete` is true.

    Papermill has no status command; its reader goes by the marks of the cells.
    """
    complete = [step for step in STEPS if list(toy.count_marks(step)) == ["completed"]]
    if toy.launcher == OURS:
        complete = [step for step, status in toy.read_status().items() if status == "complete"]
    is_success = is_new(toy, *steps)
    return (code == 0) == is_success and all(toy.find_complete_round(step) for step in complete)


def is_new(toy: Toy, *steps: str) -> bool:
    """Return whether these steps (none: all) have a complete result of the current round."""
    return all(toy.find_complete_round(step) == f"round {toy.round}" for step in steps or STEPS)


def describe_earlier_result(toy: Toy, before: dict[str, bytes]) -> str:
    """Return what became of the earlier good result of the first step."""
    now, notebook = toy.read_result(STEPS[0]), f"{STEPS[0]}.ipynb"
    if now == before:
        return "untouched"
    if now.get(notebook) == before[notebook]:
        return "folder replaced, notebook of the run before"
    if is_new(toy, STEPS[0]):
        return "replaced by a complete one"
    is_same = all(now.get(name) == text for name, text in before.items() if name != notebook)
    return f"notebook overwritten{'' if is_same else ', folder replaced'}"


def find_still_running(toy: Toy) -> str:
    """Return whether a kernel still runs five seconds after its launcher has ended."""
    deadline = time.monotonic() + 5
    while (kernels := toy.find_kernels()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return "its kernel" if kernels else "nothing"


def run_again(toy: Toy, *steps: str) -> str:
    """Run once more without the fault; return whether that completes every result."""
    code = toy.run(*steps)
    is_complete = code == 0 and all(toy.find_complete_round(step) for step in STEPS)
    result = "complete" if is_complete else f"exit {code}: {read_last_message(toy)}"
    for process in toy.find_kernels():  # no kernel survives the drill
        process.kill()
    return result
