"""A project with a base study of two steps and a sweep over it, with fake notebooks.

01_first writes a row with its seed and form, 02_second reads it; 03_third, its final step,
reads all runs. A file `fail_<run>` in the root makes a step of that run fail, `diverge_<run>` as a
training with an invalid loss does, `hang_<run>` makes the second step wait.
"""

from tests.support.project import Project
from tests.support.two_steps import LIGHT

from clinical_camel import cli
from clinical_camel.runner import jobs, state

START = f"{LIGHT}import time\nfrom pathlib import Path\nfrom clinical_camel import runs\n"
FAIL = (
    "name = study.rpartition('/')[2]\n"
    "if Path(f'fail_{name}').exists():\n    raise ValueError('no such thing')\n"
    "class TrainingError(ValueError):\n    pass\n"
    "if Path(f'diverge_{name}').exists():\n    raise TrainingError('step 3 of 9: loss is nan: x')"
)
FIRST = (
    f"{START}run = runs.start(study, '01_first', seed)",
    "with open('ledger', 'a') as ledger:\n    ledger.write(study + chr(10))",
    FAIL,
    "run.save_rows([f'{form} {seed}'], 'rows')",
    "run.finish(f'{form} {seed}')",
)
SECOND = (
    f"{START}run = runs.start(study, '02_second', seed)",
    "journal = run.journal('replies', key=1)\nif 'paid' not in journal.done:\n"
    "    with open('ledger', 'a') as ledger:\n        ledger.write(study + chr(10))\n"
    "    journal.append('paid', 1)",
    FAIL,
    "while Path(f'hang_{name}').exists():\n    time.sleep(0.05)",
    "run.save_rows([runs.path(rows).read_text().strip(), rate, seed], 'copy')",
    "run.finish(f'{rate} {seed}')",
)
THIRD = (
    f"{START}run = runs.start(study, '03_third', seed)",
    "files = [(r, r.folders['02_second'] / 'copy.jsonl') for r in runs.list_runs(sweep)]",
    "texts = [(r.name, r.arm, r.data_seed, r.training_seed, f.read_text()) "
    "for r, f in files if f.exists()]",
    "run.save_rows(texts, 'all')",
    "run.finish(f'{len(texts)} runs')",
)
SWEEP = """\
# Two forms, one of them with two rates.
base: toy
steps: [01_first, 02_second]
seeds: [[0, 0], [0, 1]]
common: {02_second: {rate: 2.0}}
arms:
  raw: {}
  slow: {02_second: {rate: 1.0}}
  qa: {01_first: {form: qa}}
"""
RUNS = ("raw_d0", "raw_d0_t0", "slow_d0_t0", "qa_d0", "qa_d0_t0", "raw_d0_t1", "slow_d0_t1")
RUNS += ("qa_d0_t1",)


def build(project: Project, sweep: str = SWEEP) -> None:
    """Write the notebooks, the base study and the sweep `many`."""
    project.notebook("01_first", "study: str = ''\nform: str = ''\nseed: int = 0", *FIRST)
    second = "study: str = ''\nrows: str = ''\nrate: float = 1.0\nseed: int = 0"
    project.notebook("02_second", second, *SECOND)
    project.notebook("03_third", "study: str = ''\nsweep: str = ''\nseed: int = 0", *THIRD)
    project.params("toy", "01_first", "study: toy\nform: raw\nseed: 7\n")
    rows = "outputs/toy/01_first/rows.jsonl"
    project.params("toy", "02_second", f"study: toy\nrows: {rows}\nrate: 1.0\nseed: 7\n")
    project.file("params/many/sweep.yaml", sweep)


def add_third(project: Project) -> None:
    """Give the sweep a final step."""
    project.params("many", "03_third", "study: many\nsweep: many\nseed: 0\n")


def read_ledger(project: Project) -> list[str]:
    """Return the runs that were executed, in order."""
    file = project.root / "ledger"
    lines = file.read_text().split() if file.exists() else []
    return [line.removeprefix("many/") for line in lines]


def find_status(name: str, step: str = "02_second") -> str:
    """Return the status of a step of a run."""
    return state.find_state(jobs.load_job(f"many/{name}", step)).status


def run(*options: str) -> int:
    """Run the sweep by the command line; return the exit code."""
    return cli.main(["run", "many", *options])
