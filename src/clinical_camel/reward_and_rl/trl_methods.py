"""TRL's RLOO, GRPO and DPO on the prompts, rewards and pairs of PPO.

TRL gets the policy as a PEFT model whose adapter is called "default" and makes a frozen copy of it,
the reference of its KL; with a new adapter on a merged model, the base would be the reference.
Prompts and pairs are conversations, so TRL's tokens are those of our template. The reward is a
function of `Reply`: TRL would give a reward model other tokens than it was trained on.

The KL differs by method. RLOO subtracts beta times the log ratio of a reply from its reward, as PPO
does per token. GRPO adds beta times an estimate of the KL per token to the loss. In DPO, beta is
the coefficient of the same objective, solved for the reward. The others sample at a temperature T
and take their probabilities at T, TRL's DPO at 1; a log ratio of logits is T times as large there,
so DPO gets beta / T.
"""

import contextlib
import copy
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from datasets import (
    Dataset,
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from safetensors.torch import load_file
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from clinical_camel import models
from clinical_camel.models import split_control_tokens
from clinical_camel.models.adapter_gate import ADAPTER_WEIGHTS
from clinical_camel.reward_and_rl.material import (
    Material,
    compute_group_std,
    compute_rewards,
    make_exam_prompts,
    make_key_reward,
)
from clinical_camel.reward_and_rl.settings import DPO, EXAM_KEY, RewardAndRl
from clinical_camel.reward_and_rl.shapes import Prompt, Reply, RewardFunction
from clinical_camel.teachers import TeacherStop

if TYPE_CHECKING:
    from clinical_camel.reward_and_rl.training import Monitor

MAX_GRAD_NORM = 1.0
FIGURES = {  # TRL's name of a figure: ours
    "loss": "loss",
    "grad_norm": "grad_norm",
    "reward": "reward",
    "entropy": "entropy",
    "completions/mean_length": "length",
    "completions/clipped_ratio": "truncated",
    "rewards/accuracies": "pair_accuracy",
    "rewards/margins": "pair_margin",
}


def train_with_trl(method: str, monitor: "Monitor", newest: str | None) -> None:
    """Train the monitor's policy by RLOO, GRPO or DPO, from a checkpoint if there is one.

    The monitor may raise StoppedTraining after any step. TRL takes one optimizer step per batch of
    replies, so that no replies are in memory at a checkpoint and a resumed training equals an
    uninterrupted one.
    """
    weights = monitor.policy.list_weights()
    if newest and monitor.step >= monitor.settings.rl_steps:  # the trainer would take one more step
        saved = load_file(Path(newest) / ADAPTER_WEIGHTS)
        for name, weight in weights.items():
            weight.data.copy_(saved[name])
        monitor.measure_pending()
        return
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    with _quiet():
        trainer = make_trainer(method, monitor)
        trainer.remove_callback(PrinterCallback)
        for name, weight in weights.items():  # on a quantized base, TRL rounds them to bfloat16
            weight.data = before[name]
        trainer.train(resume_from_checkpoint=newest)


def make_trainer(method: str, monitor: "Monitor") -> Any:
    """Return TRL's trainer of a method."""
    settings, policy, material = monitor.settings, monitor.policy, monitor.material
    shared = {
        "model": policy.llm.model,
        "processing_class": copy.deepcopy(policy.llm.tokenizer),
        "callbacks": [StepReporter(monitor)],
    }
    if method == DPO:
        rows = make_pair_rows(material, policy.llm.tokenizer)
        config = make_dpo_config(settings, monitor)
        return DPOTrainer(args=config, train_dataset=Dataset.from_list(rows), **shared)
    prompts, reward = material.training, material.proxy
    if method == EXAM_KEY:
        prompts = make_exam_prompts(material.exam_key, settings.exam_key_shows_options)
        reward = make_key_reward(material.exam_key, settings.exam_key_shows_options)
    rows = make_prompt_rows(prompts, policy.llm.tokenizer)
    rows = repeat_rows(rows, settings.prompts_per_step)
    kinds = (RLOOTrainer, RLOOConfig) if method == "rloo" else (GRPOTrainer, GRPOConfig)
    trainer, config = kinds
    return trainer(
        args=make_online_config(config, method, settings, monitor),
        train_dataset=Dataset.from_list(rows),
        reward_funcs=make_trl_reward(reward, prompts, policy.llm.tokenizer, settings),
        **shared,
    )


# ------------------------------------------------------------------------------ configurations


def _make_options(
    method: str, settings: RewardAndRl, monitor: "Monitor", rows: int, tokens: int
) -> dict:
    """Return the options of all trainers; `rows`: of a batch, computed in equal parts.

    `tokens`: of the longest row; a row of DPO is a pair.
    """
    size = choose_part_size(rows, tokens, settings.token_budget)
    dtype = monitor.policy.llm.model.config.dtype
    return {
        "output_dir": str(monitor.saves),
        "max_steps": settings.rl_steps,
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": rows // size,
        "learning_rate": settings.learning_rates[method],
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": MAX_GRAD_NORM,
        "disable_dropout": True,
        "beta": settings.kl_coefficient,
        "activation_checkpointing": False,
        "bf16": dtype == torch.bfloat16,
        "fp16": dtype == torch.float16,
        "use_cpu": models.device() == "cpu",
        "dataloader_pin_memory": models.device() != "cpu",
        "save_steps": settings.save_steps,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "seed": monitor.seed,
    }


def make_online_config(
    kind: type, method: str, settings: RewardAndRl, monitor: "Monitor"
) -> RLOOConfig | GRPOConfig:
    """Return TRL's configuration of RLOO or GRPO."""
    rows = settings.prompts_per_step * settings.num_generations
    tokens = settings.max_prompt_tokens + settings.max_new_tokens
    options = _make_options(method, settings, monitor, rows, tokens)
    return kind(
        **options,
        num_generations=settings.num_generations,
        steps_per_generation=options["gradient_accumulation_steps"],
        num_iterations=1,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        epsilon=settings.clip_range,
        top_k=0,
        generation_kwargs={"repetition_penalty": 1.0},
    )


def make_dpo_config(settings: RewardAndRl, monitor: "Monitor") -> DPOConfig:
    """Return TRL's configuration of DPO; a batch has as many replies as those of the others."""
    rows = max(1, settings.prompts_per_step * settings.num_generations // 2)
    most = settings.max_prompt_tokens + settings.max_new_tokens + 8  # 8: what a template adds
    length = max(most, settings.reward_max_length)
    options = _make_options(DPO, settings, monitor, rows, 2 * length)
    options["beta"] = settings.kl_coefficient / settings.temperature
    return DPOConfig(**options, max_length=length)


def choose_part_size(rows: int, tokens: int, token_budget: int) -> int:
    """Return the largest divisor of `rows` that fits into the budget, at least 1.

    `tokens`: of the longest row.
    """
    most = token_budget // tokens
    return max(size for size in range(1, rows + 1) if rows % size == 0 and size <= max(1, most))


# ------------------------------------------------------------------------------ rows and rewards


def make_prompt_rows(prompts: Sequence[Prompt], tokenizer: Any) -> list[dict[str, Any]]:
    """Return TRL's rows of prompts: `prompt` (messages), `index` (of the prompt)."""
    return [
        {"prompt": _split_messages(prompt, tokenizer), "index": i}
        for i, prompt in enumerate(prompts)
    ]


def repeat_rows(rows: Sequence[Any], prompts_per_step: int) -> list[Any]:
    """Return the rows, repeated to fill a batch: TRL trains no step on fewer."""
    return list(rows) * max(1, -(-prompts_per_step // len(rows)))


def make_pair_rows(material: Material, tokenizer: Any) -> list[dict[str, Any]]:
    """Return TRL's rows of pairs: `prompt`, `chosen` and `rejected`, as messages."""

    def reply(text: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": split_control_tokens(tokenizer, text)}]

    return [
        {
            "prompt": _split_messages(pair.prompt, tokenizer),
            "chosen": reply(pair.chosen),
            "rejected": reply(pair.rejected),
        }
        for pair in material.pairs
    ]


def _split_messages(prompt: Prompt, tokenizer: Any) -> list[dict[str, str]]:
    """Return the messages as `models.render_chat` renders them: without control tokens."""
    return [m | {"content": split_control_tokens(tokenizer, m["content"])} for m in prompt.messages]


def make_trl_reward(
    reward: RewardFunction, prompts: Sequence[Prompt], tokenizer: Any, settings: RewardAndRl
) -> Any:
    """Return a reward function as TRL calls it; a truncated reply is penalised."""

    def compute(completion_ids: list[list[int]], index: list[int], log_metric: Any, **_: Any):
        replies = [
            Reply(
                prompts[i],
                tokenizer.decode(ids, skip_special_tokens=True).strip(),
                tokenizer.eos_token_id in ids,
            )
            for i, ids in zip(index, completion_ids, strict=True)
        ]
        scores = compute_rewards(reward, replies, settings.truncation_penalty)
        log_metric("group_std", compute_group_std(scores, settings.num_generations))
        return scores.tolist()

    compute.__name__ = "reward"
    return compute


# ------------------------------------------------------------------------------ following TRL


class StepReporter(TrainerCallback):
    """Gives every step of a trainer to the monitor, and completes every checkpoint but the last.

    If the judge cannot measure a step, the trainer saves the step and then stops.
    """

    def __init__(self, monitor: "Monitor") -> None:
        self.monitor = monitor
        self.stop: TeacherStop | None = None

    def on_train_begin(self, args, state, control, model=None, **kwargs) -> None:
        self.monitor.measure_pending()
        model.train()

    def on_log(self, args, state, control, logs=None, model=None, **kwargs) -> None:
        if "loss" not in (logs or {}):
            return
        try:
            figures = read_figures(logs)
            if "length" not in figures:  # DPO: its entropy is not that of its own replies
                figures.pop("entropy", None)
            self.monitor.finish_step(state.global_step, figures)
        except TeacherStop as error:
            self.stop, control.should_save = error, True
        finally:
            model.train()

    def on_save(self, args, state, control, **kwargs) -> None:
        if state.global_step < state.max_steps or self.stop:
            self.monitor.publish(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        if self.stop:
            raise self.stop


def read_figures(logs: dict[str, Any]) -> dict[str, float]:
    """Return the figures of a step under our names; `kl` in nats per reply, as TRL estimates it.

    TRL replaces a metric that is NaN in every process by None; here it is NaN again.
    """
    figures = {
        ours: float("nan" if logs[name] is None else logs[name])
        for name, ours in FIGURES.items()
        if name in logs
    }
    if "group_std" in logs:
        figures["reward_std"] = float(logs["group_std"])
    if logs.get("kl") is not None and "length" in figures:
        figures["kl"] = float(logs["kl"]) * figures["length"]
    return figures


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within this context, TRL and datasets print neither progress bars nor advice."""
    were_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if not were_disabled:  # a variable may forbid them: enabling would warn at every training
            enable_progress_bars()
