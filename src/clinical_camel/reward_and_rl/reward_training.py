"""Train the reward model on preference pairs with TRL's `RewardTrainer`.

Pairs are tokenized here, so that pairs dropped for their length are counted (TRL drops them without
a count) and the tokens are those that are scored later. An interrupted training resumes from its
newest complete checkpoint.

On a GPU, the pairs of a step are computed in parts that fit into `token_budget`, and activations
are recomputed in the backward pass. On a CPU, a step is one part.
"""

import inspect
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from transformers.trainer_utils import rotate_checkpoints
from trl import RewardConfig, RewardTrainer

from clinical_camel import models
from clinical_camel.core.hashing import key_hash
from clinical_camel.models import ModelError, checkpoints
from clinical_camel.models.checkpoints import Fingerprint, TrainingError
from clinical_camel.reward_and_rl.reward_model import RewardModel, tokenize_reply
from clinical_camel.reward_and_rl.settings import RewardAndRl
from clinical_camel.reward_and_rl.shapes import Pair
from clinical_camel.reward_and_rl.training import PACKAGES
from clinical_camel.reward_and_rl.trl_methods import choose_part_size

LOG_COLUMNS = ("step", "fraction", "loss", "accuracy", "margin", "learning_rate", "grad_norm")


@dataclass(frozen=True, slots=True)
class RewardRecipe:
    """How the reward model is trained; the learning rate falls to zero along a cosine."""

    learning_rate: float
    epochs: int
    batch_size: int
    max_length: int
    save_steps: int
    seed: int
    token_budget: int = 16384
    warmup_share: float = 0.03


def make_recipe(settings: RewardAndRl) -> RewardRecipe:
    """Return the recipe of the reward model in the settings of the step."""
    return RewardRecipe(
        learning_rate=settings.reward_learning_rate,
        epochs=settings.reward_epochs,
        batch_size=settings.reward_batch_size,
        max_length=settings.reward_max_length,
        save_steps=settings.save_steps,
        seed=settings.seed,
        token_budget=settings.token_budget,
    )


@dataclass(frozen=True, slots=True)
class TokenizedPairs:
    """Pairs as token ids, in the order of `pairs`, and the numbers of dropped ones.

    `too_long`: a side is longer than max_length. `same_tokens`: both sides are the same tokens.
    """

    rows: list[dict[str, list[int]]]
    pairs: list[Pair]
    too_long: int
    same_tokens: int


def tokenize_pairs(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair], max_length: int
) -> TokenizedPairs:
    """Tokenize both sides of each pair (`tokenize_reply`), and drop and count what cannot be used.

    Raises ValueError without a pair, or if less than half of them is left.
    """
    rows, fitting, too_long, same_tokens = [], [], 0, 0
    for pair in pairs:
        chosen, rejected = (
            tokenize_reply(tokenizer, pair.prompt.messages, text)
            for text in (pair.chosen, pair.rejected)
        )
        if max(len(chosen), len(rejected)) > max_length:
            too_long += 1
        elif chosen == rejected:
            same_tokens += 1
        else:
            rows.append({"chosen_ids": chosen, "rejected_ids": rejected})
            fitting.append(pair)
    if 2 * len(rows) < len(pairs) or not rows:
        is_too_long = too_long and too_long >= same_tokens
        key, remedy = (
            ("reward_max_length", "write a larger number")
            if is_too_long
            else ("rankers", "use a higher temperature or more replies_per_prompt")
        )
        raise ValueError(
            f"{key}: of {len(pairs)} pairs, {too_long} are longer than {max_length} tokens and "
            f"{same_tokens} have the same tokens on both sides; {remedy}"
        )
    return TokenizedPairs(rows, fitting, too_long, same_tokens)


def train_reward_model(
    reward_model: RewardModel, tokenized: TokenizedPairs, recipe: RewardRecipe, folder: Path
) -> pd.DataFrame:
    """Train a reward model in place; return its log, one row per optimizer step: LOG_COLUMNS.

    `accuracy` and `margin` are those of the batch: share of pairs with r_chosen > r_rejected, and
    mean difference. Checkpoints go to `folder`, under a name made of everything that decides the
    result: the same training resumes, another starts anew. Raises ModelError for a max_length
    beyond the context; TrainingError for NaN and for a training that ended early.
    """
    if recipe.max_length > reward_model.max_length:
        raise ModelError(
            f"reward_max_length: {recipe.max_length} is more than the context of the base, "
            f"{reward_model.max_length}; write a smaller number"
        )
    model, tokenizer = reward_model.model, reward_model.tokenizer
    fingerprint = make_fingerprint(reward_model, tokenized, recipe)
    place = folder / checkpoints.name_folder(fingerprint)
    if models.device() != "cpu":
        model.get_base_model().activation_checkpointing_enable()
    config = model.get_base_model().config
    trainer = RewardTrainer(
        model=model,
        args=_make_config(recipe, place, len(tokenized.rows), config.dtype),
        train_dataset=Dataset.from_list(tokenized.rows),
        processing_class=tokenizer,
        callbacks=[_Progress(), _LossGuard(), _Publisher(fingerprint)],
    )
    trainer.remove_callback(PrinterCallback)
    checkpoints.report_unused(place, fingerprint)
    newest = checkpoints.find_newest_complete(place, fingerprint)
    with models.freeze_quantization(model):
        trainer.train(resume_from_checkpoint=newest)
    state = trainer.state
    if state.global_step < state.max_steps:
        raise TrainingError(
            f"reward model: training ended at step {state.global_step} of {state.max_steps}; run "
            "it again to resume from its newest checkpoint"
        )
    model.eval()
    reward_model.source = reward_model.source | {"training": key_hash(fingerprint)[:16]}
    return _tabulate(state.log_history, state.max_steps)


def delete_checkpoints(folder: Path) -> None:
    """Delete the checkpoints in a folder, after the reward model was saved."""
    for place in folder.glob("checkpoints-*"):
        shutil.rmtree(place)


def make_fingerprint(
    reward_model: RewardModel, tokenized: TokenizedPairs, recipe: RewardRecipe
) -> Fingerprint:
    """Return everything that decides the result, by name, except the kind of GPU."""
    config = reward_model.model.peft_config["default"]
    code = [inspect.getsource(inspect.getmodule(item)) for item in (RewardModel, RewardRecipe)]
    values = asdict(recipe)
    if models.device() == "cpu":  # where a step is one part
        del values["token_budget"]
    return {
        **values,
        **{k: v for k, v in reward_model.source.items() if k != "training"},
        "lora": key_hash([config.r, config.lora_alpha, sorted(config.target_modules)])[:16],
        "rows": key_hash(tokenized.rows)[:16],
        "device": models.device(),
        "code": key_hash(code)[:16],
        **{package: version(package) for package in PACKAGES},
    }


def _make_config(recipe: RewardRecipe, place: Path, rows: int, dtype: torch.dtype) -> RewardConfig:
    steps = max(1, math.ceil(rows / recipe.batch_size * recipe.epochs))
    size = recipe.batch_size
    if models.device() != "cpu":  # a pair is two rows
        size = choose_part_size(size, 2 * recipe.max_length, recipe.token_budget)
    return RewardConfig(
        output_dir=str(place),
        max_length=recipe.max_length,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=recipe.batch_size // size,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, round(recipe.warmup_share * steps)),
        max_grad_norm=1.0,
        activation_checkpointing=False,  # `train_reward_model` enables it where it is needed
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        use_cpu=models.device() == "cpu",
        dataloader_pin_memory=models.device() != "cpu",
        save_steps=recipe.save_steps,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        seed=recipe.seed,
    )


def _tabulate(history: Sequence[dict[str, Any]], max_steps: int) -> pd.DataFrame:
    rows = [
        {"step": entry["step"], "fraction": entry["step"] / max_steps}
        | {name: entry.get(name) for name in LOG_COLUMNS[2:]}
        for entry in history
        if "loss" in entry
    ]
    return pd.DataFrame(rows, columns=list(LOG_COLUMNS))


class _LossGuard(TrainerCallback):
    """Raises TrainingError at the first step with NaN, before a checkpoint is saved."""

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        for name in ("loss", "grad_norm"):
            value = (logs or {}).get(name, 0.0)
            if not math.isfinite(value) and not (name == "grad_norm" and args.fp16):
                raise TrainingError(
                    f"reward model: step {state.global_step} of {state.max_steps}: {name} is "
                    f"{value}; write a lower reward_learning_rate"
                )


class _Publisher(TrainerCallback):
    """After each save: write the manifest, then delete old checkpoints."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        self.fingerprint = fingerprint

    def on_save(self, args, state, control, **kwargs) -> None:
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        checkpoints.publish(checkpoint, self.fingerprint)
        rotate_checkpoints(args.output_dir, checkpoints.LIMIT, None)


class _Progress(TrainerCallback):
    """Prints step, loss, accuracy and remaining time after every tenth of the training."""

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.start, self.first_step = time.monotonic(), state.global_step

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if "loss" not in (logs or {}) or state.global_step % max(1, state.max_steps // 10):
            return
        per_step = (time.monotonic() - self.start) / max(1, state.global_step - self.first_step)
        print(
            f"reward model: step {state.global_step:>5} of {state.max_steps}   "
            f"loss {logs['loss']:.4f}   accuracy {logs.get('accuracy', math.nan):.2f}   "
            f"{per_step * (state.max_steps - state.global_step):.0f} s left",
            flush=True,
        )
