"""The records of runs, as the cards read them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import PlanError

WRITING, TRAINING, EXAM = "01_dbke", "02_sft_qlora", "03_eval_fewshot"


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table.

    >>> print(markdown([{"a": 1, "b": "x|y"}]))
    | a | b |
    | --- | --- |
    | 1 | x\\|y |
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names)]
    lines += [[str(row.get(name, "")).replace("|", "\\|") for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(value: Any) -> str:
    """The value of a parameter as a card has it; what is empty is "none"."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value) or "none"


def record_of(study: str, step: str) -> dict[str, Any]:
    """The `run.json` of a step (see `runs.Run`); PlanError unless its run is complete."""
    record = read_json(root() / "outputs" / study / step / "run.json")
    if record.get("status") != "complete":
        raise PlanError(f"{study}: {step} is not complete; run it first")
    return record


def table_of(study: str, step: str, name: str) -> pd.DataFrame:
    """A table that a step saved under this name; FileNotFoundError if it saved none."""
    return pd.read_csv(root() / "outputs" / study / step / f"{name}.csv")
