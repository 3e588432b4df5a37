"""The notebooks of the project: their cells, and what their parameters cells declare."""

import ast
import io
import json
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clinical_camel.core.hashing import key_hash
from clinical_camel.core.paths import relative, root
from clinical_camel.core.settings import SettingsError
from clinical_camel.core.values import type_problem

SCALARS = ("str", "int", "float", "bool")


class ParamsError(SettingsError):
    """A parameters file or cell that cannot be used; the message has one line per problem."""


@dataclass(frozen=True, slots=True)
class Param:
    """One line of a parameters cell: annotation as text, default as value, trailing comment."""

    annotation: str
    default: Any
    comment: str
    line: int


def steps() -> list[str]:
    """The stems of notebooks/NN_*.ipynb, in order. Raises FileNotFoundError if there is none."""
    found = sorted(p.stem for p in (root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise FileNotFoundError(
            "no notebooks/NN_*.ipynb found; run from a checkout (pip install -e .) "
            "or set CLINICAL_CAMEL_ROOT to one"
        )
    return found


def notebook_path(step: str) -> Path:
    """The notebook of a step."""
    return root() / "notebooks" / f"{step}.ipynb"


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """The cells of a notebook with `source` joined to one text."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def is_parameters(cell: dict[str, Any]) -> bool:
    """Whether this is the tagged parameters cell."""
    return "parameters" in cell.get("metadata", {}).get("tags", [])


def declared_params(notebook: Path) -> dict[str, Param]:
    """Names, annotations, defaults and comments of the cell tagged `parameters`.

    Read with `ast`: papermill's own inspector drops `int | None` and is confused by `#` or `=`
    inside a string. Raises ParamsError if there is not exactly one such cell, or a line of it
    is anything but `name: annotation = literal  # comment`.
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
    comments = _comments(source)
    declared: dict[str, Param] = {}
    for node in tree.body:
        where = f"{name}: parameters cell, line {node.lineno}"
        param_name, param = _read_line(node, where, comments)
        if param_name in declared:
            raise ParamsError(f"{where}: {param_name} is declared twice")
        declared[param_name] = param
    return declared


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _read_line(node: ast.stmt, where: str, comments: dict[int, str]) -> tuple[str, Param]:
    plain = isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    if not plain or node.value is None:
        raise ParamsError(f"{where}: only `name: annotation = value  # comment` may stand here")
    annotation = ast.unparse(node.annotation)
    if not _allowed(node.annotation, depth=2):
        raise ParamsError(
            f"{where}: {node.target.id}: {annotation} is not allowed; use str, int, float, bool, "
            'list[...] or dict[str, ...] ("" and 0 stand for none)'
        )
    try:
        default = ast.literal_eval(node.value)
    except ValueError:
        raise ParamsError(f"{where}: {node.target.id}: the default must be a literal") from None
    if annotation in SCALARS and (problem := type_problem(default, annotation)):
        raise ParamsError(f"{where}: {node.target.id}: {problem}")
    comment = comments.get(node.end_lineno) or comments.get(node.lineno, "")
    return node.target.id, Param(annotation, default, comment, node.lineno)


def _allowed(node: ast.expr, depth: int) -> bool:
    """Scalars, and list[...] or dict[str, ...] of them, nested one level; `dict` for a group."""
    if isinstance(node, ast.Name):
        return node.id in (*SCALARS, "dict")
    if depth == 0 or not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
        return False
    if node.value.id == "list":
        return _allowed(node.slice, depth - 1)
    pair = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    is_text_key = len(pair) == 2 and isinstance(pair[0], ast.Name) and pair[0].id == "str"
    return node.value.id == "dict" and is_text_key and _allowed(pair[1], depth - 1)


def unread_params(notebook: Path) -> list[str]:
    """Declared parameters that no later code cell reads: setting one would change nothing."""
    cells = read_cells(notebook)
    first = next(i for i, cell in enumerate(cells) if is_parameters(cell))
    read: set[str] = set()
    for cell in cells[first + 1 :]:
        if cell["cell_type"] == "code" and not cell["source"].startswith("%%"):
            read |= _names_read(cell["source"])
    return [name for name in declared_params(notebook) if name not in read]


def _names_read(source: str) -> set[str]:
    code = "\n".join("pass" if re.match(r"[%!]", s) else s for s in source.splitlines())
    try:
        tree = ast.parse(code)
    except SyntaxError:  # shown by the kernel with its line; here it reads nothing
        return set()
    names = (n for n in ast.walk(tree) if isinstance(n, ast.Name))
    return {n.id for n in names if isinstance(n.ctx, ast.Load)}


def code_hash(cells: list[dict[str, Any]]) -> str:
    """The code of a notebook as syntax trees, without its parameters.

    So prose, layout, comments and the defaults may change freely.
    """
    skip = {"parameters", "injected-parameters"}
    codes = [
        cell["source"]
        for cell in cells
        if cell["cell_type"] == "code" and not skip & set(cell["metadata"].get("tags", []))
    ]
    return key_hash([_tree(code) for code in codes if code.strip()])


def _tree(code: str) -> str:
    try:
        return ast.dump(ast.parse(code))
    except SyntaxError:  # a % or ! line
        return code
