"""What `plan` prints for a sweep: one run of each arm is estimated and multiplied."""

from collections import Counter
from collections.abc import Sequence

from clinical_camel.estimate.costs import Cost, estimate_study, read_measured
from clinical_camel.estimate.report import exceeds_memory, format_errors, format_table
from clinical_camel.estimate.speed import GB
from clinical_camel.runner.jobs import load_sweep_jobs
from clinical_camel.runner.sweep import load_sample
from clinical_camel.runs.sweeps import find_arms, list_runs

HEADER = ("arm", "runs", "minutes per run", "hours", "memory GB", "disk GB", "cost")
NOTE = """
Hours are for one run at a time. With `run --jobs N`, N runs need N times the memory; they are
faster only if one run leaves processor cores or the GPU idle.
"""


def print_sweep_report(sweep: str, rate: float = 0.0, machine: str = "") -> int:
    """Print runs, time, memory and disk of each arm; return 1 if a step does not fit in memory.

    A step that arms share counts in the first of them. Raises PlanError as `estimate_study`.
    """
    runs, sample = list_runs(sweep), load_sample(sweep)
    arms = find_arms(runs)
    # a step of the sweep itself has no arm, and runs once
    counts = Counter((arms[job.study], job.step) for job in load_sweep_jobs(sweep))
    costs = estimate_study(sample, machine=machine)
    numbers, needs, rows = Counter(run.arm for run in runs), [], [HEADER]
    for arm in dict.fromkeys(arms.get(cost.study, "") for cost in costs):
        own = [cost for cost in costs if arms.get(cost.study, "") == arm]
        needs.append(_add_up(own, [counts.get((arm, cost.step), 1) for cost in own]))
        minutes = sum(sum(cost.seconds.values()) for cost in own) / 60
        name = arm or ", ".join(cost.step for cost in own)
        rows.append((name, str(numbers.get(arm, 1)), f"{minutes:.1f}", *_format(*needs[-1], rate)))
    hours, memory, disk, money = zip(*needs, strict=True)
    total = _format(sum(hours), max(memory), sum(disk), sum(money), rate)
    rows.append(("total", str(len(runs)), "", *total))
    print("\n".join(format_table(rows)), NOTE, sep="\n")
    measured = [(cost, read_measured(job, cost)) for job, cost in zip(sample, costs, strict=True)]
    print("\n".join(format_errors([pair for pair in measured if pair[1]])), flush=True)
    return int(any(map(exceeds_memory, costs)))


def _format(hours: float, memory: float, disk: float, money: float, rate: float) -> list[str]:
    cost = money + hours * rate
    numbers = [f"{number:.2f}" for number in (hours, memory / GB, disk / GB)]
    return [*numbers, f"{cost:,.2f}" if cost else ""]


def _add_up(costs: Sequence[Cost], counts: Sequence[int]) -> tuple[float, float, float, float]:
    """Return hours, bytes of memory of one run, bytes on disk, and money for so many runs."""
    pairs = list(zip(costs, counts, strict=True))
    hours = sum(count * sum(cost.seconds.values()) for cost, count in pairs) / 3600
    memory = max(sum(cost.memory.values()) for cost in costs)
    disk = sum(count * sum(cost.disk.values()) for cost, count in pairs)
    return hours, memory, disk, sum(count * cost.money for cost, count in pairs)
