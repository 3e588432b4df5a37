"""What a run may be given: the parameters cell is the schema, the YAML names every parameter.

Papermill runs on when a name is unknown, a type is wrong or a key stands twice, and then the
wrong study is published. So everything is checked here, in one message, before a kernel starts.
"""

import ast
import io
import json
import os
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from clinical_camel.runs import rules
from clinical_camel.runs.values import (
    SCALARS,
    misfits,
    nearest,
    path_problem,
    show,
    unsafe,
)

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
MAX_DIGITS = 19  # of a whole number: what 64 bits hold, and Python refuses to read 4,301
STEP_NAME = re.compile(r"\d\d_[a-z0-9_]+")


class ParamsError(ValueError):
    """A parameters file that does not fit its notebook; the message has one line per problem."""


@dataclass(frozen=True, slots=True)
class Param:
    """One line of a parameters cell: annotation as text, default as value, trailing comment."""

    annotation: str
    default: Any
    comment: str
    line: int


def root() -> Path:
    """The project folder: CLINICAL_CAMEL_ROOT if set (tests and drills run in a copy)."""
    override = os.environ.get("CLINICAL_CAMEL_ROOT")
    # not resolved: a checkout reached through a link keeps the name its user knows
    return Path(override).absolute() if override else Path(__file__).parents[3]


def __getattr__(name: str) -> Path:
    """`ROOT` is read from the environment at each use, so one process can work in a copy."""
    if name == "ROOT":
        return root()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def path(text: str) -> Path:
    """An absolute path from a root-relative text.

    The check is lexical: data/public may be a link to a folder elsewhere, and that is fine.

    Raises ValueError, naming the text, if it is empty, absolute or leaves the project.
    """
    problem = path_problem(text) or ("contains a NUL character" if "\0" in text else "")
    if not text.strip() or problem:
        raise ValueError(f"path {text!r} {problem or 'is empty'}")
    return root() / PurePosixPath(text)


# ----------------------------------------------------------------- what the notebook declares


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


def relative(file: Path) -> str:
    """A path as it may be printed or recorded: from the project's root, never with a home."""
    return file.relative_to(root()).as_posix() if file.is_relative_to(root()) else file.name


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
    problems = list(misfits(default, node.annotation, node.target.id))
    if problems:
        raise ParamsError(f"{where}: " + "; ".join(problems))
    comment = comments.get(node.end_lineno) or comments.get(node.lineno, "")
    return node.target.id, Param(annotation, default, comment, node.lineno)


def _allowed(node: ast.expr, depth: int) -> bool:
    """Scalars, and list[...] or dict[str, ...] of them, nested one level at most."""
    if isinstance(node, ast.Name):
        return node.id in SCALARS
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


# ----------------------------------------------------------------------- does a value fit


def check_params(notebook: Path, params: dict[str, Any], source: str) -> None:
    """Raise one ParamsError listing every problem of `params`, one line each.

    `source` is the file named in the lines. Nothing is filled in from the defaults: an incomplete
    file must not fall back on plausible science.
    """
    declared = declared_params(notebook)
    where = relative(notebook)
    problems = [f"{name}: missing; {where} declares it" for name in declared if name not in params]
    fitting = {}
    for name, value in params.items():
        found = list(unsafe(name, value))
        if name not in declared:
            found.append(f"{name}: not a parameter of {where}{nearest(name, declared)}")
        else:
            annotation = ast.parse(declared[name].annotation, mode="eval").body
            found += misfits(value, annotation, name)
        if not found:
            fitting[name] = value
        problems += found
    problems += rules.problems(fitting, root())
    problems += [
        f"{name}: declared in {where} but no later cell reads it; use it or delete it"
        for name in unread_params(notebook)
    ]
    if problems:
        raise ParamsError("\n".join(f"{source}: {problem}" for problem in problems))


# --------------------------------------------------------------------------- the YAML file


def studies() -> list[str]:
    """The folders of params/ that hold a parameters file."""
    return sorted({p.parent.name for p in (root() / "params").glob("*/*.yaml")})


def study_files(study: str) -> list[Path]:
    """The parameters files of a study, in order. Raises ParamsError naming the nearest study."""
    if not STUDY_NAME.fullmatch(study) or study not in studies():
        raise ParamsError(f"params/{study}: no such study{nearest(study, studies())}")
    return sorted((root() / "params" / study).glob("*.yaml"))


def load_params(study: str, step: str) -> dict[str, Any]:
    """The checked parameters of params/<study>/<step>.yaml.

    Raises ParamsError with every problem of the file, one line each.
    """
    study_files(study)
    source = f"params/{study}/{step}.yaml"
    if step not in steps():
        raise ParamsError(f"{source}: there is no notebooks/{step}.ipynb{nearest(step, steps())}")
    file = root() / source
    if not file.is_file():
        raise ParamsError(f"{source}: no such file; copy one of another study")
    params = read_yaml(file)
    problems = []
    try:
        check_params(notebook_path(step), params, source)
    except ParamsError as error:
        problems = str(error).splitlines()
    if "study" in params and params["study"] != study:
        problems.append(f"{source}: study: {show(params['study'])} is not its folder; {study} is")
    if problems:
        raise ParamsError("\n".join(problems))
    return params


def read_yaml(file: Path) -> dict[str, Any]:
    """A flat mapping from a YAML file, strictly: what YAML passes over in silence is refused.

    Raises ParamsError naming file, line and key: duplicate keys, keys that are not text, empty
    values, dates, numbers in base 8 or 60, aliases, tags, tabs, an empty file.
    """
    name = relative(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise ParamsError(f"{name}: the file is empty; every parameter must be written out")
        if not isinstance(node, yaml.MappingNode):
            raise ParamsError(f"{name}: not a mapping; write lines of the form `name: value`")
        problems = list(_node_problems(node, "", set()))
        if problems:
            raise ParamsError("\n".join(f"{name}: {problem}" for problem in problems))
        return yaml.constructor.SafeConstructor().construct_document(node)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ParamsError(f"{name}: line {line}: not UTF-8 text; save the file as UTF-8") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ParamsError(
            f"{name}: line {line}: a character {error.character:#x}; delete it"
        ) from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{name}: {_yaml_problem(error)}") from None
    except RecursionError:
        raise ParamsError(f"{name}: nested too deeply; write flat values") from None


YAML_PROBLEMS = {  # what the parser says, in words that name the remedy
    "'\\t'": "a tab; indent with spaces",
    "another document": "a second document; keep one file to one document, without ---",
    "unexpected end of stream": "a quote that is not closed",
    "',' or ']'": "a bracket that is not closed, or a comma that is missing",
    "',' or '}'": "a brace that is not closed, or a comma that is missing",
    "expected ':'": "not of the form `name: value`, with a space after the colon",
    "mapping values": "a second colon; put the text in quotes",
}


def _yaml_problem(error: yaml.YAMLError) -> str:
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    began = getattr(error, "context_mark", None)
    if began and "end" in problem:  # a quote or bracket: where it began, not where the file ended
        mark = began
    said = next((said for part, said in YAML_PROBLEMS.items() if part in problem), problem)
    return f"line {mark.line + 1}: {said}" if mark else said


def _node_problems(node: yaml.Node, at: str, seen: set[int]) -> Iterator[str]:
    line = f"line {node.start_mark.line + 1}: "
    if id(node) in seen:
        yield f"{line}{at}: an alias; write the value out"
        return
    seen.add(id(node))
    if not isinstance(node, yaml.ScalarNode) and node.tag not in PLAIN_TAGS:
        yield f"{line}{at}: the tag {node.tag} is not allowed; write a plain value"
    if isinstance(node, yaml.ScalarNode):
        problem = _odd_scalar(node)
        if problem:
            yield f"{line}{at}: {problem}"
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from _node_problems(item, f"{at}[{i}]", seen)
    else:
        yield from _mapping_problems(node, at, seen)


def _mapping_problems(node: yaml.MappingNode, at: str, seen: set[int]) -> Iterator[str]:
    first: dict[str, int] = {}
    for key, item in node.value:
        line = key.start_mark.line + 1
        if key.tag == "tag:yaml.org,2002:merge":
            yield f"line {line}: {at or '<<'}: a merge key; a params file inherits nothing"
        elif key.tag != "tag:yaml.org,2002:str":
            yield f"line {line}: {at + ': ' if at else ''}the key {key.value} is not text; quote it"
        name = f"{at}.{key.value}" if at else str(key.value)
        if name in first:
            yield f"line {line}: {name}: a second time (first in line {first[name]})"
        first.setdefault(name, line)
        yield from _node_problems(item, name, seen)


def _odd_scalar(node: yaml.ScalarNode) -> str:
    """Plain scalars that YAML 1.1 turns into something their writer did not mean."""
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind == "null":
        return 'empty; write "" for none or 0 for no limit'
    if kind == "timestamp":
        return f'{node.value} is read as a date; write it in quotes, "{node.value}"'
    if kind in ("int", "float") and ":" in node.value:
        return f'{node.value} is read in base 60; write it in quotes, "{node.value}"'
    if kind == "int" and re.match(r"[-+]?0[0-9_]", node.value):
        return f"{node.value} is read in base 8; write it without the leading zero"
    if kind == "int" and len(node.value) > MAX_DIGITS:
        return f"a number of {len(node.value)} digits; write at most {MAX_DIGITS}"
    if kind not in ("int", "float", "bool", "str"):
        return f"the tag {node.tag} is not allowed; write a plain value"
    return ""
