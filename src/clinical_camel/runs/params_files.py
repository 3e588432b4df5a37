"""The parameters files: params/<study>/<step>.yaml, read strictly and checked before a kernel starts.

Papermill runs on when a name is unknown, a type is wrong or a key is written twice, and then the
wrong study is published. So everything is checked here, in one message.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from clinical_camel.core.paths import relative, root
from clinical_camel.core.values import nearest, show
from clinical_camel.runs.notebooks import ParamsError, steps
from clinical_camel.runs.schema import require_params

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
MAX_DIGITS = 19  # of a whole number: what 64 bits hold, and Python refuses to read 4,301
STEP_NAME = re.compile(r"\d\d_[a-z0-9_]+")


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
        require_params(step, params, source)
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
