"""Executed notebooks as the site shows them: today's prose, this run's settings, safe outputs.

Each function takes a notebook as parsed JSON and returns a changed copy.
"""

import ast
import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.site.outputs import convert_output

Notebook = dict[str, Any]
Cell = dict[str, Any]
NOT_CODE = {"parameters", "injected-parameters", "setup"}  # cells that are not part of the argument
_SETTING = re.compile(r"(\w+): (.+?) = .*?(  # .*)?")


def source_of(cell: Cell) -> str:
    """Return the source of a cell as one text."""
    return "".join(cell["source"])


def tags_of(cell: Cell) -> set[str]:
    """Return the tags of a cell."""
    return set(cell["metadata"].get("tags", []))


def read_code(notebook: Notebook) -> dict[str, str]:
    """Return the code cells that make the argument, as syntax trees by cell id."""
    return {
        cell["id"]: _dump_tree(source_of(cell))
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and not NOT_CODE & tags_of(cell) and source_of(cell).strip()
    }


def _dump_tree(code: str) -> str:
    try:
        return ast.dump(ast.parse(code))
    except SyntaxError:  # a % or ! line
        return code


def use_current_prose(executed: Notebook, current: Notebook) -> tuple[Notebook, bool]:
    """Return an executed notebook with the prose of today's, and whether that was possible.

    Prose describes the code around it. So it is replaced only if both notebooks have the same code
    cells, by id and syntax tree, in the same order. Outputs and settings stay those of the run.
    """
    if list(read_code(executed).items()) != list(read_code(current).items()):
        return copy.deepcopy(executed), False
    by_id = {cell["id"]: cell for cell in executed["cells"]}
    cells = []
    for cell in current["cells"]:
        if cell["cell_type"] == "markdown":
            cells.append(cell)
        elif cell["id"] in by_id:
            cells.append(by_id[cell["id"]])
            if "parameters" in tags_of(cell):  # papermill adds the values of the run after it
                cells += [c for c in executed["cells"] if "injected-parameters" in tags_of(c)]
    return copy.deepcopy({**executed, "cells": cells}), True


def show_settings_of_run(notebook: Notebook) -> Notebook:
    """Return a notebook whose collapsed settings cell has the values of this run.

    The cell tagged `parameters` has defaults, the injected one the values. Both are merged: names,
    types and comments of the first, values of the second, which is removed. So is the set-up cell.
    """
    notebook = copy.deepcopy(notebook)
    injected = [c for c in notebook["cells"] if "injected-parameters" in tags_of(c)]
    values = _read_assignments(source_of(injected[-1])) if injected else {}
    hidden = {"injected-parameters", "setup"}
    notebook["cells"] = [c for c in notebook["cells"] if not hidden & tags_of(c)]
    for cell in notebook["cells"]:
        if "parameters" in tags_of(cell):
            lines = source_of(cell).splitlines()
            cell["source"] = "\n".join(_set_value(line, values) for line in lines)
            cell["metadata"]["tags"] = sorted({*tags_of(cell), "hide-input"})
            cell["metadata"]["mystnb"] = {
                "code_prompt_show": "Show the settings of this run",
                "code_prompt_hide": "Hide the settings of this run",
            }
    return notebook


def _read_assignments(code: str) -> dict[str, Any]:
    tree = ast.parse(code)
    assignments = (node for node in tree.body if isinstance(node, ast.Assign))
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}


def _set_value(line: str, values: dict[str, Any]) -> str:
    match = _SETTING.fullmatch(line)
    if not match or match[1] not in values:
        return line
    return f"{match[1]}: {match[2]} = {values[match[1]]!r}{match[3] or ''}"


def convert_outputs(
    notebook: Notebook, figures: Path, address: str, move_links: Callable[[str], str]
) -> Notebook:
    """Return a notebook whose outputs are plain text or safe HTML.

    Images are written to the folder `figures`; `address` is its address from the notebook's page.
    The function `move_links` changes the links of HTML.
    """
    notebook = copy.deepcopy(notebook)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            outputs = (
                convert_output(output, figures, address, move_links) for output in cell["outputs"]
            )
            cell["outputs"] = [output for output in outputs if output]
    return notebook


def add_run_box(notebook: Notebook, title: str, box: str) -> Notebook:
    """Return a notebook whose first cell has this title, followed by a box about the run."""
    notebook = copy.deepcopy(notebook)
    first = notebook["cells"][0]
    first["source"] = re.sub(r"\A# .*", lambda _: f"# {title}\n\n{box}", source_of(first))
    return notebook
