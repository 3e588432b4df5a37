"""Run records and tables as the cards read them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import PlanError

SYNTHESIS, TRAINING, EXAM = "01_dbke", "02_sft_qlora", "03_eval_fewshot"


def format_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a Markdown table.

    >>> print(format_table([{"a": 1, "b": "x|y"}]))
    | a | b |
    | --- | --- |
    | 1 | x\\|y |
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names)]
    lines += [[str(row.get(name, "")).replace("|", "\\|") for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_settings(settings: Mapping[str, Any]) -> str:
    """Return settings as a Markdown table; an empty value is "none".

    >>> print(format_settings({"a": "", "b": ["x", "y"]}))
    | setting | value |
    | --- | --- |
    | a | none |
    | b | x, y |
    """
    values = {k: ", ".join(map(str, v)) if isinstance(v, list) else v for k, v in settings.items()}
    return format_table([{"setting": k, "value": str(v) or "none"} for k, v in values.items()])


def format_device(record: Mapping[str, Any]) -> str:
    """Return the GPUs of a run, or its CPU."""
    device = record["device"]
    return " and ".join(device.get("gpu") or [f"{device['cpu']} (CPU)"])


def require_record(study: str, step: str) -> dict[str, Any]:
    """Return the `run.json` of a step (see `runs.Run`). Raises PlanError for an incomplete run."""
    record = read_json(root() / "outputs" / study / step / "run.json")
    if record.get("status") != "complete":
        raise PlanError(f"{study}: {step} is not complete; run it first")
    return record


def load_table(study: str, step: str, name: str) -> pd.DataFrame:
    """Return a table that a step saved. Raises PlanError if it is missing."""
    file = root() / "outputs" / study / step / f"{name}.csv"
    if not file.is_file():
        raise PlanError(f"{study}: {step} has no {file.name}; run the step again")
    return pd.read_csv(file)
