"""What `plan` prints: every step by part, the total, and the error of the estimates."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from clinical_camel.core.values import nearest
from clinical_camel.estimate.costs import Cost, estimate_study, read_measured
from clinical_camel.estimate.measured import FILE
from clinical_camel.estimate.speed import GB, MACHINES
from clinical_camel.runner.jobs import Job, PlanError


def print_report(
    jobs: list[Job],
    rate: float = 0.0,
    machine: str = "",
    config_file: str = "",
    tokens_per_second: float = 0.0,
) -> int:
    """Print the estimate of a study; return 1 if a step needs more memory than its machine has.

    Raises PlanError for an option that is not allowed.
    """
    if machine and machine not in MACHINES:
        raise PlanError(f"--machine: no machine {machine}{nearest(machine, MACHINES)}")
    for name, value in (("--rate", rate), ("--tokens-per-second", tokens_per_second)):
        if not value >= 0:
            raise PlanError(f"{name}: {value} is not allowed; write a number that is 0 or more")
    options = {"machine": machine, "config_file": config_file, "by_rehearsal": True}
    costs = estimate_study(jobs, **options, tokens_per_second=tokens_per_second)
    if lines := format_machine(costs):
        print("\n".join(lines), end="\n\n")
    for cost in costs:
        print("\n".join(format_step(cost)), end="\n\n")
    print("\n".join(format_total(costs, rate)), end="\n\n")
    runs = [(cost, read_measured(job, cost)) for job, cost in zip(jobs, costs, strict=True)]
    print("\n".join(format_errors([run for run in runs if run[1]])), end="\n\n")
    print("\n".join(format_sources(costs, tokens_per_second)), flush=True)
    return int(any(map(exceeds_memory, costs)))


def exceeds_memory(cost: Cost) -> bool:
    """Return whether the step needs more memory than its machine has."""
    memory = cost.capacity or MACHINES[cost.machine].memory
    return bool(memory) and sum(cost.memory.values()) > memory


def format_machine(costs: Sequence[Cost]) -> list[str]:
    """Return the lines on the machine of a rehearsal; [] if that is not the place."""
    cost = next((cost for cost in costs if cost.device), None)
    if cost is None:
        return []
    text = (
        f"{cost.device}, on which the study was rehearsed (outputs/{cost.study}/{FILE}); --machine "
        "chooses another"
    )
    return _format_entry("machine", text)


def _name_machine(cost: Cost) -> str:
    return f"{cost.device} (profile {cost.machine})" if cost.device else cost.machine


def format_step(cost: Cost) -> list[str]:
    """Return the lines of one step: base model, work, and memory, disk and time by part."""
    base = ""
    if cost.base:
        base = f"{cost.base.model}, {cost.base.parameters:,} parameters ({cost.base.source}), "
    lines = [f"{cost.step}  {base}on {_name_machine(cost)}"]
    work = cost.work
    counts = {
        "rows": work.rows,
        "tokens": work.tokens,
        "optimizer steps": work.optimizer_steps,
        "tokens of replies": work.reply_tokens,
        "longest row": work.longest_row,
        "decoding steps": work.decode_steps,
    }
    text = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    lines += _format_entry("work", text or "tables only")
    name = cost.device or cost.machine
    warning = f"  DOES NOT FIT: MORE THAN THE {name.upper()} HAS"
    text = f"{_format_size(sum(cost.memory.values()))}: {_format_parts(cost.memory)}"
    lines += _format_entry("memory", text + warning * exceeds_memory(cost))
    text = f"{_format_size(sum(cost.disk.values()))}: {_format_parts(cost.disk)}"
    lines += _format_entry("disk", text)
    times = ", ".join(f"{part} {format_time(s)}" for part, s in cost.seconds.items() if s >= 0.5)
    lines += _format_entry("time", f"{format_time(sum(cost.seconds.values()))}: {times}")
    if cost.money:
        cap = f"; money_cap stops it at {cost.money_cap:,.2f}"
        text = f"{cost.money:,.2f} at price_in and price_out{cap * (cost.money > cost.money_cap)}"
        lines += _format_entry("teacher", text)
    if cost.advice:
        lines += _format_entry("advice", cost.advice)
    for text in work.estimates:
        lines += _format_entry("estimate", text)
    for text in work.unknown:
        lines += _format_entry("unknown", text)
    return lines


def _format_entry(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        100,
        initial_indent=f"  {name:<9} ",
        subsequent_indent=" " * 12,
        break_long_words=False,
    )


def _format_parts(sizes: Mapping[str, int]) -> str:
    ordered = sorted(sizes.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {_format_size(size)}" for name, size in ordered if size)


def format_total(costs: Sequence[Cost], rate: float) -> list[str]:
    """Return the table of the study; its last row is the total."""

    def format_row(name: str, part: Sequence[Cost], tokens: str, steps: str) -> tuple[str, ...]:
        hours = sum(sum(cost.seconds.values()) for cost in part) / 3600
        memory = _format_gb(max(sum(cost.memory.values()) for cost in part))
        disk = _format_gb(sum(sum(cost.disk.values()) for cost in part))
        money = hours * rate + sum(cost.money for cost in part)
        at_least = "at least " * any(cost.work.unknown for cost in part)
        time = f"{at_least}{hours:.2f}"
        return name, tokens, steps, memory, disk, time, f"{money:,.2f}" if money else ""

    rows = [("step", "tokens", "steps", "memory GB", "disk GB", "hours", "cost")]
    for cost in costs:
        counts = (cost.work.tokens, cost.work.optimizer_steps)
        rows.append(format_row(cost.step, [cost], *(f"{n:,}" if n else "" for n in counts)))
    return format_table([*rows, format_row("total", costs, "", "")])


def format_errors(runs: Sequence[tuple[Cost, tuple[float, int]]]) -> list[str]:
    """Return a table of the steps that have run: measured, estimated, and the ratio of the two."""
    if not runs:
        return ["Error of these estimates: unknown until the study has run on such a machine."]
    rows = [("last run", "seconds", "estimated", "ratio", "memory GB", "estimated", "ratio")]
    for cost, (seconds, memory) in runs:
        time, size = sum(cost.seconds.values()), sum(cost.memory.values())
        times = (f"{seconds:.0f}", f"{time:.0f}", f"{time / seconds:.2f}")
        sizes = (_format_gb(memory), _format_gb(size), f"{size / memory:.2f}")
        rows.append((cost.step, *times, *sizes))
    return ["Error of these estimates (ratio: estimated / measured):", *format_table(rows)]


def format_sources(costs: Sequence[Cost], tokens_per_second: float) -> list[str]:
    """Return the sources of the numbers for the machines in the estimate."""
    lines = ["Sources of these numbers:"]
    if tokens_per_second:
        text = f"training: {tokens_per_second:g} tokens per second (--tokens-per-second)"
        lines += _format_entry("option", text)
    for cost in costs:
        place = cost.device or "such a machine"
        if cost.measured:
            text = f"{cost.step}: speed measured by `rehearse` on {place}, {cost.measured}"
            lines += _format_entry("rehearsal", text)
        elif cost.device and cost.base:
            text = f"{cost.step}: speed not measured on {place}: that of profile {cost.machine}"
            lines += _format_entry("rehearsal", text)
    for name in dict.fromkeys(cost.machine for cost in costs):
        for source in MACHINES[name].sources:
            lines += _format_entry(name, source)
    return lines


def format_table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table; the first row has the names of its columns."""
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first = row[0].ljust(widths[0])
        cells = (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([first, *cells]).rstrip())
    return lines


def _format_gb(size: float) -> str:
    value = size / GB
    return f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def _format_size(size: float) -> str:
    return f"{_format_gb(size)} GB" if size >= GB / 10 else f"{size / 10**6:,.1f} MB"


def format_time(seconds: float) -> str:
    """Return seconds as a short text.

    >>> [format_time(seconds) for seconds in (4.2, 75, 600, 36000)]
    ['4.2 s', '75 s', '10 min', '10.0 h']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
