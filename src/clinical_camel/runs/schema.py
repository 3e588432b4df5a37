"""The schema of each step, and the check of parameters against it.

A step of this project has a settings class in `clinical_camel.<name>.settings`. A notebook that
somebody adds needs none: its parameters cell is then its schema, with names and types only.
"""

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, create_model

from clinical_camel.core.paths import relative
from clinical_camel.core.settings import Float, Settings, StepSettings
from clinical_camel.runs.notebooks import find_unread_params, notebook_path, read_parameters_cell


def settings_class(step: str) -> type[Settings]:
    """Return the settings class of a step, from its package or else from its parameters cell.

    Raises ParamsError for a notebook whose parameters cell cannot be read.
    """
    return _package_class(step) or _cell_class(notebook_path(step))


@cache
def _package_class(step: str) -> type[StepSettings] | None:
    name = f"clinical_camel.{step[3:]}.settings"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            return None
        raise
    return next(c for c in StepSettings.__subclasses__() if c.__module__ == module.__name__)


def _cell_class(notebook: Path) -> type[Settings]:
    """Return a settings class of names and types; with aliases, as pydantic reserves some names."""
    # the cell was read: an annotation consists of these names only
    types = {"str": str, "int": int, "float": Float, "bool": bool, "list": list, "dict": dict}
    fields = {
        f"parameter_{i}": (eval(param.annotation, {}, types), Field(param.default, alias=name))
        for i, (name, param) in enumerate(read_parameters_cell(notebook).items())
    }
    return create_model(notebook.stem, __base__=Settings, **fields)


def check_params(step: str, params: dict[str, Any]) -> list[str]:
    """Return every problem of a step's parameters, one line each, the key first.

    Every parameter must be written out. In a notebook without a settings class, a parameter that
    no later cell reads is a problem too: setting it would change nothing.
    """
    notebook = notebook_path(step)
    where = relative(notebook)
    problems = settings_class(step).check(params, where, complete=True)
    if _package_class(step) is None:
        problems += [
            f"{name}: declared in {where} but no later cell reads it; use it or delete it"
            for name in find_unread_params(notebook)
        ]
    return problems
