"""A project of two small steps that is executed in kernels, and what is on disk afterwards.

01_first "pays" for six replies (one letter each in the file `ledger`) and writes a table and a
figure; 02_second reads its rows. Files in the project's root switch faults on: `hang` and `full`.
"""

import json

from tests.support.project import Project

from clinical_camel import cli
from clinical_camel.runner import jobs, state

# no torch and no seaborn in these kernels: they take two seconds to import
LIGHT = "import sys\nsys.modules.update(torch=None, seaborn=None)\n"
START = (
    f"{LIGHT}from pathlib import Path\nfrom clinical_camel import runs\n"
    "run = runs.start(study, '01_first', seed)"
)
PRINT = "print('10 %\\r100 %')\nprint(run.dir, 'and', runs.path('.'))"
PAY = """\
journal = run.journal('replies', key=1)
for name in 'abcdef':
    if name not in journal.done:
        with open('ledger', 'a') as ledger:
            ledger.write(name)
        journal.append(name, name)
    if len(journal.done) == 3 and Path('hang').exists():
        Path('hang').rename('hanging')
        sum(range(10**12))  # no other thread of this process runs meanwhile"""
SAVE = """\
def fill_disk(event, arguments):
    if event == 'open' and 'rows.jsonl' in str(arguments[0]) and Path('full').exists():
        raise OSError(28, 'No space left on device')
sys.addaudithook(fill_disk)
run.save_rows([seed], 'rows')
from matplotlib import pyplot as plt
run.save_figure(plt.figure(), 'empty', alt='nothing yet')"""
FINISH = "run.finish(f'seed {seed}')"
FIRST = (START, PRINT, PAY, SAVE, FINISH)
SECOND = (
    f"{LIGHT}from clinical_camel import runs\nrun = runs.start(study, '02_second', 0)",
    "run.save_rows([runs.path(rows).read_text()], 'copy')",
    "run.finish('copied')",
)
FIRST_PARAMS = "study: str = 'mini_camel'\nseed: int = 0"


def build(project: Project) -> None:
    """Write the notebooks and the params files."""
    project.notebook("01_first", FIRST_PARAMS, *FIRST)
    project.notebook("02_second", "study: str = 'mini_camel'\nrows: str = ''", *SECOND)
    project.params("toy", "01_first", "study: toy\nseed: 5\n")
    project.params("toy", "02_second", "study: toy\nrows: outputs/toy/01_first/rows.jsonl\n")


def run_first(*options: str) -> int:
    """Run the first step by the command line; return the exit code."""
    return cli.main(["run", "toy", "01", *options])


def run_cells(project: Project, *cells: str) -> int:
    """Run the study with other cells in the first notebook."""
    project.notebook("01_first", FIRST_PARAMS, *cells)
    return cli.main(["run", "toy"])


def change_params(project: Project) -> None:
    project.params("toy", "01_first", "study: toy\nseed: 6\n")


def lose_artefact(project: Project) -> None:
    (project.root / "outputs/toy/01_first/rows.jsonl").unlink()


def find_states() -> dict[str, tuple[str, str]]:
    """Return status and reason of each step."""
    states = {job.step: state.find_state(job) for job in jobs.load_jobs("toy")}
    return {step: (s.status, s.reason) for step, s in states.items()}


def find_status() -> str:
    """Return the status of the first step."""
    return find_states()["01_first"][0]


def read_published(project: Project) -> str:
    return (project.root / "outputs/toy/01_first.ipynb").read_text(encoding="utf-8")


def read_outputs(project: Project) -> list[dict]:
    """Return the outputs of the first step's published notebook."""
    cells = json.loads(read_published(project))["cells"]
    return [output for cell in cells for output in cell.get("outputs", [])]


def read_result(project: Project) -> dict[str, bytes]:
    """Return every published file of the first step."""
    folder = project.root / "outputs/toy"
    files = [folder / "01_first.ipynb", *sorted((folder / "01_first").iterdir())]
    return {file.name: file.read_bytes() for file in files}


def read_ledger(project: Project) -> str:
    return (project.root / "ledger").read_text()
