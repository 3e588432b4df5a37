"""What `rehearse` prints: a table of the steps, what was measured of each, and go or no-go."""

import textwrap
from collections.abc import Iterator

from clinical_camel.estimate.report import format_table, format_time
from clinical_camel.rehearse.forecast import UNMEASURED, count_fitting
from clinical_camel.rehearse.record import Rehearsal, StepForecast

HEADER = (
    *("step", "tokens/s", "memory GB", "plan", "ratio", "time", "interval", "plan", "ratio"),
    "cost",
)
BUSY = 0.8  # a smaller share of the processor is reported


def format_rehearsal(rehearsal: Rehearsal) -> list[str]:
    """Return the lines that are printed at the end. Ratio: rehearsal / plan."""
    rows = [HEADER, *(_format_row(step, rehearsal.rate) for step in rehearsal.steps)]
    seconds, low, high = (
        sum(getattr(step, name) for step in rehearsal.steps) for name in ("seconds", "low", "high")
    )
    planned = sum(step.planned_seconds for step in rehearsal.steps)
    money = _add_money(rehearsal, seconds)
    memory = max((step.memory for step in rehearsal.steps), default=0)
    interval = f"{format_time(low)} to {format_time(high)}"
    rows.append(
        (
            *("total", "", f"{memory / 1e9:.2f}", "", "", format_time(seconds), interval),
            *(format_time(planned), f"{seconds / planned:.2f}", f"{money:,.2f}" if money else ""),
        )
    )
    lines = [*format_table(rows), ""]
    for step in rehearsal.steps:
        lines += _describe_step(step)
    took = format_time(60 * rehearsal.elapsed)
    lines += ["", f"The rehearsal took {took}; --minutes was {rehearsal.minutes:g}."]
    lines += ["", *_describe_decision(rehearsal, low, high)]
    return lines


def _add_money(rehearsal: Rehearsal, seconds: float) -> float:
    """Return the price of the machine for these seconds, and of the teacher."""
    return seconds / 3600 * rehearsal.rate + sum(step.money for step in rehearsal.steps)


def _format_row(step: StepForecast, rate: float) -> tuple[str, ...]:
    if not step.rehearsed:
        time = format_time(step.seconds)
        state = "failed" if step.failed else "plan only"
        return step.step, "", "", f"{step.planned_memory / 1e9:.2f}", "", time, state, time, "", ""
    money = step.seconds / 3600 * rate + step.money
    return (
        step.step,
        f"{step.tokens_per_second:,.0f}" if step.tokens_per_second else "",
        f"{step.memory / 1e9:.2f}",
        f"{step.planned_memory / 1e9:.2f}",
        f"{step.memory / step.planned_memory:.2f}" if step.planned_memory else "",
        format_time(step.seconds),
        f"{format_time(step.low)} to {format_time(step.high)}",
        format_time(step.planned_seconds),
        f"{step.seconds / step.planned_seconds:.2f}" if step.planned_seconds else "",
        f"{money:,.2f}" if money else "",
    )


def _describe_step(step: StepForecast) -> Iterator[str]:
    """Yield lines on what was measured, tried and left out."""
    texts = [
        f"{part.name}: {part.done:,.0f} of {part.total:,.0f} {part.unit} measured in "
        f"{format_time(part.measured)}, all take {format_time(part.seconds)}"
        for part in sorted(step.parts, key=lambda part: -part.seconds)[:4]
    ]
    if len(step.parts) > 4:
        texts.append(f"and {len(step.parts) - 4} smaller parts (see rehearsal.json)")
    if step.rehearsed and not step.failed:
        texts.append(f"everything else: {format_time(step.facts.get('fixed_seconds', 0.0))}")
    if step.facts.get("resumed"):
        size = step.facts.get("checkpoint_bytes", 0)
        texts.append(f"a checkpoint of {size / 1e6:,.1f} MB was written, and resumed from")
    if step.processor_share < BUSY:
        share, idle = step.processor_share, step.processor_share * step.seconds
        texts.append(
            f"this machine is busy: other programs left the step {share:.0%} of the cores; alone "
            f"it would take about {format_time(idle)}"
        )
    texts += [text for text in (count_fitting(step.trials), step.failed) if text]
    if step.change:
        texts.append(f"faster: {step.change}")
    for i, text in enumerate([*texts, *step.remarks]):
        yield from textwrap.wrap(
            text,
            100,
            initial_indent=f"{step.step if i == 0 else '':<20}",
            subsequent_indent=" " * 22,
            break_on_hyphens=False,
        )


def _describe_decision(rehearsal: Rehearsal, low: float, high: float) -> Iterator[str]:
    time = f"{format_time(low)} to {format_time(high)}"
    least, most = _add_money(rehearsal, low), _add_money(rehearsal, high)
    if most:
        time += f", cost {least:,.2f}" + f" to {most:,.2f}" * (least < most)
    if not rehearsal.go:
        yield f"NO-GO; the forecast is {time}"
        for reason in rehearsal.reasons:
            yield from textwrap.wrap(f"- {reason}", 100, subsequent_indent="  ")
        return
    unseen = [step for step in rehearsal.steps if not step.rehearsed]
    planned = [step.step for step in unseen if UNMEASURED in step.remarks]
    others = [step.step for step in unseen if UNMEASURED not in step.remarks]
    if rehearsal.omitted:
        named = ", ".join(step.step for step in rehearsal.steps)
        yield f"GO for {named} only: {time}; not named: {', '.join(rehearsal.omitted)}"
    elif planned:
        yield f"GO for the measured steps only; the study takes {time}"
    else:
        yield f"GO: {time}"
    if planned:
        yield f"not measured, counted by plan only: {', '.join(planned)}"
    if others:
        yield f"not rehearsed: {', '.join(others)}"
