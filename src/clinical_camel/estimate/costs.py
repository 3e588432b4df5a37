"""Work, memory, disk and time of one step, and what its last run needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clinical_camel import dbke, eval_fewshot, note_synthesis, sft_qlora
from clinical_camel.core.base_models import BUILT, PACKAGED, find_folder
from clinical_camel.core.paths import find_producer, root
from clinical_camel.core.settings import changed_settings
from clinical_camel.estimate import exams, memory, notes, policies, speed, work
from clinical_camel.estimate.measured import Place
from clinical_camel.estimate.shapes import Base, find_base, list_lora_shapes
from clinical_camel.estimate.tokenizer import load_local_tokenizer
from clinical_camel.estimate.work import Work
from clinical_camel.eval_replies.settings import EvalReplies
from clinical_camel.reward_and_rl.settings import RewardAndRl
from clinical_camel.runner.jobs import Job, PlanError, has_params, load_job
from clinical_camel.runs.run_json import is_resumed, read_run_record, sum_seconds

WEIGHT_SIZE = 2  # bytes per weight in a file on the hub: bfloat16 or float16
TOKEN_SIZE, ANSWER_SIZE = 4, 400  # bytes per token of a dialogue, per answer in a table


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step needs.

    `memory` and `disk`: bytes by part; `seconds` by part. `advice`: a better setting for this
    machine. `money`: cost of the teacher at the prices in the settings; `money_cap` limits it.
    `measured`: date of the rehearsal that measured the speed, or "". `device`: name of the machine
    if it is that of the rehearsal, or ""; `capacity`: bytes of its GPU, 0 if unknown.
    """

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
    measured: str = ""
    device: str = ""
    capacity: int = 0


def estimate_step(
    job: Job,
    machine: str = "",
    config_file: str = "",
    tokens_per_second: float = 0.0,
    by_rehearsal: bool = False,
) -> Cost:
    """Estimate one step; `tokens_per_second` replaces our estimate of the training throughput.

    `by_rehearsal`: without `machine`, the step runs on the machine of the study's rehearsal, if
    there is one. Raises PlanError for a damaged rehearsal.json.
    """
    settings = job.settings
    place = Place.choose(job.study, machine, by_rehearsal)
    if isinstance(settings, dbke.Synthesis):
        if isinstance(settings.teacher, dbke.Local):
            return _estimate_inference(job, place, config_file)
        cost = _estimate_synthesis(job, settings, place.name or "cpu")
        return replace(cost, **place.describe())
    if isinstance(settings, sft_qlora.Recipe):
        return _estimate_training(job, settings, place, config_file, tokens_per_second)
    if isinstance(settings, eval_fewshot.Design | note_synthesis.NoteTask | EvalReplies):
        return _estimate_inference(job, place, config_file)
    if isinstance(settings, RewardAndRl):
        return _estimate_policies(job, settings, place, config_file)
    parts = {"libraries": speed.STEP_MEMORY}
    seconds = {"work": speed.STEP_SECONDS}
    cost = Cost(
        job.study, job.step, place.name or "cpu", Work(), None, parts, {"tables": 10**5}, seconds
    )
    return replace(cost, **place.describe())


def _estimate_training(
    job: Job, recipe: sft_qlora.Recipe, place: Place, config_file: str, tokens_per_second: float
) -> Cost:
    base = find_base(recipe.model, config_file)
    profile, fields = place.find_profile(job.step, base)
    tokenizer = load_local_tokenizer(recipe.model, recipe.chat_template)
    done = work.count_training(recipe, tokenizer)
    shapes = list_lora_shapes(base, recipe.lora_rank, tuple(recipe.lora_targets))
    lora_weights = sum(rows * columns for rows, columns in shapes)
    parts = memory.estimate_training(base, recipe, done, profile)
    state = 4 * lora_weights + memory.estimate_optimizer_states(recipe.optimizer, shapes)
    disk = _estimate_download(base)
    disk |= {"checkpoints": 3 * state if done.optimizer_steps >= recipe.save_steps else state}
    disk |= {"adapter": 4 * lora_weights}
    checkpointed = memory.count_checkpointed(recipe, base.layers)
    fewest = memory.find_fewest_checkpointed(base, recipe, done, profile)
    advice = ""
    if fewest is not None and fewest != checkpointed:
        limit = "fewer do not fit, " if fewest else ""
        advice = (
            f"gradient_checkpointing_layers: {fewest} of {base.layers} are enough on this machine; "
            f"{limit}more take longer"
        )
    seconds = _estimate_start(base, disk)
    if tokens_per_second:
        seconds["work"] = done.tokens / tokens_per_second
    else:
        recomputed = checkpointed / base.layers
        seconds["work"] = speed.estimate_seconds(base, lora_weights, recomputed, done, profile)
    cost = Cost(job.study, job.step, "", done, base, parts, disk, seconds, advice)
    return replace(cost, **fields)


def _estimate_inference(job: Job, place: Place, config_file: str) -> Cost:
    """Estimate dialogues by a language model on this machine, scored exams, notes or replies."""
    settings, lora_weights, adapter_weights = job.settings, 0, 0
    loaded = settings.teacher if isinstance(settings, dbke.Synthesis) else settings
    base = find_base(loaded.model, config_file)
    estimate_memory = memory.estimate_generation
    if isinstance(settings, dbke.Synthesis):
        done = work.count_dialogues(settings)
        tables = _estimate_dialogue_tables(settings, done)
    else:
        count, evaluations = notes.count_notes, 1
        if isinstance(settings, eval_fewshot.Design):
            count, estimate_memory = exams.count_scoring, memory.estimate_scoring
            evaluations = len(settings.num_shots) * len(settings.protocols)
        if isinstance(settings, EvalReplies):
            count = policies.count_replies
        tokenizer = load_local_tokenizer(settings.model, settings.chat_template)
        done = count(settings, tokenizer, base.context)
        lora_weights = count_lora_weights(settings.adapters, base)
        adapter_weights = lora_weights * sum(map(bool, settings.adapters.values()))
        tables = ANSWER_SIZE * done.rows * evaluations * len(settings.adapters)
    profile, fields = place.find_profile(job.step, base)
    parts = estimate_memory(base, loaded, done, profile, adapter_weights)
    if getattr(settings, "server", ""):  # it has the weights and the cache
        parts = {"libraries": parts["libraries"]}
    disk = _estimate_download(base)
    seconds = _estimate_start(base, disk)
    counted = 0 if fields.get("measured") else lora_weights  # a measured speed includes adapters
    seconds["work"] = speed.estimate_seconds(base, counted, 0.0, done, profile)
    cost = Cost(job.study, job.step, "", done, base, parts, disk | {"tables": tables}, seconds)
    return replace(cost, **fields)


def _estimate_policies(job: Job, settings: RewardAndRl, place: Place, config_file: str) -> Cost:
    """Estimate the reward model and all policies."""
    base = find_base(settings.model, config_file)
    profile, fields = place.find_profile(job.step, base)
    done = policies.count_policies(
        settings, load_local_tokenizer(settings.model, settings.chat_template)
    )
    recipe = policies.find_sft_recipe(settings)
    shapes = list_lora_shapes(base, recipe.lora_rank, tuple(recipe.lora_targets))
    lora_weights = sum(rows * columns for rows, columns in shapes)
    trainings = len(settings.methods) * len(settings.seeds)
    disk = _estimate_download(base) | {"adapters": 4 * lora_weights * (2 + trainings)}
    judge = policies.count_judge(settings, done)
    if judge.decode_steps:
        judge_base = find_base(settings.judge.model, key="judge.model")
        download = _estimate_download(judge_base).get("download", 0)
        disk["download"] = disk.get("download", 0) + download
    seconds = _estimate_start(base, disk)
    seconds["work"] = speed.estimate_seconds(base, lora_weights, 0.0, done, profile)
    if judge.decode_steps:
        seconds["judge"] = speed.estimate_seconds(judge_base, 0, 0.0, judge, profile)
    parts = policies.estimate_policy_memory(base, settings, done, profile)
    cost = Cost(job.study, job.step, "", done, base, parts, disk, seconds)
    return replace(cost, **fields)


def _estimate_synthesis(job: Job, settings: dbke.Synthesis, machine: str) -> Cost:
    """Estimate dialogues by rules or by an endpoint."""
    teacher, done = settings.teacher, work.count_dialogues(settings)
    cost = Cost(
        job.study,
        job.step,
        machine,
        done,
        memory={"libraries": speed.STEP_MEMORY},
        disk={"tables": _estimate_dialogue_tables(settings, done)},
        seconds={"work": speed.estimate_synthesis(done)},
    )
    if not isinstance(teacher, dbke.OpenAI):
        return cost
    # counted as in `teachers.rate_limits`: one token per byte of the prompt, the longest reply
    tokens = work.CHARACTERS * done.forward_tokens + teacher.max_new_tokens * done.rows
    limits = ((done.rows, teacher.requests_per_minute), (tokens, teacher.tokens_per_minute))
    rate_limit = max(60 * n / limit if limit else 0.0 for n, limit in limits)
    prices = done.forward_tokens * teacher.price_in + done.reply_tokens * teacher.price_out
    seconds = cost.seconds | {"rate limits": rate_limit}
    return replace(cost, seconds=seconds, money=prices / 1e6, money_cap=teacher.money_cap)


def _estimate_start(base: Base, disk: Mapping[str, int]) -> dict[str, float]:
    """Return the seconds until a base model is downloaded and loaded."""
    loading = speed.STEP_SECONDS + base.parameters * WEIGHT_SIZE / speed.READ
    return {"download": disk.get("download", 0) / speed.DOWNLOAD, "loading": loading}


def _estimate_dialogue_tables(settings: dbke.Synthesis, done: Work) -> int:
    return 2 * done.rows * work.EXCHANGE * TOKEN_SIZE * settings.exchanges_per_dialogue


def _estimate_download(base: Base) -> dict[str, int]:
    """Return the bytes to download; {} if the weights are shipped, built, or on this machine."""
    if base.model in BUILT or find_folder(base.model).is_dir():
        return {}
    if base.model in PACKAGED:
        return {"download": PACKAGED[base.model].wheel_size}
    from huggingface_hub import try_to_load_from_cache

    names = ("model.safetensors", "model.safetensors.index.json")
    is_cached = any(isinstance(try_to_load_from_cache(base.model, name), str) for name in names)
    return {} if is_cached else {"download": base.parameters * WEIGHT_SIZE}


def count_lora_weights(adapters: Mapping[str, str], base: Base) -> int:
    """Return the LoRA weights of the largest adapter, from the recipe of its step; 0 for none.

    An adapter folder that no step produces has the size of its file.
    """
    sizes = [0]
    for folder in filter(None, adapters.values()):
        study, step = find_producer(folder) or ("", "")
        file = root() / folder / "adapter_model.safetensors"
        if has_params(study, step):
            recipe = load_job(study, step).settings
            if isinstance(recipe, RewardAndRl):  # a policy has the matrices of its SFT adapter
                recipe = policies.find_sft_recipe(recipe)
            shapes = list_lora_shapes(base, recipe.lora_rank, tuple(recipe.lora_targets))
            sizes.append(sum(rows * columns for rows, columns in shapes))
        elif file.is_file():
            sizes.append(file.stat().st_size // 4)
    return max(sizes)


def estimate_study(jobs: list[Job], **options: Any) -> list[Cost]:
    """Estimate every step of a study; only the first step that needs a base model downloads it.

    Raises PlanError, with the params file, for a base model, tokenizer or rows that the step would
    reject too.
    """
    costs: list[Cost] = []
    for job in jobs:
        try:
            cost = estimate_step(job, **options)
        except ValueError as error:
            raise PlanError(f"{job.source}: {error}") from error
        if cost.base and any(cost.base is earlier.base for earlier in costs):
            disk = {part: size for part, size in cost.disk.items() if part != "download"}
            cost = replace(cost, disk=disk, seconds=cost.seconds | {"download": 0.0})
        costs.append(cost)
    return costs


def read_measured(job: Job, cost: Cost) -> tuple[float, int] | None:
    """Return seconds and peak memory (bytes) of the last run of a step.

    None unless it had these settings, on such a machine. A resumed run that found all its answers
    in the journal measured only its end: None, too.
    """
    record = read_run_record(root() / "outputs" / job.study / job.step)
    if record.get("status") != "complete" or changed_settings(record["params"], job.params):
        return None
    machine = (record["device"].get("gpu") or ["cpu"])[0].lower()
    expected = cost.device.lower() if cost.machine in speed.GPUS else ""
    expected = expected or cost.machine.partition("_")[0]
    if expected not in machine or is_resumed(record):
        return None
    megabytes = record.get("peak_gpu_memory_mb", record["peak_memory_mb"])
    return sum_seconds(record), megabytes * 2**20
