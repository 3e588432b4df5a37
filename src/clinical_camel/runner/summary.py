"""What the steps of a run have cost, told when the runner ends: time, memory, energy, money."""

from collections.abc import Sequence

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import Job


def receipt(jobs: Sequence[Job], rate: float = 0.0) -> str:
    """A line on those of the steps that are complete; `rate` is money an hour. "" if none is.

    Time is that of every attempt, the interrupted ones too.
    """
    places = [root() / "outputs" / job.study / job.step / "run.json" for job in jobs]
    records = [record for record in map(read_json, places) if record.get("status") == "complete"]
    if not records:
        return ""
    seconds = sum(
        record["seconds"] + sum(a.get("seconds", 0.0) for a in record["attempts"])
        for record in records
    )
    parts = [f"{_time(seconds)} in {len(records)} complete steps"]
    parts.append(f"at most {max(r['peak_memory_mb'] for r in records):,} MB")
    if gpu := max(r.get("peak_gpu_memory_mb", 0) for r in records):
        parts.append(f"{gpu:,} MB of a GPU")
    measured = [r for r in records if "energy_wh" in r]
    if measured:
        sources = " and ".join(sorted({r["energy_from"] for r in measured}))
        parts.append(f"{sum(r['energy_wh'] for r in measured):.1f} Wh ({sources})")
    if rate:
        parts.append(f"{seconds / 3600 * rate:.2f} at {rate:g} an hour")
    return f"receipt: {', '.join(parts)}"


def _time(seconds: float) -> str:
    """
    >>> _time(3725)
    '1 h 2 min 5 s'
    """
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes)
    return " ".join([*parts, f"{rest} s"])
