"""The notebooks of the project: their cells, and the parameters that they declare."""

import ast
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clinical_camel.core.hashing import key_hash
from clinical_camel.core.paths import relative, root
from clinical_camel.core.settings import SettingsError
from clinical_camel.core.values import SCALARS, check_type


class ParamsError(SettingsError):
    """A parameters file or cell that cannot be used; the message has one line per problem."""


def require_valid(problems: list[str], source: str) -> None:
    """Raise one ParamsError with all problems, one line each; `source` is the file they are in."""
    if problems:
        raise ParamsError("\n".join(f"{source}: {problem}" for problem in problems))


@dataclass(frozen=True, slots=True)
class Param:
    """One line of a parameters cell: annotation as text, default as value."""

    annotation: str
    default: Any


def list_steps() -> list[str]:
    """Return the stems of notebooks/NN_*.ipynb, sorted. Raises FileNotFoundError for none."""
    steps = sorted(p.stem for p in (root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not steps:
        raise FileNotFoundError(
            "no notebooks/NN_*.ipynb here; run from a checkout (pip install -e .) "
            "or set CLINICAL_CAMEL_ROOT to one"
        )
    return steps


def find_data_step() -> str:
    """Return the step that makes the data: the first one after 00, which only reads results."""
    return next(step for step in list_steps() if not step.startswith("00_"))


def notebook_path(step: str) -> Path:
    """Return the notebook of a step."""
    return root() / "notebooks" / f"{step}.ipynb"


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook, each `source` joined to one text."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def is_parameters(cell: dict[str, Any]) -> bool:
    """Return whether the cell is tagged `parameters`."""
    return "parameters" in cell.get("metadata", {}).get("tags", [])


def read_parameters_cell(notebook: Path) -> dict[str, Param]:
    """Return names, annotations and defaults of the cell tagged `parameters`.

    Parsed with `ast`: papermill's inspector drops `int | None` and is confused by `#` or `=` in a
    string. Raises ParamsError unless there is exactly one such cell, and each of its lines is
    `name: annotation = literal  # comment`.
    """
    name = relative(notebook)
    tagged = [cell for cell in read_cells(notebook) if is_parameters(cell)]
    if len(tagged) != 1:
        raise ParamsError(
            f"{name}: {len(tagged)} cells are tagged `parameters`; exactly one must be"
        )
    source = tagged[0]["source"]
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ParamsError(f"{name}: parameters cell, line {error.lineno}: {error.msg}") from None
    declared: dict[str, Param] = {}
    for node in tree.body:
        where = f"{name}: parameters cell, line {node.lineno}"
        param_name, param = _read_line(node, where)
        if param_name in declared:
            raise ParamsError(f"{where}: {param_name} is declared twice")
        declared[param_name] = param
    return declared


def _read_line(node: ast.stmt, where: str) -> tuple[str, Param]:
    is_declaration = isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    if not is_declaration or node.value is None:
        raise ParamsError(f"{where}: only `name: annotation = value  # comment` is allowed here")
    annotation = ast.unparse(node.annotation)
    if not _is_allowed(node.annotation, depth=2):
        raise ParamsError(
            f"{where}: {node.target.id}: {annotation} is not allowed; use str, int, float, bool, "
            'list[...] or dict[str, ...] ("" and 0 mean none)'
        )
    try:
        default = ast.literal_eval(node.value)
    except ValueError:
        raise ParamsError(f"{where}: {node.target.id}: the default must be a literal") from None
    if annotation in SCALARS and (problem := check_type(default, annotation)):
        raise ParamsError(f"{where}: {node.target.id}: {problem}")
    return node.target.id, Param(annotation, default)


def _is_allowed(node: ast.expr, depth: int) -> bool:
    """Return whether an annotation is a scalar, `dict`, or a list or dict of scalars or of such."""
    if isinstance(node, ast.Name):
        return node.id in (*SCALARS, "dict")
    if depth == 0 or not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
        return False
    if node.value.id == "list":
        return _is_allowed(node.slice, depth - 1)
    pair = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    is_text_key = len(pair) == 2 and isinstance(pair[0], ast.Name) and pair[0].id == "str"
    return node.value.id == "dict" and is_text_key and _is_allowed(pair[1], depth - 1)


def find_unread_params(notebook: Path) -> list[str]:
    """Return declared parameters that no later code cell reads: setting one changes nothing."""
    cells = read_cells(notebook)
    first = next(i for i, cell in enumerate(cells) if is_parameters(cell))
    names: set[str] = set()
    for cell in cells[first + 1 :]:
        if cell["cell_type"] == "code" and not cell["source"].startswith("%%"):
            names |= _find_names(cell["source"])
    return [name for name in read_parameters_cell(notebook) if name not in names]


def _find_names(source: str) -> set[str]:
    """Return the names that a cell reads; none if its syntax is wrong, as the kernel will say."""
    code = "\n".join("pass" if re.match(r"[%!]", s) else s for s in source.splitlines())
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return set()
    names = (n for n in ast.walk(tree) if isinstance(n, ast.Name))
    return {n.id for n in names if isinstance(n.ctx, ast.Load)}


def hash_code(cells: list[dict[str, Any]]) -> str:
    """Return the hash of a notebook's code as syntax trees, without its parameters and set-up cell.

    Prose, layout, comments and defaults do not change it.
    """
    skip = {"parameters", "injected-parameters", "setup"}
    codes = [
        cell["source"]
        for cell in cells
        if cell["cell_type"] == "code" and not skip & set(cell["metadata"].get("tags", []))
    ]
    return key_hash([_dump_tree(code) for code in codes if code.strip()])


def _dump_tree(code: str) -> str:
    """Return a syntax tree as text, the same in every version of Python."""
    options = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    try:
        return ast.dump(ast.parse(code), **options).replace(", type_params=[]", "")  # of 3.12
    except SyntaxError:  # a % or ! line
        return code
