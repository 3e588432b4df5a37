"""Time, memory and cost of each step from what was measured; go or no-go, with the reason."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clinical_camel.estimate.costs import Cost
from clinical_camel.estimate.disks import list_disks
from clinical_camel.estimate.speed import count_training_flops
from clinical_camel.rehearse.intervals import DRIFT, add_up
from clinical_camel.rehearse.record import Measured, StepForecast, Trial
from clinical_camel.rehearse.variants import LAYERS, USABLE

UNKNOWN = 0.5  # half-width of the interval, as a share, of a step that only `plan` has estimated
UNMEASURED = "not rehearsed: counted by plan only"


def forecast_planned(cost: Cost, remarks: Sequence[str] = (), failed: str = "") -> StepForecast:
    """Return the estimate of `plan` for a step that was not rehearsed, with a wide interval."""
    seconds, memory = sum(cost.seconds.values()), sum(cost.memory.values())
    return StepForecast(
        step=cost.step,
        seconds=seconds,
        low=(1 - UNKNOWN) * seconds,
        high=(1 + UNKNOWN) * seconds,
        planned_seconds=seconds,
        memory=memory,
        planned_memory=memory,
        memory_available=0,
        device="",
        rehearsed=False,
        money=cost.money,
        failed=failed,
        remarks=list(remarks),
    )


def forecast_step(
    cost: Cost,
    measured: Measured,
    record: Mapping[str, Any],
    available: int,
    ratio: float = 1.0,
) -> StepForecast:
    """Return the forecast of a step whose notebook ran to its end, or to the end of its parts.

    `record`: the run.json of the rehearsed notebook; its seconds without those of the replaced
    functions are the fixed part. `ratio`: see `StepForecast`.
    """
    seconds, low, high = add_up(measured.parts)
    fixed = max(0.0, record.get("seconds", 0.0) - measured.replaced)
    if measured.weights == "random":  # the time to read the real ones instead
        loading = sum(cost.seconds.get(name, 0.0) for name in ("download", "loading"))
        fixed += loading - measured.facts.get("load_seconds", 0.0)
    fixed = max(0.0, fixed)
    on_gpu = "peak_gpu_memory_mb" in record
    peak = record.get("peak_gpu_memory_mb", record.get("peak_memory_mb", 0)) * 2**20
    memory = measured.peak or peak
    tokens = cost.work.tokens + cost.work.generated_tokens
    share = 1.0
    if not on_gpu and measured.replaced:
        threads = record.get("device", {}).get("threads", 1)
        share = min(1.0, measured.free / measured.replaced / threads)
    return StepForecast(
        step=cost.step,
        seconds=fixed + ratio * seconds,
        low=(1 - DRIFT) * fixed + ratio * low,
        high=(1 + DRIFT) * fixed + ratio * high,
        planned_seconds=sum(cost.seconds.values()),
        memory=max(memory, peak) if on_gpu else memory,
        planned_memory=sum(cost.memory.values()),
        memory_available=available,
        device="gpu" if on_gpu else "cpu",
        tokens_per_second=tokens / (ratio * seconds) if seconds and tokens else 0.0,
        processor_share=share,
        ratio=ratio,
        money=cost.money,
        change=measured.facts.get("faster", ""),
        remarks=list(measured.remarks),
        parts=measured.parts,
        trials=measured.trials,
        facts=measured.facts | {"fixed_seconds": round(fixed, 1), "weights": measured.weights},
    )


def find_reasons(steps: Sequence[StepForecast], costs: Sequence[Cost]) -> Iterator[str]:
    """Yield why the study must not start here, each reason with the setting to change."""
    for step in steps:
        if step.failed:
            yield f"{step.step}: {step.failed}"
        elif change := step.facts.get("does_not_fit"):
            yield f"{step.step}: does not fit in the memory of this machine; set {change}"
        elif step.memory_available and step.memory > USABLE * step.memory_available:
            yield (
                f"{step.step}: needs {step.memory / 1e9:.1f} of {step.memory_available / 1e9:.1f} "
                f"GB; {_suggest_smaller(step)}"
            )
    for cost in costs:
        if cost.money > cost.money_cap:
            yield (
                f"{cost.step}: replies cost about {cost.money:,.2f} (plan), and money_cap stops "
                f"them at {cost.money_cap:,.2f}; raise money_cap, or lower dialogues_per_article"
            )
    for disk in list_disks(costs):
        if disk.need > disk.free:
            need, free = disk.need / 1e9, disk.free / 1e9
            yield (
                f"{disk.name}: the study needs {need:.1f} GB, {free:.1f} are free; {disk.remedy}"
            )


def _suggest_smaller(step: StepForecast) -> str:
    if step.step != "02_sft_qlora":
        return "set a smaller token_budget"
    smaller = [t for t in step.trials if t.fits and 0 < t.memory < step.memory]
    if smaller:
        best = min(smaller, key=lambda trial: trial.memory)
        return "set " + ", ".join(f"{name}: {value}" for name, value in best.settings.items())
    return f"set a larger {LAYERS}, or a smaller batch_size"


def find_speeds(
    costs: Sequence[Cost], steps: Sequence[StepForecast], threads: int
) -> dict[str, float]:
    """Return operations per second by kind of work: of a GPU, or of one thread of a CPU.

    Counted as `plan` counts, so work and seconds are those of the complete step, sets included that
    are not on this machine. The seconds are those without other work on the cores: with these
    speeds `plan` gives the times of a machine that does nothing else.
    """
    speeds: dict[str, float] = {}
    for cost, step in zip(costs, steps, strict=True):
        seconds = step.processor_share * step.ratio * sum(part.seconds for part in step.parts)
        if not step.rehearsed or step.failed or cost.base is None or not seconds:
            continue
        lora, recomputed = step.facts.get("lora_weights", 0), step.facts.get("recomputed", 0.0)
        match step.step:
            case "02_sft_qlora":
                per_token = count_training_flops(cost.base, lora, recomputed)
                speeds["training"] = cost.work.training_tokens * per_token / seconds
            case "03_eval_fewshot":
                share = cost.work.logit_share
                per_token = 2 * (cost.base.linear_weights + share * cost.base.head)
                speeds["scoring"] = cost.work.forward_tokens * per_token / seconds
            case "04_note_synthesis":
                tokens = cost.work.generated_tokens + cost.work.forward_tokens
                per_token = 2 * (cost.base.linear_weights + cost.base.head)
                speeds["generation"] = tokens * per_token / seconds
    return {name: value / threads for name, value in speeds.items() if value}


def count_fitting(trials: Sequence[Trial]) -> str:
    """Return what the trials of a training showed, in one line; "" without any."""
    if not trials:
        return ""
    texts = []
    for trial in trials:
        settings = " x ".join(map(str, list(trial.settings.values())[:2]))
        name = f"{settings}, {trial.settings[LAYERS]} layers recomputed"
        result = (
            f"{trial.seconds:.2f} s, {trial.memory / 1e9:.2f} GB" if trial.fits else trial.reason
        )
        texts.append(f"{name}: {result}")
    return "tried (batch_size x gradient_accumulation_steps): " + "; ".join(texts)
