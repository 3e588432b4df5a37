"""What the steps of a run took: time, memory, energy, cost. Printed when the runner ends."""

from collections.abc import Sequence
from typing import Any

from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import Job
from clinical_camel.runner.state import read_record
from clinical_camel.runs.run_json import read_run_record


def summarize(jobs: Sequence[Job], rate: float = 0.0) -> str:
    """Return a line on the complete steps among `jobs`; "" if none is. `rate` is a price per hour.

    The time is that of the runner: the start of the kernel and its imports are part of it, and so
    are interrupted attempts.
    """
    records = [(_read(job), read_record(job)) for job in jobs]
    pairs = [  # after a failed run, the run.json is that of the earlier result
        (run, local)
        for run, local in records
        if run.get("status") == local.get("status", "complete") == "complete"
    ]
    if not pairs:
        return ""
    seconds = sum(
        max(run["seconds"], local.get("seconds", 0.0))
        + sum(a.get("seconds", 0.0) for a in run["attempts"])
        for run, local in pairs
    )
    records = [run for run, _ in pairs]
    parts = [f"{format_seconds(seconds)} in {len(records)} complete steps"]
    parts.append(f"peak memory {max(r['peak_memory_mb'] for r in records):,} MB")
    if gpu := max(r.get("peak_gpu_memory_mb", 0) for r in records):
        parts.append(f"{gpu:,} MB on a GPU")
    measured = [r for r in records if "energy_wh" in r]
    if measured:
        sources = " and ".join(sorted({r["energy_from"] for r in measured}))
        parts.append(f"{sum(r['energy_wh'] for r in measured):.1f} Wh ({sources})")
    if rate:
        parts.append(f"cost {seconds / 3600 * rate:.2f} at {rate:g} per hour")
    return f"summary: {', '.join(parts)}"


def _read(job: Job) -> dict[str, Any]:
    return read_run_record(root() / "outputs" / job.study / job.step)


def format_seconds(seconds: float) -> str:
    """Return a time such as `1 h 5 min 3 s`."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes)
    return " ".join([*parts, f"{rest} s"])
