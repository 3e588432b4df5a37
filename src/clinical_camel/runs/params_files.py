"""The parameters files params/<study>/<step>.yaml, read strictly, checked before a kernel starts.

Papermill continues when a name is unknown, a type is wrong or a key is written twice, and then the
wrong study is published. Everything is checked here instead, with all problems in one message.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from clinical_camel.core.paths import relative, root
from clinical_camel.core.values import nearest, show
from clinical_camel.runs.notebooks import ParamsError, list_steps, require_valid
from clinical_camel.runs.schema import check_params

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
MAX_DIGITS = 19  # of an integer: fits 64 bits; Python refuses to read 4,301 digits
STEP_NAME = re.compile(r"\d\d_[a-z0-9_]+", re.IGNORECASE)
SWEEP_FILE = "sweep.yaml"  # of a study that consists of many runs: see `sweeps`
OTHER_ENDINGS = (".yml", ".yaml", ".json", ".toml", ".txt")
MAX_BYTES = 100_000  # the largest file of ours has 3,000; the parser reads 1 MB in 10 seconds
MAX_DEPTH = 8


# --------------------------------------------------------------------------- the YAML file


def list_studies() -> list[str]:
    """Return the folders of params/ that contain a parameters file."""
    return sorted({p.parent.name for p in (root() / "params").glob("*/*") if _is_meant(p)})


def list_params_files(study: str) -> list[Path]:
    """Return the parameters files of a study, sorted, without its sweep.yaml.

    Raises ParamsError for an unknown study, for the name of one that no run could use, and for a
    file of another ending, which would be left out without a word.
    """
    studies = list_studies()
    if study not in studies:
        others = [name for name in studies if STUDY_NAME.fullmatch(name)]
        raise ParamsError(f"params/{study}: no such study{nearest(study, others)}")
    if not STUDY_NAME.fullmatch(study):
        remedy = "rename the folder: letters, digits, - and _, at most 100, the first no sign"
        raise ParamsError(f"params/{study}: not a name for a study; {remedy}")
    files = sorted(filter(_is_meant, (root() / "params" / study).iterdir()))
    for file in files:
        if file.suffix != ".yaml":
            raise ParamsError(f"{relative(file)}: rename it to {file.name.split('.')[0]}.yaml")
    return [file for file in files if file.name != SWEEP_FILE]


def _is_meant(file: Path) -> bool:
    """Return whether a file is a parameters file, also one with a wrong ending; no backup is."""
    stem = file.name.split(".")[0]
    is_named = bool(STEP_NAME.fullmatch(stem)) or f"{stem}.yaml" == SWEEP_FILE
    is_yaml = file.suffix == ".yaml"
    return (is_yaml or (is_named and file.suffix.lower() in OTHER_ENDINGS)) and file.is_file()


def load_params(study: str, step: str) -> dict[str, Any]:
    """Return the checked parameters of params/<study>/<step>.yaml.

    Raises ParamsError with every problem of the file, one line each.
    """
    list_params_files(study)
    source = f"params/{study}/{step}.yaml"
    if step not in list_steps():
        raise ParamsError(
            f"{source}: there is no notebooks/{step}.ipynb{nearest(step, list_steps())}"
        )
    file = root() / source
    if not file.is_file():
        raise ParamsError(f"{source}: no such file; copy one of another study")
    params = read_yaml(file)
    problems = check_params(step, params)
    if "study" in params and params["study"] != study:
        problems.append(f"study: {show(params['study'])} is not the name of its folder, {study}")
    require_valid(problems, source)
    return params


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, read more strictly than YAML reads it.

    Raises ParamsError naming file, line and key for duplicate keys, keys that are not text, empty
    values, dates, numbers in base 2, 8, 16 or 60, aliases, tags, tabs, deep nesting, an empty file
    and one of more than MAX_BYTES.
    """
    name = relative(file)
    if file.stat().st_size > MAX_BYTES:
        size = f"{file.stat().st_size:,} bytes, more than {MAX_BYTES:,}"
        raise ParamsError(f"{name}: {size}; name a file of data instead of writing them here")
    try:
        text = file.read_text(encoding="utf-8-sig")
        require_valid(list(_check_events(text)), name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise ParamsError(f"{name}: the file is empty; every parameter must be written out")
        if not isinstance(node, yaml.MappingNode):
            raise ParamsError(f"{name}: not a mapping; write lines of the form `name: value`")
        require_valid(list(_check_node(node, "", set())), name)
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
        raise ParamsError(f"{name}: {_describe_yaml_error(error)}") from None


YAML_PROBLEMS = {  # part of the parser's message: ours, with the remedy
    "'\\t'": "a tab; indent with spaces",
    "another document": "a second document; keep one file to one document, without ---",
    "expected '<document start>'": "text after the end of the document; keep one document",
    "unexpected end of stream": "a quote that is not closed",
    "cannot start any token": "a value that starts with a sign of YAML; put it in quotes",
    "expected <block end>": "not in line with the keys above it, or a key without a name",
    "',' or ']'": "a bracket that is not closed, or a comma that is missing",
    "',' or '}'": "a brace that is not closed, or a comma that is missing",
    "expected ':'": "not of the form `name: value`, with a space after the colon",
    "mapping values": "a second colon; put the text in quotes",
}


def _describe_yaml_error(error: yaml.YAMLError) -> str:
    problem = str(getattr(error, "problem", None) or error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    start = getattr(error, "context_mark", None)
    if start and "stream" in problem:  # an open quote or bracket: its own line, not the file's last
        mark = start
    text = next((ours for part, ours in YAML_PROBLEMS.items() if part in problem), problem)
    return f"line {mark.line + 1}: {text}" if mark else text


def _check_events(text: str) -> Iterator[str]:
    """Yield explicit tags, and the place where values are nested too deeply; without recursion."""
    depth, key = 0, ""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.ScalarEvent) and event.start_mark.column == 0:
            key = event.value
        if depth > MAX_DEPTH:
            yield f"line {line}: {key}: nested too deeply; write flat values"
            return
        if getattr(event, "tag", None):
            yield f"line {line}: {key}: the tag {event.tag} is not allowed; write a plain value"


def _check_node(node: yaml.Node, at: str, seen: set[int]) -> Iterator[str]:
    line = f"line {node.start_mark.line + 1}: "
    if id(node) in seen:
        yield f"{line}{at}: an alias; write the value out"
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        if problem := _check_scalar(node):
            yield f"{line}{at}: {problem}"
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from _check_node(item, f"{at}[{i}]", seen)
    else:
        yield from _check_mapping(node, at, seen)


def _check_mapping(node: yaml.MappingNode, at: str, seen: set[int]) -> Iterator[str]:
    first: dict[str, int] = {}
    for key, item in node.value:
        line = key.start_mark.line + 1
        if key.tag == "tag:yaml.org,2002:merge":
            yield f"line {line}: {at or '<<'}: a merge key; a params file inherits nothing"
        elif key.tag != "tag:yaml.org,2002:str":
            is_single = isinstance(key, yaml.ScalarNode)
            problem = (
                f"{key.value} is not text; quote it" if is_single else "is a list or a mapping"
            )
            yield f"line {line}: {at + ': ' if at else ''}the key {problem}"
        elif not at and (not key.value.strip() or "\n" in key.value):
            yield f"line {line}: the key {show(key.value)} is no name"
        name = f"{at}.{key.value}" if at else str(key.value)
        if name in first:
            yield f"line {line}: {name}: a duplicate key (first in line {first[name]})"
        first.setdefault(name, line)
        yield from _check_node(item, name, seen)


def _check_scalar(node: yaml.ScalarNode) -> str:
    """Return why YAML 1.1 misreads a scalar, and the remedy; "" if it does not."""
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind == "null":
        return 'empty; write "" for none or 0 for no limit'
    if kind == "value":
        return '= alone is a sign of YAML; write it in quotes, "="'
    if kind == "timestamp":
        return f'{node.value} is read as a date; write it in quotes, "{node.value}"'
    if kind in ("int", "float") and ":" in node.value:
        return f'{node.value} is read in base 60; write it in quotes, "{node.value}"'
    if kind == "int" and re.match(r"[-+]?0[0-9_]", node.value):
        return f"{node.value} is read in base 8; write it without the leading zero"
    if kind == "int" and re.match(r"[-+]?0[xb]", node.value):
        base = 16 if "x" in node.value else 2
        number = int(node.value.replace("_", ""), base) if len(node.value) < 20 else "a decimal"
        return f"{node.value} is read in base {base}; write {number}"
    if kind in ("int", "float") and "_" in node.value:
        return f"{node.value} contains _; write {node.value.replace('_', '')}"
    if kind == "int" and len(node.value) > MAX_DIGITS:
        return f"a number of {len(node.value)} digits; write at most {MAX_DIGITS}"
    return ""
