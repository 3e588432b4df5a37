"""Exercise sheets and their solutions, as notebooks: list them, run them in this process.

A sheet in docs/teaching/exercises has cells with the tags `answer` and `grade`, three of each, and
`exercise-1` to `exercise-3`. Its solution in docs/teaching/solutions differs in the answers only.
Running all sheets in one process loads torch once; a kernel for each would take minutes.
"""

import ast
import contextlib
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat

from clinical_camel.core.paths import root

ANSWER, GRADE = "answer", "grade"


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell of a sheet: its tags, its source, what it printed or showed, seconds of both."""

    tags: tuple[str, ...]
    source: str
    output: str = ""
    seconds: float = 0.0
    processor_seconds: float = 0.0


def list_sheets(kind: str = "exercises") -> list[Path]:
    """Return the notebooks of a kind, `exercises` or `solutions`, in order."""
    return sorted((root() / "docs/teaching" / kind).glob("*.ipynb"))


def read_code(sheet: Path) -> list[Cell]:
    """Return the code cells of a sheet, not run."""
    cells = nbformat.read(sheet, as_version=4).cells
    return [
        Cell(tuple(c.metadata.get("tags", [])), c.source) for c in cells if c.cell_type == "code"
    ]


def run_sheet(sheet: Path) -> list[Cell]:
    """Return the code cells of a sheet with their output and time, after running them in order.

    The value of the last line is shown as in a notebook, except of what `display` gets. An error of
    a cell is raised.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    return [run_cell(cell, names) for cell in read_code(sheet)]


def run_cell(cell: Cell, names: dict[str, object]) -> Cell:
    """Return a cell with output and time, after running it with these names."""
    tree = ast.parse(cell.source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    start, start_processor = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None
        if value is not None:
            print(repr(value))
    spent = time.perf_counter() - start, time.process_time() - start_processor
    return Cell(cell.tags, cell.source, printed.getvalue(), *spent)


def select(cells: Sequence[Cell], tag: str) -> list[Cell]:
    """Return the cells that have a tag."""
    return [cell for cell in cells if tag in cell.tags]
