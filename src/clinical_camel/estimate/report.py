"""What `plan` prints: each step by part, the whole study, and how far off such plans were."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from clinical_camel.core.values import nearest
from clinical_camel.estimate.costs import Cost, Measured, measured_runs, study_costs
from clinical_camel.estimate.speed import GB, MACHINES
from clinical_camel.runner.jobs import Job, PlanError


def show(
    jobs: list[Job],
    rate: float = 0.0,
    machine: str = "",
    config_file: str = "",
    tokens_per_second: float = 0.0,
) -> int:
    """Print the plan of a study; 0, or 1 if a step needs more memory than its machine has."""
    if machine and machine not in MACHINES:
        raise PlanError(f"--machine: no machine {machine}{nearest(machine, MACHINES)}")
    for name, value in (("--rate", rate), ("--tokens-per-second", tokens_per_second)):
        if not value >= 0:
            raise PlanError(f"{name}: {value} is not allowed; write a number that is 0 or more")
    chosen = {"machine": machine, "config_file": config_file}
    costs = study_costs(jobs, **chosen, tokens_per_second=tokens_per_second)
    for cost in costs:
        print("\n".join(step_lines(cost)), end="\n\n")
    print("\n".join(total_lines(costs, rate)), end="\n\n")
    print("\n".join(error_lines(list(measured_runs()))), end="\n\n")
    print("\n".join(source_lines(costs, tokens_per_second)), flush=True)
    return int(any(too_large(cost) for cost in costs))


def too_large(cost: Cost) -> bool:
    """Whether the step needs more memory than its machine has."""
    memory = MACHINES[cost.machine].memory
    return bool(memory) and sum(cost.memory.values()) > memory


def step_lines(cost: Cost) -> list[str]:
    """One step: the base, the work, and memory, disk and time by part."""
    named = ""
    if cost.base:
        named = f"{cost.base.model}, {cost.base.parameters:,} parameters ({cost.base.source}), "
    lines = [f"{cost.step}  {named}on {cost.machine}"]
    done = cost.work
    counts = {"rows": done.rows, "tokens": done.tokens, "steps": done.steps}
    counts |= {
        "tokens of replies": done.written_tokens,
        "longest row": done.longest,
        "decoding steps": done.decode_steps,
    }
    said = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    lines += _entry("work", said or "tables only")
    total = sum(cost.memory.values())
    fits = f"  MORE THAN THE {cost.machine.upper()} HAS" if too_large(cost) else ""
    lines += _entry("memory", f"{_size(total)}: {_by_part(cost.memory)}{fits}")
    lines += _entry("disk", f"{_size(sum(cost.disk.values()))}: {_by_part(cost.disk)}")
    times = ", ".join(f"{part} {_time(s)}" for part, s in cost.seconds.items() if s >= 0.5)
    lines += _entry("time", f"{_time(sum(cost.seconds.values()))}: {times}")
    if cost.money:
        cap = f"; money_cap ends it at {cost.money_cap:,.2f}" if cost.money > cost.money_cap else ""
        lines += _entry("teacher", f"{cost.money:,.2f} at price_in and price_out{cap}")
    if cost.advice:
        lines += _entry("advice", cost.advice)
    for text in done.how:
        lines += _entry("estimate", text)
    for text in done.unknown:
        lines += _entry("unknown", text)
    return lines


def _entry(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        100,
        initial_indent=f"  {name:<9} ",
        subsequent_indent=" " * 12,
        break_long_words=False,
    )


def _by_part(sizes: Mapping[str, int]) -> str:
    ordered = sorted(sizes.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {_size(size)}" for name, size in ordered if size)


def total_lines(costs: Sequence[Cost], rate: float) -> list[str]:
    """The table of the study with its last line, the total."""
    rows = [("step", "tokens", "steps", "memory GB", "disk GB", "hours", "money")]
    for cost in costs:
        hours = sum(cost.seconds.values()) / 3600
        least = "at least " if cost.work.unknown else ""
        tokens, steps = (f"{n:,}" if n else "" for n in (cost.work.tokens, cost.work.steps))
        sizes = (_gb(sum(cost.memory.values())), _gb(sum(cost.disk.values())))
        money = _money(hours * rate + cost.money)
        rows.append((cost.step, tokens, steps, *sizes, f"{least}{hours:.2f}", money))
    hours = sum(sum(cost.seconds.values()) for cost in costs) / 3600
    largest = max(sum(cost.memory.values()) for cost in costs)
    disk = sum(sum(cost.disk.values()) for cost in costs)
    unknown = any(cost.work.unknown for cost in costs)
    whole = f"{'at least ' if unknown else ''}{hours:.2f}"
    money = _money(hours * rate + sum(cost.money for cost in costs))
    rows.append(("in all", "", "", _gb(largest), _gb(disk), whole, money))
    return _table(rows)


def error_lines(runs: Sequence[Measured]) -> list[str]:
    """Each committed run: what this plan would have said of it, and by what factor it was off."""
    if not runs:
        return ["No committed run whose inputs are here: the error of this plan is not known."]
    rows = [("committed run", "seconds", "planned", "ratio", "memory GB", "planned", "ratio")]
    for run in runs:
        seconds = (f"{run.seconds:.0f}", f"{run.seconds_predicted:.0f}", f"{run.seconds_ratio:.2f}")
        planned = sum(run.cost.memory.values())
        memory = (_gb(run.memory), _gb(planned), f"{run.memory_ratio:.2f}")
        rows.append((f"{run.cost.study} {run.cost.step}, {run.cost.machine}", *seconds, *memory))
    return ["Its error, against measured runs (ratio: planned / measured):", *_table(rows)]


def source_lines(costs: Sequence[Cost], tokens_per_second: float) -> list[str]:
    """What the numbers rest on, for the machines that were planned for."""
    lines = ["What these numbers rest on:"]
    if tokens_per_second:
        lines += _entry("given", f"training: {tokens_per_second:g} tokens a second")
    for name in dict.fromkeys(cost.machine for cost in costs):
        for source in MACHINES[name].sources:
            lines += _entry(name, source)
    return lines


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first = row[0].ljust(widths[0])
        cells = (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([first, *cells]).rstrip())
    return lines


def _gb(size: float) -> str:
    value = size / GB
    return f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def _size(size: float) -> str:
    return f"{_gb(size)} GB" if size >= GB / 10 else f"{size / 10**6:,.1f} MB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _money(money: float) -> str:
    return f"{money:,.2f}" if money else ""
