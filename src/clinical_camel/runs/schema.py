"""The schema of each step, and the check of parameters against it.

A step of this project has a settings class in `clinical_camel.<name>.settings`. A notebook that
somebody adds needs none: its parameters cell is its schema then, with names and types only.
"""

import ast
import importlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import create_model

from clinical_camel.core.paths import relative
from clinical_camel.core.settings import Float, Settings, StepSettings
from clinical_camel.runs.notebooks import (
    Param,
    ParamsError,
    declared_params,
    notebook_path,
    unread_params,
)


def settings_class(step: str) -> type[Settings]:
    """The settings class of a step, from its package or else from its parameters cell.

    Raises ParamsError for a notebook whose parameters cell cannot be read.
    """
    return _package_class(step) or _cell_class(notebook_path(step))


@cache
def _package_class(step: str) -> type[StepSettings] | None:
    package = f"clinical_camel.{step[3:]}"
    if not importlib.util.find_spec(package) or not importlib.util.find_spec(f"{package}.settings"):
        return None
    module = importlib.import_module(f"{package}.settings")
    classes = [
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, StepSettings)
        and member.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise TypeError(f"{module.__name__}: {len(classes)} subclasses of StepSettings, not one")
    return classes[0]


def _cell_class(notebook: Path) -> type[Settings]:
    fields = {name: _field(param) for name, param in declared_params(notebook).items()}
    return create_model(notebook.stem, __base__=Settings, **fields)


def _field(param: Param) -> tuple[Any, Any]:
    """Type and default for pydantic; `float` refuses whole numbers as everywhere."""
    return _type(ast.parse(param.annotation, mode="eval").body), param.default


TYPES = {"str": str, "int": int, "float": Float, "bool": bool, "dict": dict}


def _type(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return TYPES[node.id]
    if node.value.id == "list":
        return list[_type(node.slice)]
    return dict[str, _type(node.slice.elts[1])]


def check_params(step: str, params: dict[str, Any]) -> list[str]:
    """Return every problem of a step's parameters, one line each, the key first.

    Every parameter must be written out. Of a notebook without a settings class, a parameter that
    no later cell reads is a problem too: setting it would change nothing.
    """
    notebook = notebook_path(step)
    where = relative(notebook)
    problems = settings_class(step).check(params, where, complete=True)
    if _package_class(step) is None:
        problems += [
            f"{name}: declared in {where} but no later cell reads it; use it or delete it"
            for name in unread_params(notebook)
        ]
    return problems


def require_params(step: str, params: dict[str, Any], source: str) -> None:
    """Raise one ParamsError with every problem of `params`; `source` is the file in its lines."""
    if problems := check_params(step, params):
        raise ParamsError("\n".join(f"{source}: {problem}" for problem in problems))
