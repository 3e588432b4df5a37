"""How close are the forecasts of `rehearse` and `plan` to the complete run?

    python -m clinical_camel rehearse mini_camel
    python -m clinical_camel run mini_camel --force
    python -m benchmarks.rehearsal mini_camel
    python -m benchmarks.rehearsal --earlier-run smollm2_135m   # the run is older
    python -m benchmarks.rehearsal --forecasts mini_camel clinical_camel_13b   # without a run

Needs outputs/<study>/rehearsal.json, written before the run: an older run is refused, and ends
the list, unless --earlier-run allows it. Prints a row per step, and appends it to rehearsal.csv:
seconds and peak memory, forecast and real; `error` is forecast / real - 1, `run` whether the run
came after the rehearsal. Aims: 20 % of the time and 10 % of the memory.
Both on the same machine, as busy in the run as in the rehearsal; `processor_share` says how busy
that was. A resumed run counts with all its attempts. If a run stood still, because its processes
were stopped, say how long: --stopped 03_eval_fewshot=1920. Takes a second.
"""

import argparse
import functools
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from benchmarks.tables import append

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.runs.run_json import sum_seconds

MB = 2**20
TIME_AIM, MEMORY_AIM = 0.20, 0.10


def list_rows(study: str, run: str, stopped: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Yield a row per rehearsed step; `stopped`: seconds in which a step stood still.

    `run`: "later", "any" or "none". Raises FileNotFoundError or ValueError, with the remedy, at the
    first step without such a run.
    """
    folder = root() / "outputs" / study
    rehearsal = read_json(folder / "rehearsal.json")
    if not rehearsal:
        raise FileNotFoundError(f"{study}: no rehearsal; python -m clinical_camel rehearse {study}")
    for step in rehearsal["steps"]:
        if not step["rehearsed"]:
            continue
        row = describe_forecast(study, rehearsal, step)
        if run != "none":
            record = read_run(folder, step["step"], rehearsal["date"] if run == "later" else "")
            row["run"] = "later" if is_later(record, rehearsal["date"]) else "earlier"
            row |= compare_with_run(step, record, stopped.get(step["step"], 0.0))
        yield row


def describe_forecast(
    study: str, rehearsal: dict[str, Any], step: dict[str, Any]
) -> dict[str, Any]:
    machine = rehearsal["machine"]
    return {
        "study": study,
        "step": step["step"],
        "rehearsed": rehearsal["date"][:10],
        "machine": (machine.get("gpu") or [machine.get("cpu", "")])[0],
        "processor_share": round(step["processor_share"], 2),
        "seconds_forecast": round(step["seconds"], 1),
        "low": round(step["low"], 1),
        "high": round(step["high"], 1),
        "seconds_plan": round(step["planned_seconds"], 1),
        "memory_mb_forecast": round(step["memory"] / MB),
        "memory_mb_plan": round(step["planned_memory"] / MB),
        "go": rehearsal["go"],
        "reason": step["failed"] or step["facts"].get("does_not_fit", ""),
    }


def read_run(folder, step: str, date: str) -> dict[str, Any]:
    """Return the run.json of a complete step; of one that ran after `date`, if it is not ""."""
    record = read_json(folder / step / "run.json")
    if record.get("status") != "complete":
        raise FileNotFoundError(f"{folder.name}: {step} has not run; run the study, then this")
    if date and not is_later(record, date):
        raise ValueError(f"{folder.name}: {step} ran before the rehearsal; run it with --force")
    return record


def is_later(record: Mapping[str, Any], date: str) -> bool:
    return datetime.fromisoformat(record["started"]) >= datetime.fromisoformat(date)


def compare_with_run(
    step: dict[str, Any], record: dict[str, Any], stopped: float
) -> dict[str, Any]:
    memory = record.get("peak_gpu_memory_mb", record["peak_memory_mb"])
    seconds = sum_seconds(record) - stopped
    time_error = step["seconds"] / seconds - 1
    memory_error = step["memory"] / MB / memory - 1
    return {
        "seconds_run": round(seconds, 1),
        "time_error": round(time_error, 3),
        "memory_mb_run": memory,
        "memory_error": round(memory_error, 3),
        "aims_met": abs(time_error) <= TIME_AIM and abs(memory_error) <= MEMORY_AIM,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+")
    choice = parser.add_mutually_exclusive_group()
    add = functools.partial(choice.add_argument, dest="run", action="store_const", default="later")
    add("--forecasts", const="none", help="without a run to compare with")
    add("--earlier-run", const="any", help="the run may be older than the rehearsal")
    parser.add_argument(
        "--stopped", nargs="+", default=[], help="step=seconds in which the run stood still"
    )
    options = parser.parse_args()
    stopped = {step: float(text) for step, _, text in (s.partition("=") for s in options.stopped)}
    name = "rehearsal_forecasts" if options.run == "none" else "rehearsal"
    try:
        for study in options.studies:
            for row in list_rows(study, options.run, stopped):
                append(name, row)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
