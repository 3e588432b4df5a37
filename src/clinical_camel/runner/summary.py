"""What the steps of a run took: time, memory, energy, cost. Printed when the runner ends."""

from collections.abc import Sequence

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import Job


def summarize(jobs: Sequence[Job], rate: float = 0.0) -> str:
    """Return a line on the complete steps among `jobs`; "" if none is. `rate` is a price per hour.

    The time includes interrupted attempts.
    """
    places = [root() / "outputs" / job.study / job.step / "run.json" for job in jobs]
    records = [record for record in map(read_json, places) if record.get("status") == "complete"]
    if not records:
        return ""
    seconds = sum(
        record["seconds"] + sum(a.get("seconds", 0.0) for a in record["attempts"])
        for record in records
    )
    parts = [f"{_format_seconds(seconds)} in {len(records)} complete steps"]
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


def _format_seconds(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes)
    return " ".join([*parts, f"{rest} s"])
