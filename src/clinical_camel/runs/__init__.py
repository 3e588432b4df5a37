"""What a run may be given, where its results go, what is recorded; and the runner of a study.

    params, values     the parameters cell is the schema, the YAML names every parameter
    rules              which values a parameter may have, by its name
    journal            finished pieces of work, on disk as they come
    record             the folder of a run, its tables and figures, run.json
    exercise           the self-check at the end of a notebook
    launch             several processes of one launcher: who leads, who follows
    files, machine     whole writes and hashes; versions, commit, device
    plan, state        which step needs which; what is complete, and if not, why
    recovery           what a killed runner left, put right by the next
    kernel, execution  one notebook in one kernel of this interpreter
    runner             a whole study, the command line

From plan on they are imported by `__main__` only, and papermill with them.
"""

from clinical_camel.runs import params
from clinical_camel.runs.exercise import self_check
from clinical_camel.runs.journal import Journal
from clinical_camel.runs.params import (
    Param,
    ParamsError,
    check_params,
    declared_params,
    load_params,
    path,
    steps,
    studies,
)
from clinical_camel.runs.record import Run, collect, costs, start

__all__ = [
    "ROOT",
    "Journal",
    "Param",
    "ParamsError",
    "Run",
    "check_params",
    "collect",
    "costs",
    "declared_params",
    "load_params",
    "path",
    "self_check",
    "start",
    "steps",
    "studies",
]


def __getattr__(name: str) -> object:
    if name == "ROOT":
        return params.root()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
