"""TRL's SFTTrainer with LoRA on a quantised base: settings in, a trained model and its log out."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig

from clinical_camel import models
from clinical_camel.sft_qlora import checkpoints, data_parallel, guards
from clinical_camel.sft_qlora import speedups as shortcuts
from clinical_camel.sft_qlora.log import training_log
from clinical_camel.sft_qlora.tokenization import Encoded, hold_out

REPORT_TO = {  # the variable by which each is told where to write
    "none": "",
    "tensorboard": "TENSORBOARD_LOGGING_DIR",
    "wandb": "WANDB_DIR",
    "trackio": "TRACKIO_DIR",
}


def train(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    encoded: Encoded,
    *,
    folder: Path,
    max_length: int,
    packing: bool,
    lora_rank: int,
    lora_alpha: int,
    lora_dropout: float,
    lora_targets: Sequence[str],
    learning_rate: float,
    lr_scheduler: str,
    warmup_steps: float,
    weight_decay: float,
    max_grad_norm: float,
    num_epochs: float,
    batch_size: int,
    gradient_accumulation_steps: int,
    optimizer: str,
    parallel: str,
    checkpointed_layers: int,
    group_by_length: bool,
    validation_fraction: float,
    save_steps: int,
    speedups: Sequence[str],
    report_to: str,
    seed: int,
) -> tuple[Any, pd.DataFrame]:
    """Trains a LoRA adapter on a (quantised) base with TRL; returns the model and its log.

    Checkpoints go to `folder`, under a name made from everything that decides the result, so that a
    killed run goes on where it stopped and never mixes two recipes. Raises ModelError for a
    tokenizer larger than the embedding, and TrainingError for a loss or gradient that makes no
    sense, a training that ended early, or an adapter that learned nothing. ValueError for `packing`
    on a base that cannot keep packed dialogues apart, and for `speedups` that do not go together.

    The log has one row a step: step, fraction, loss (mean over the batch's trained tokens),
    learning_rate, grad_norm, tokens, validation_loss. The adapter is kept in float32: in bfloat16,
    SFTTrainer's default for a quantised base, a resumed run is another run. What `report_to` writes
    goes to .tracking beside `folder`, unless its own variable names another place.
    """
    settings = dict(locals())
    for other in ("model", "tokenizer", "encoded", "folder"):
        del settings[other]
    data_parallel.refuse_parallel(
        parallel, optimizer, validation_fraction, **data_parallel.facts(model)
    )
    settings["processes"] = data_parallel.processes()
    data_parallel.say_batch(batch_size, gradient_accumulation_steps)
    if problem := models.tokenizer_problem(tokenizer, model):
        raise models.ModelError(f"{model.config._name_or_path}: {problem}")
    if packing and not models.takes_positions(model):
        raise ValueError(
            f"packing: {model.config.model_type} finds a token's position by counting the row, so "
            "packed dialogues would see each other; set packing: false"
        )
    if problem := shortcuts.problem(speedups, model, parallel):
        raise ValueError(f"speedups: {problem}")
    held = hold_out(encoded.groups, validation_fraction, seed) if validation_fraction > 0 else []
    learned = sorted(set(range(len(encoded.rows))) - set(held))
    rows = [encoded.rows[i] for i in [*learned, *held]]
    code = (sys.modules[__name__], shortcuts, data_parallel, models.loading)
    recipe = checkpoints.make_recipe(settings, rows, model, tokenizer, code)
    place = data_parallel.from_main(lambda: folder) / checkpoints.folder_name(recipe)
    data = Dataset.from_list(rows)
    if variable := REPORT_TO[report_to]:  # else in the checkpoints, which go, or where we stand
        os.environ.setdefault(variable, str((folder.parent / ".tracking").resolve()))
        Path(os.environ[variable]).mkdir(parents=True, exist_ok=True)
    dtype = models.compute_dtype()
    config = SFTConfig(
        output_dir=str(place),
        max_length=max_length,
        packing=packing,
        packing_strategy="bfd",  # whole documents; `wrapped` lets documents see each other
        eval_packing=False,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=batch_size,
        gradient_accumulation_steps=gradient_accumulation_steps,
        num_train_epochs=num_epochs,
        learning_rate=learning_rate,
        lr_scheduler_type=lr_scheduler,
        warmup_steps=warmup_steps,  # below 1 it is a share of all steps
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
        optim=optimizer,
        **data_parallel.settings(parallel, checkpointed_layers),
        train_sampling_strategy="group_by_length" if group_by_length else "random",
        bf16=str(dtype) == "torch.bfloat16",
        fp16=str(dtype) == "torch.float16",
        use_cpu=models.device() == "cpu",
        dataloader_pin_memory=models.device() != "cpu",
        eval_strategy="steps" if held else "no",
        eval_steps=save_steps,
        save_steps=save_steps,
        load_best_model_at_end=bool(held),
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would hide what `Watch` stops at
        report_to=report_to,
        disable_tqdm=True,
        seed=seed,
    )
    trainer = shortcuts.Trainer(
        model=model,
        args=config,
        train_dataset=data.select(range(len(learned))),
        eval_dataset=data.select(range(len(learned), len(rows))) if held else None,
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=lora_rank,
            lora_alpha=lora_alpha,
            lora_dropout=lora_dropout,
            target_modules=target_modules(lora_targets),
            task_type="CAUSAL_LM",
        ),
        callbacks=[Progress(), guards.Watch(), checkpoints.Publish(recipe)],
    )
    trainer.remove_callback(PrinterCallback)
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    data_parallel.prepare(trainer)
    data_parallel.from_main(lambda: checkpoints.mention_others(place, recipe))
    newest = data_parallel.from_main(lambda: checkpoints.newest_whole(place, recipe))
    if parallel == "data":
        shortcuts.recompute(model, checkpointed_layers)
    with models.steady(trainer.model), shortcuts.applied(trainer, speedups):
        trainer.train(resume_from_checkpoint=newest)
    guards.refuse_unfinished(trainer.state)
    best = trainer.state.best_model_checkpoint  # was loaded just now
    if best and (why := checkpoints.damage(Path(best))):
        raise guards.TrainingError(f"{best}: {why}; remove it and train again")
    model = data_parallel.whole(trainer)
    guards.refuse_unlearned(model)
    data_parallel.wait()  # none still reads a checkpoint, they may go
    return model, training_log(trainer.state.log_history)


def target_modules(lora_targets: Sequence[str]) -> str | list[str]:
    """The layers as PEFT wants them: "all-linear" is a word of its own, names are a list."""
    names = list(lora_targets)
    return "all-linear" if names == ["all-linear"] else names


class Progress(TrainerCallback):
    """A line of text every tenth of the run: step, loss, time left."""

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.start, self.first = time.monotonic(), state.global_step

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if "loss" not in (logs or {}) or state.global_step % max(1, state.max_steps // 10):
            return
        spent = time.monotonic() - self.start
        left = (
            spent / max(1, state.global_step - self.first) * (state.max_steps - state.global_step)
        )
        data_parallel.say(
            f"step {state.global_step:>5} of {state.max_steps}   loss {logs['loss']:.4f}   "
            f"{left:.0f} s left"
        )
