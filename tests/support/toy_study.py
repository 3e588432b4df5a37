"""A toy study of two notebooks, run by our runner or by stock papermill, and looked at after.

01_ask pays for six replies, 02_count stands on its rows. Both launchers execute the same notebooks.
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

HERE = Path(__file__).parent
SOURCE = HERE.parent / "src"
STEPS = ("01_ask", "02_count")
QUESTIONS = 6
OURS, STOCK = "our runner", "papermill"

# no torch and no seaborn: they take seconds to import and play no part here
OPEN = """\
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
        toy_faults.strike("cell")"""
KEEP = """\
from matplotlib import pyplot as plt
run.save_rows([{"id": i, "reply": text[:7]} for i, text in journal.done.items()], "rows")
run.save_figure(plt.figure(figsize=(1, 1)), "empty", alt="nothing")"""
COUNT = """\
run.save_rows(runs.path(rows).read_text().splitlines(), "rows")"""
FINISH = """\
run.finish("six replies")"""
LAST = """\
toy_faults.strike("after finish")"""
NOTEBOOKS = {
    "01_ask": (
        'study: str = "toy"\nseed: int = 0\nsource: str = ""',
        (OPEN.format(step="01_ask"), ASK, KEEP, FINISH, LAST),
    ),
    "02_count": (
        'study: str = "toy"\nseed: int = 0\nrows: str = ""',
        (OPEN.format(step="02_count"), COUNT, FINISH),
    ),
}
PARAMS = {
    "01_ask": "study: toy\nseed: 0\nsource: data/questions.txt\n",
    "02_count": "study: toy\nseed: 0\nrows: outputs/toy/01_ask/rows.jsonl\n",
}


class Toy:
    """A folder with the toy project and its ledger, under one launcher."""

    def __init__(self, folder: Path, launcher: str) -> None:
        folder.mkdir(parents=True)
        self.folder, self.launcher = folder, launcher
        self.disk = folder / "disk"  # project, HOME and temporary files: the disk of a rented box
        self.root = self.disk / "project"
        self.ledger = folder / "ledger"
        self.round = 0

    def build(self) -> None:
        """The notebooks, the params files and the questions."""
        for step, (params, cells) in NOTEBOOKS.items():
            self.write(f"params/toy/{step}.yaml", PARAMS[step])
            self.notebook(step, params, *cells)
        self.write("data/questions.txt", "\n".join(f"q{i}" for i in range(QUESTIONS)))
        for place in ("home", "tmp", "project/outputs/toy"):
            (self.disk / place).mkdir(parents=True, exist_ok=True)
        self.write("../python/sitecustomize.py", "import toy_faults\n\ntoy_faults.arm()\n")

    def write(self, place: str, text: str) -> None:
        """A text file of the project, by its path from the root."""
        file = self.root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def notebook(self, step: str, params: str, *cells: str, kernel: str = "python3") -> None:
        """A notebook of one parameters cell and these code cells."""
        v4 = nbformat.v4
        tagged = v4.new_code_cell(params, metadata={"tags": ["parameters"]})
        kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
        whole = v4.new_notebook(
            cells=[tagged, *map(v4.new_code_cell, cells)], metadata={"kernelspec": kernelspec}
        )
        for i, cell in enumerate(whole.cells):
            cell["id"] = f"{step}-{i}"
        (self.root / "notebooks").mkdir(parents=True, exist_ok=True)
        nbformat.write(whole, self.root / f"notebooks/{step}.ipynb")

    def environment(self, **more: str) -> dict[str, str]:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("TOY_", "JUPYTER_"))}
        return keep | {
            "CLINICAL_CAMEL_ROOT": str(self.root),
            "PYTHONPATH": os.pathsep.join(map(str, (self.disk / "python", HERE, SOURCE))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "HOME": str(self.disk / "home"),
            "TMPDIR": str(self.disk / "tmp"),
            "MPLBACKEND": "agg",
            "MPLCONFIGDIR": str(self.disk / "home"),
            "TOY_LEDGER": str(self.ledger),
            "TOY_ROUND": f"round {self.round}",
            **more,
        }

    # ------------------------------------------------------------- running it

    def commands(self, *steps: str, force: bool = False) -> list[list[str]]:
        """What a user types: one command of ours, or one papermill a step."""
        if self.launcher == OURS:
            options = ["--force"] if force else []
            return [[sys.executable, "-m", "clinical_camel", "run", "toy", *steps, *options]]
        return [
            [sys.executable, "-m", "papermill", "--no-progress-bar", f"notebooks/{step}.ipynb"]
            + [f"outputs/toy/{step}.ipynb", "-f", f"params/toy/{step}.yaml"]
            for step in (steps or STEPS)
        ]

    def start(self, command: list[str], output: str = "", **environment: str) -> subprocess.Popen:
        """One command in the project's folder; what it prints goes to a file beside it."""
        with Path(output or self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment(**environment),
                stdout=said,
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
        """Run these steps (none: all) as a user would; the exit code, as a shell gives it."""
        self.round += 1
        for name in ("said", "ready", "go"):
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

    def wait_ready(self) -> int:
        """The pid of the kernel that has come to its fault."""
        deadline = time.monotonic() + 120
        while not (ready := self.folder / "ready").exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.folder}: {self.output()}")
            time.sleep(0.02)
        return int(ready.read_text())

    def output(self) -> str:
        """What the last run printed."""
        said = self.folder / "said"
        return said.read_text(errors="replace") if said.exists() else ""

    def status(self) -> dict[str, str]:
        """What `status` of ours calls each step."""
        command = [sys.executable, "-m", "clinical_camel", "status", "toy"]
        environment = self.environment()
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        rows = [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()[1:]]
        return {row[0]: row[1] for row in rows if len(row) > 1}

    # ------------------------------------------------------------- what is on disk

    def kept(self, step: str) -> dict[str, bytes]:
        """Every published file of a step."""
        place = self.root / "outputs/toy"
        files = [place / f"{step}.ipynb", *sorted((place / step).rglob("*"))]
        return {str(f.relative_to(place)): f.read_bytes() for f in files if f.is_file()}

    def whole(self, step: str) -> str:
        """The latest round in a published result if it is whole, else ""."""
        place = self.root / "outputs/toy"
        try:
            record = json.loads((place / step / "run.json").read_text())
            rows = (place / step / "rows.jsonl").read_text().splitlines()
            notebook = nbformat.read(place / f"{step}.ipynb", as_version=4)
        except (OSError, ValueError, nbformat.reader.NotJSONError):
            return ""
        cells = [c for c in notebook.cells if c.cell_type == "code"]
        rounds = set(re.findall(r"round \d+", "".join(rows)))
        png = place / step / "empty.png"
        good = (
            record["status"] == "complete"
            and len(rows) == QUESTIONS
            and rounds
            and all(c.execution_count for c in cells)
            and not any(o.output_type == "error" for c in cells for o in c.outputs)
            and (step != "01_ask" or png.read_bytes().endswith(b"IEND\xaeB`\x82"))
        )
        return max(rounds) if good else ""

    def marks(self, step: str = STEPS[0]) -> dict[str, int]:
        """How many cells papermill calls completed, failed, pending; {} if none can be read."""
        try:
            notebook = nbformat.read(self.root / f"outputs/toy/{step}.ipynb", as_version=4)
        except (OSError, ValueError, nbformat.reader.NotJSONError):
            return {}
        facts = [cell.metadata.get("papermill", {}) for cell in notebook.cells]
        words = [fact["status"] for fact in facts if "status" in fact]
        return {word: words.count(word) for word in dict.fromkeys(words)}

    def paid(self) -> int:
        """How many replies have been paid for."""
        return len(self.ledger.read_text().split()) if self.ledger.exists() else 0

    def kernels(self) -> list[psutil.Process]:
        """Kernels that work in this project."""
        found = []
        for process in psutil.process_iter():
            try:
                if "ipykernel_launcher" in process.cmdline() and process.cwd() == str(self.root):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@dataclass
class Row:
    """One fault under one launcher."""

    fault: str
    variant: str
    launcher: str
    exit_code: str = ""
    says: str = ""
    true: str = ""  # what it says agrees with what is on disk
    earlier_result: str = ""
    later_step: str = ""
    left_running: str = ""
    next_run: str = ""
    paid_again: str = ""


# ------------------------------------------------------------------- looking at what happened


def says(toy: Toy) -> str:
    """The line a user reads at the end, without what differs from run to run."""
    lines = [line for line in toy.output().splitlines() if line.strip()] or ["nothing"]
    if toy.launcher == STOCK:  # the kernel's own lines come and go
        own = [line for line in lines if "[IPKernelApp]" not in line] or ["nothing"]
        return plain(f"{own[-1]}; notebook: {marks(toy)}")
    ended = [line for line in lines if re.match(r"\[\d/\d\].* \d+ s ", line)]
    broken = [line for line in ended if "complete" not in line]
    line = (broken or [line for line in lines if "not started" in line] or ended or lines)[-1]
    return plain(re.sub(r" +\d+ s +", ": ", re.sub(r"^\[\d/\d\] \w+ +", "", line)))


def plain(text: str) -> str:
    """Without pids, places and colours."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    text = re.sub(r"/\S*/(disk|bin)/", ".../", text)
    return " ".join(re.sub(r"\bprocess \d+", "process N", text).split())[:200]


def marks(toy: Toy) -> str:
    return ", ".join(f"{n} {word}" for word, n in toy.marks().items()) or "torn"


def is_true(toy: Toy, code: int, *steps: str) -> bool:
    """Success is claimed if and only if these steps are new and whole; `complete` means whole.

    Papermill has no status; its reader goes by the marks of the cells.
    """
    complete = [step for step in STEPS if list(toy.marks(step)) == ["completed"]]
    if toy.launcher == OURS:
        complete = [step for step, word in toy.status().items() if word == "complete"]
    return (code == 0) == made_now(toy, *steps) and all(toy.whole(step) for step in complete)


def made_now(toy: Toy, *steps: str) -> bool:
    return all(toy.whole(step) == f"round {toy.round}" for step in steps or STEPS)


def earlier(toy: Toy, before: dict[str, bytes]) -> str:
    """What became of the earlier good result of the first step."""
    now, notebook = toy.kept(STEPS[0]), f"{STEPS[0]}.ipynb"
    if now == before:
        return "untouched"
    if now.get(notebook) == before[notebook]:
        return "folder replaced, notebook of the run before"
    if toy.whole(STEPS[0]) == f"round {toy.round}":
        return "replaced by a whole one"
    same = all(now.get(name) == text for name, text in before.items() if name != notebook)
    return f"notebook overwritten{'' if same else ', folder replaced'}"


def left_running(toy: Toy) -> str:
    """Whether a kernel is still there five seconds after its launcher has ended."""
    deadline = time.monotonic() + 5
    while (there := toy.kernels()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return "its kernel" if there else "nothing"


def again(toy: Toy, *steps: str) -> str:
    """The run after the fault: whether it finishes, and whether what stands there is whole."""
    code = toy.run(*steps)
    whole = code == 0 and all(toy.whole(step) for step in STEPS)
    told = "complete" if whole else f"exit {code}: {says(toy)}"
    for process in toy.kernels():  # the drill leaves nothing behind
        process.kill()
    return told
