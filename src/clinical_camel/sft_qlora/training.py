"""Train a LoRA adapter on a quantized base with TRL: a recipe in, a tuned model and its log out."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig

from clinical_camel import models
from clinical_camel.models import compute, fused_lora, loading
from clinical_camel.sft_qlora import (
    checkpoints,
    data_parallel,
    guards,
    interruption,
    ordering,
    speedups,
    token_weights,
)
from clinical_camel.sft_qlora.fitting import require_schedule
from clinical_camel.sft_qlora.log import tabulate_history
from clinical_camel.sft_qlora.settings import Recipe
from clinical_camel.sft_qlora.tokenization import (
    TokenizedMixture,
    TokenRow,
    choose_validation_rows,
)

TRACKER_FOLDERS = {  # the environment variable with the folder that a tracker writes to
    "tensorboard": "TENSORBOARD_LOGGING_DIR",
    "wandb": "WANDB_DIR",
    "trackio": "TRACKIO_DIR",
}
# part of the fingerprint
CODE = (
    *(sys.modules[__name__], speedups, token_weights, ordering, data_parallel),
    *(loading, compute, fused_lora),
)


def train(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    tokenized: TokenizedMixture,
    recipe: Recipe,
    *,
    folder: Path,
    callbacks: Sequence[TrainerCallback] = (),
) -> tuple[Any, pd.DataFrame]:
    """Train a LoRA adapter on a base model; return the tuned model and its training log.

    The log has one row per step: step, fraction, loss (mean over the batch's target tokens, or the
    weighted mean of module `token_weights`), learning_rate, grad_norm, tokens, validation_loss
    (mean over target tokens at any `prompt_weight`). Checkpoints go to `folder`, under a name made
    from everything that decides the result: the same recipe resumes, another starts anew. There is
    one every `save_steps` steps, after `save_minutes` minutes without one (0: never), and after
    SIGTERM (module `interruption`). `callbacks`: further callbacks of the trainer, such as a
    stopwatch.

    Raises ModelError for a tokenizer larger than the embedding matrix. Raises ValueError for a
    launch, speedup or packing that this base does not support, and for a warm-up without end.
    Raises TrainingError for an invalid loss or gradient, and for a training that ended early.
    """
    require_trainable(model, tokenizer, recipe)
    data_parallel.print_batch_size(recipe.batch_size, recipe.gradient_accumulation_steps)

    training, validation = split_rows(tokenized, recipe)
    require_schedule(recipe, len(training))
    fingerprint = checkpoints.make_fingerprint(
        recipe, [*training, *validation], model, tokenizer, CODE
    )
    place = data_parallel.run_on_main(lambda: folder) / checkpoints.name_folder(fingerprint)
    set_tracker_folder(recipe.report_to, folder)
    trainer = speedups.Trainer(
        model=model,
        args=make_config(recipe, place, model.config.dtype),
        train_dataset=Dataset.from_list(training),
        eval_dataset=Dataset.from_list(validation) if validation else None,
        processing_class=tokenizer,
        peft_config=make_lora_config(recipe),
        callbacks=[
            *(Progress(), guards.LossGuard(), checkpoints.Publisher(fingerprint)),
            interruption.Saver(recipe.save_minutes, stop := interruption.Stop()),
            *callbacks,
        ],
        prompt_weight=recipe.prompt_weight,
    )
    trainer.remove_callback(PrinterCallback)
    compute.train_in_float32(trainer.model)
    speedups.enable_gradient_checkpointing(model, recipe.gradient_checkpointing_layers)

    data_parallel.run_on_main(lambda: checkpoints.report_unused(place, fingerprint))
    newest = data_parallel.run_on_main(lambda: checkpoints.find_newest_complete(place, fingerprint))
    with (
        models.freeze_quantization(trainer.model),
        speedups.apply_speedups(trainer, recipe.speedups),
        stop,
    ):
        trainer.train(resume_from_checkpoint=newest)

    require_usable(trainer)
    data_parallel.wait()  # until no process reads a checkpoint: the caller may delete them
    return trainer.model, tabulate_history(trainer.state.log_history)


def require_trainable(model: Any, tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> None:
    """Raise ModelError or ValueError if this recipe cannot train this base in these processes."""
    data_parallel.require_supported_launch(model)
    models.require_matching_tokenizer(tokenizer, model, model.config._name_or_path)
    speedups.require_supported_speedups(recipe.speedups, model)
    if recipe.packing and not models.accepts_position_ids(model):
        raise ValueError(
            f"packing: {model.config.model_type} derives positions from the row, so packed "
            "dialogues would attend to each other; set packing: false"
        )


def split_rows(
    tokenized: TokenizedMixture, recipe: Recipe
) -> tuple[list[TokenRow], list[TokenRow]]:
    """Return the training rows and the validation rows."""
    indices: list[int] = []
    if recipe.validation_fraction > 0:
        indices = choose_validation_rows(tokenized.groups, recipe.validation_fraction, recipe.seed)
    excluded = set(indices)
    training = [row for i, row in enumerate(tokenized.rows) if i not in excluded]
    return training, [tokenized.rows[i] for i in indices]


def set_tracker_folder(report_to: str, folder: Path) -> None:
    """Let a tracker write to .tracking next to `folder`, unless its variable is already set.

    By default it would write into the checkpoints, which are deleted, or the working directory.
    """
    if report_to == "none":
        return
    variable = TRACKER_FOLDERS[report_to]
    os.environ.setdefault(variable, str((folder.parent / ".tracking").resolve()))
    Path(os.environ[variable]).mkdir(parents=True, exist_ok=True)


def make_config(recipe: Recipe, place: Path, dtype: torch.dtype) -> SFTConfig:
    """Return TRL's configuration; checkpoints go to `place`, the base computes in `dtype`."""
    has_validation = recipe.validation_fraction > 0
    return SFTConfig(
        output_dir=str(place),
        max_length=recipe.max_length,
        packing=recipe.packing,
        packing_strategy="bfd",  # complete documents; in `wrapped` documents attend to each other
        eval_packing=False,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        num_train_epochs=recipe.num_epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.lr_scheduler,
        warmup_steps=recipe.warmup_steps,  # below 1 it is a share of all steps
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        optim=recipe.optimizer,
        activation_checkpointing=False,  # `speedups.enable_gradient_checkpointing` selects layers
        ddp_find_unused_parameters=False,  # every adapter matrix is used in every step
        train_sampling_strategy="group_by_length" if recipe.group_by_length else "random",
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        use_cpu=models.device() == "cpu",
        dataloader_pin_memory=models.device() != "cpu",
        eval_strategy="steps" if has_validation else "no",
        eval_steps=recipe.save_steps,
        save_steps=recipe.save_steps,
        load_best_model_at_end=recipe.load_best_model_at_end,
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would hide a NaN from LossGuard
        report_to=recipe.report_to,
        disable_tqdm=True,
        seed=recipe.seed,
    )


def make_lora_config(recipe: Recipe) -> LoraConfig:
    """Return PEFT's configuration of the adapter."""
    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=target_modules(recipe.lora_targets),
        task_type="CAUSAL_LM",
    )


def target_modules(lora_targets: Sequence[str]) -> str | list[str]:
    """Return the layers as PEFT expects them: the keyword "all-linear", or a list of names."""
    names = list(lora_targets)
    return "all-linear" if names == ["all-linear"] else names


def require_usable(trainer: Any) -> None:
    """Raise TrainingError unless the training finished and its best checkpoint is complete."""
    guards.require_finished(trainer.state)
    best = trainer.state.best_model_checkpoint  # the trainer has just loaded it
    if best and (problem := checkpoints.check_checkpoint(Path(best))):
        raise guards.TrainingError(f"{best}: {problem}; delete it and train again")


class Progress(TrainerCallback):
    """Prints step, loss and remaining time after every tenth of the run."""

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.start, self.first_step = time.monotonic(), state.global_step

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if "loss" not in (logs or {}) or state.global_step % max(1, state.max_steps // 10):
            return
        per_step = (time.monotonic() - self.start) / max(1, state.global_step - self.first_step)
        data_parallel.print_once(
            f"step {state.global_step:>5} of {state.max_steps}   loss {logs['loss']:.4f}   "
            f"{per_step * (state.max_steps - state.global_step):.0f} s left"
        )
