"""Run records and tables as the cards read them.

What leaves a study is what its run wrote: each file read must have the hash in its run.json.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from clinical_camel.core.files import read_json
from clinical_camel.core.hashing import hash_file
from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import PlanError
from clinical_camel.runner.study import COMMAND
from clinical_camel.runs.params_files import load_params
from clinical_camel.runs.run_json import read_run_record

WEIGHTS = "adapter_model.safetensors"
BASE_KEYS = ("model_sha256", "model_revision", "config_sha256", "template_sha256")
SYNTHESIS, TRAINING, EXAM = "01_dbke", "02_sft_qlora", "03_eval_fewshot"
NOTES = {  # of a run.json, which cards read
    SYNTHESIS: {"sources", "teacher"},
    TRAINING: {"base", "sources"},
    EXAM: {"models"},
}


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
    """Return the `run.json` of a step, whose parameters are still those in params/.

    Raises PlanError for an incomplete or damaged run, the record of another step, and parameters
    changed since: a card describes what a run of the params files gives.
    """
    folder = root() / "outputs" / study / step
    record, again = read_run_record(folder), _format_command(study, step)
    damaged = f"{study}: {step}/run.json is damaged; {again}"
    if not record and (folder / "run.json").exists():
        raise PlanError(damaged)
    if record.get("status") != "complete":
        raise PlanError(f"{study}: {step} is not complete; run it first")
    if (record["study"], record["step"]) != (study, step):
        owner = f"{record['step']} of {record['study']}"
        raise PlanError(f"{study}: {step}/run.json is that of {owner}; {again}")
    if not NOTES.get(step, set()) <= record["notes"].keys():
        raise PlanError(damaged)
    params = load_params(study, step)
    changed = [k for k, v in params.items() if k in record["params"] and record["params"][k] != v]
    if changed:
        names = ", ".join(changed)
        raise PlanError(f"{study}: {step} ran with other values of {names}; {again}")
    return record


def require_artefact(study: str, step: str, name: str) -> Path:
    """Return a file of a result. Raises PlanError unless it is the one that the run wrote."""
    folder = root() / "outputs" / study / step
    expected = read_run_record(folder).get("artefacts", {}).get(name)
    file = folder / name
    if expected and file.is_file() and hash_file(file) == expected:
        return file
    is_other = file.is_file() and expected
    problem = f"{name} differs from its run record, run.json" if is_other else f"has no {name}"
    raise PlanError(f"{study}: {step} {problem}; {_format_command(study, step)}")


def _format_command(study: str, step: str) -> str:
    return f"run the step again: {COMMAND} run {study} {step[:2]} --force"


def load_table(study: str, step: str, name: str) -> pd.DataFrame:
    """Return a table that a step saved. Raises PlanError unless it is as the run wrote it."""
    return pd.read_csv(require_artefact(study, step, f"{name}.csv"))


def require_same_adapter(study: str, training: Mapping[str, Any], exam: Mapping[str, Any]) -> None:
    """Raise PlanError unless the exam scored this training's adapter on the same base model."""
    again = _format_command(study, EXAM)
    folder = f"outputs/{study}/{TRAINING}/adapter"
    scored = [m for m in exam["notes"].get("models", {}).values() if m.get("adapter") == folder]
    if not scored:
        raise PlanError(f"{study}: {EXAM} has no score of {folder}; name it in adapters; {again}")
    base = training["notes"].get("base", {}) | read_json(root() / folder / "base_model.json")
    for model in scored:
        if model.get("adapter_sha256") != _hash_adapter(training["artefacts"]):
            raise PlanError(f"{study}: {EXAM} scored another adapter than {TRAINING} made; {again}")
        for name in BASE_KEYS:
            if name in base and base[name] != model.get(name, base[name]):
                raise PlanError(f"{study}: {EXAM} scored with another base, {name}; {again}")
    for name in ("model", "chat_template"):
        if training["params"].get(name) != exam["params"].get(name):
            raise PlanError(f"{study}: {EXAM} and {TRAINING} have different {name}s; {again}")


def _hash_adapter(artefacts: Mapping[str, str]) -> str:
    """Return the hash that `models.LLM.source` has for the weights of an adapter."""
    names = sorted(n for n in artefacts if re.fullmatch(r"adapter/[^/]+\.safetensors", n))
    return hashlib.sha256(bytes.fromhex("".join(artefacts[n] for n in names))).hexdigest()[:16]
