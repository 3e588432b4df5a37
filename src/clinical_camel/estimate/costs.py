"""One step's work, memory, disk and time; and beside it what a committed run of it measured."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.estimate import memory, speed, work
from clinical_camel.estimate.shapes import Base, find_base, lora_shapes
from clinical_camel.estimate.speed import MACHINES
from clinical_camel.estimate.work import Work
from clinical_camel.runner.jobs import Job, PlanError, load_job, owner_of
from clinical_camel.runs.notebooks import ParamsError, declared_params, notebook_path

VALUE = 2  # bytes of a weight in a file on the hub: bfloat16 or float16
ROW, ANSWER = 4, 400  # bytes of a token of a dialogue, and of an answer in a table


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step will take. `memory` and `disk` by part in bytes, `seconds` by part; `advice`
    on a parameter that this machine would have otherwise; `money` for a teacher at the prices of
    the params, which ends at `money_cap`."""

    study: str
    step: str
    machine: str
    work: Work
    base: Base | None = None
    memory: Mapping[str, int] = field(default_factory=dict)
    disk: Mapping[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    advice: str = ""
    money: float = 0.0
    money_cap: float = 0.0


def costs_of(
    job: Job, machine: str = "", config_file: str = "", tokens_per_second: float = 0.0
) -> Cost:
    """What a step will take; `tokens_per_second` replaces our guess at the speed of training."""
    params = job.params
    if params.get("teacher") == "local":
        return _local_teacher(job, machine, config_file)
    if "model" not in params:
        return _without_model(job, machine or "cpu")
    base = find_base(params["model"], config_file)
    name = speed.machine_for(base, machine)
    chosen = MACHINES[name]
    tokenizer = work.tokenizer_at_hand(params["model"], params["chat_template"])
    advice = ""
    disk = _download(base)
    if "mixture" in params:
        done = work.training(params, tokenizer)
        shapes = lora_shapes(base, params["lora_rank"], tuple(params["lora_targets"]))
        lora = sum(rows * columns for rows, columns in shapes)
        held = memory.training(base, params, done, chosen)
        state = 4 * lora + memory.optimizer_states(params["optimizer"], shapes)
        disk |= {"checkpoints": 3 * state if done.steps >= params["save_steps"] else state}
        disk |= {"adapter": 4 * lora}
        again = memory.again_computed(base, params["checkpointed_layers"]) / base.layers
        least = memory.least_checkpointed(base, params, done, chosen)
        if least is not None and least / base.layers != again:
            fewer = "with fewer it does not fit, " if least else ""
            advice = f"checkpointed_layers: {least} of {base.layers} would do on this machine; "
            advice += f"{fewer}more cost time"
    else:
        lora = params_of_adapters(params, base)
        params = params | {"adapter_values": lora}
        scored = "benchmarks" in params
        count = work.scoring if scored else work.notes
        done = count(params, tokenizer, base.context)
        held = (memory.reading if scored else memory.writing)(base, params, done, chosen)
        settings = len(params.get("num_shots", [1])) * len(params.get("protocols", [1]))
        disk |= {"tables": ANSWER * done.rows * settings * len(params["adapters"])}
        again = 0.0
    seconds = _start(base, disk, chosen)
    if tokens_per_second and done.trained_tokens:
        seconds["work"] = done.tokens / tokens_per_second
    else:
        seconds["work"] = speed.seconds(base, lora, again, done, chosen)
    return Cost(job.study, job.step, name, done, base, held, disk, seconds, advice)


def _start(base: Base, disk: Mapping[str, int], machine: speed.Machine) -> dict[str, float]:
    """The seconds until a base is there and loaded."""
    loading = speed.RULES + base.parameters * VALUE / machine.read_bytes
    return {"download": disk.get("download", 0) / speed.DOWNLOAD, "loading": loading}


def _local_teacher(job: Job, machine: str, config_file: str) -> Cost:
    """A language model on this machine writes the dialogues."""
    model, params = job.params["teacher_model"], job.params | {"adapters": {}}
    base = find_base(model, config_file)
    name = speed.machine_for(base, machine)
    done, chosen = work.dialogues(params), MACHINES[name]
    disk = _download(base)
    seconds = _start(base, disk, chosen) | {"work": speed.seconds(base, 0, 0.0, done, chosen)}
    disk |= {"tables": _dialogues_bytes(params, done)}
    held = memory.writing(base, params, done, chosen)
    return Cost(job.study, job.step, name, done, base, held, disk, seconds)


def _without_model(job: Job, machine: str) -> Cost:
    """Rules, an endpoint, or tables only."""
    params, held = job.params, {"libraries": MACHINES["cpu"].libraries["rules"]}
    if "teacher" not in params:
        seconds, disk = {"work": speed.RULES}, {"tables": 10**5}
        return Cost(job.study, job.step, machine, Work(), None, held, disk, seconds)
    done = work.dialogues(params)
    disk = {"tables": _dialogues_bytes(params, done)}
    prices = done.read_tokens * params["price_in"] + done.written_tokens * params["price_out"]
    # as `dbke.limits` counts them: a token for each byte of the prompt, the longest reply
    most = work.CHARACTERS * done.read_tokens + params["max_new_tokens"] * done.rows
    limits = (
        (done.rows, params["requests_per_minute"]),
        (most, params["tokens_per_minute"]),
    )
    seconds = {"work": speed.RULES + done.rows * speed.DIALOGUES}
    if done.written_tokens:
        seconds["limits"] = max(60 * n / limit if limit else 0.0 for n, limit in limits)
    return Cost(
        job.study,
        job.step,
        machine,
        done,
        None,
        held,
        disk,
        seconds,
        money=prices / 1e6,
        money_cap=params["money_cap"],
    )


def _dialogues_bytes(params: Mapping[str, Any], done: Work) -> int:
    return 2 * done.rows * work.EXCHANGE * ROW * params["exchanges_per_dialogue"]


def _download(base: Base) -> dict[str, int]:
    """The weights that are fetched; none if they are shipped, in a folder or in the hub's cache."""
    if base.model == "mini" or Path(root() / base.model).is_dir():
        return {}
    from huggingface_hub import try_to_load_from_cache

    names = ("model.safetensors", "model.safetensors.index.json")
    here = any(isinstance(try_to_load_from_cache(base.model, name), str) for name in names)
    return {} if here else {"download": base.parameters * VALUE}


def params_of_adapters(params: Mapping[str, Any], base: Base) -> int:
    """LoRA weights of the largest adapter, from the params of the step that trains it; 0 for none.

    An adapter folder that no step makes is taken at the size of its file.
    """
    sizes = [0]
    for folder in filter(None, params["adapters"].values()):
        study, step = owner_of(folder) or ("", "")
        file = root() / folder / "adapter_model.safetensors"
        if (root() / f"params/{study}/{step}.yaml").is_file():
            made = load_job(study, step).params
            shapes = lora_shapes(base, made["lora_rank"], tuple(made["lora_targets"]))
            sizes.append(sum(rows * columns for rows, columns in shapes))
        elif file.is_file():
            sizes.append(file.stat().st_size // 4)
    return max(sizes)


def study_costs(jobs: list[Job], **settings: Any) -> list[Cost]:
    """What every step of a study will take; a base is downloaded by the first that needs it.

    Raises PlanError, with the params file, for a base, a tokenizer or rows that the step would
    refuse as well.
    """
    costs: list[Cost] = []
    for job in jobs:
        try:
            cost = costs_of(job, **settings)
        except ValueError as error:
            raise PlanError(f"{job.source}: {error}") from error
        if cost.base and any(cost.base is earlier.base for earlier in costs):
            disk = {part: size for part, size in cost.disk.items() if part != "download"}
            cost = replace(cost, disk=disk, seconds=cost.seconds | {"download": 0.0})
        costs.append(cost)
    return costs


# --------------------------------------------------------------------- beside measured runs


@dataclass(frozen=True, slots=True)
class Measured:
    """A committed run: what it took, and what `costs_of` says of its params on its machine."""

    cost: Cost
    seconds: float
    memory: int

    @property
    def seconds_ratio(self) -> float:
        return self.seconds_predicted / self.seconds

    @property
    def seconds_predicted(self) -> float:
        return sum(self.cost.seconds.values())

    @property
    def memory_ratio(self) -> float:
        return sum(self.cost.memory.values()) / self.memory


def measured_runs() -> Iterator[Measured]:
    """Every complete run under outputs/ that measured all of its work and whose inputs are there.

    One that found all its answers in the journal of an earlier attempt measured only its end.
    """
    for file in sorted((root() / "outputs").glob("*/*/run.json")):
        record, (study, step) = read_json(file), file.parts[-3:-1]
        if record.get("status") != "complete" or study == "scratch" or step[0] == ".":
            continue
        machine = _machine_of(record["device"])
        params = _completed(step, record["params"])
        answered = record.get("notes", {}).get("computed")  # what each model computed, by model
        if not machine or not params or (answered and not any(answered.values())):
            continue
        try:
            cost = costs_of(Job(study, step, params), machine)
        except (ParamsError, ValueError, OSError):
            continue  # its data or its base is not on this machine
        if not cost.work.unknown:
            bytes_ = record.get("peak_gpu_memory_mb", record["peak_memory_mb"]) * 2**20
            yield Measured(cost, record["seconds"], bytes_)


def _completed(step: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The params of a record, with today's default for a parameter that is newer than it."""
    declared = declared_params(notebook_path(step))
    return {name: params.get(name, param.default) for name, param in declared.items()}


def _machine_of(device: Mapping[str, Any]) -> str:
    if not device.get("gpu"):
        return "cpu"
    return next((name for name in MACHINES if name in device["gpu"][0].lower()), "")
