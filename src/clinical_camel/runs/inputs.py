"""Inputs of a notebook that another step makes: are they here, and if not, what makes them?"""

from collections.abc import Iterator
from typing import Any

from clinical_camel.core.paths import find_producer, root
from clinical_camel.core.values import iter_texts
from clinical_camel.runs.run_json import read_run_record


def check_missing_inputs(params: dict[str, Any]) -> Iterator[str]:
    """Yield the files and folders under outputs/ that are missing, with the command for each.

    For a notebook without the runner, which checks this before it starts a kernel. A fresh clone
    has the tables of every study, but only the adapter of mini_camel.
    """
    for name, value in params.items():
        for at, _, text in iter_texts(value, name):
            path = text.rpartition("@")[2].rstrip("/")
            study, step = find_producer(path) or ("", "")
            is_file = path.startswith(f"outputs/{study}/{step}/")
            if step and is_file and not (root() / path).exists():
                command = f"python -m clinical_camel run {study} {step[:2]}"
                time = _format_time(study, step)
                yield f"{at}: {path} is not on this machine; run {command}{time}, then this again"


def _format_time(study: str, step: str) -> str:
    """Return the time of the committed run in words; "" if there is none."""
    record = read_run_record(root() / "outputs" / study / step)
    if record.get("status") != "complete":
        return ""
    minutes = max(1, round(record["seconds"] / 60))
    return f" (about {minutes} minute{'s' * (minutes > 1)})"
