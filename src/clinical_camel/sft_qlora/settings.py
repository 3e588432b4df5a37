"""The settings of step 02."""

import importlib.util
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from clinical_camel.core.settings import Float, Share, StepSettings, Text
from clinical_camel.data.specs import MixtureSpec
from clinical_camel.models import limits
from clinical_camel.models.choices import (
    Attention,
    ChatTemplate,
    ComputeDtype,
    Quantize,
    check_model,
)

LOSS_ON = ("assistant", "all")
LR_SCHEDULERS = ("cosine", "linear", "constant", "constant_with_warmup")
OPTIMIZERS = (
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_bnb_8bit",
    "adafactor",
    "sgd",
)
SPEEDUPS = ("target_head", "target_tail", "causal_mask", "fused_lora")
COMPILE = "compile"  # takes minutes at the start, so it is not among the defaults
REPORT_TO = ("none", "tensorboard", "wandb", "trackio")
Ratio = Annotated[Float, Field(ge=0, le=100)]
MIN_SHARE = 1e-4  # of a dataset; less would select no row


class Recipe(StepSettings):
    """How an adapter is trained."""

    many_processes: ClassVar[bool] = True

    model: Text = Field("mini", description="base model: mini (shipped), a folder, or a hub id")
    quantize: Quantize = Field(
        "nf4",
        description="nf4 (4 bits), nf4_dequantized (nf4 values stored as ordinary floats), "
        "int8, or empty for none",
    )
    compute_dtype: ComputeDtype = Field(
        "auto", description="type of the numbers: bfloat16, float32, or auto (the faster one here)"
    )
    attn_implementation: Attention = Field(
        "",
        description=(
            "attention code: sdpa, eager, flex_attention, flash_attention_2; empty: default"
        ),
    )
    chat_template: ChatTemplate = Field(
        "", description="name of a template, such as chatml; empty for the tokenizer's own"
    )
    mixture: dict[MixtureSpec, Ratio] = Field(
        {
            "mini_chat": 1.0,
            "outputs/mini_camel/01_dbke/dialogues.jsonl": 1.0,
            "outputs/mini_camel/01_dbke/exam_dialogues.jsonl": 1.0,
        },
        min_length=1,
        description="dataset: fraction of its rows to use",
    )
    loss_on: Literal[LOSS_ON] = Field(
        "assistant",
        description=(
            "tokens that count in the loss; assistant: the assistant's turns and "
            "their end tokens; all: every token"
        ),
    )
    loss_on_all: list[MixtureSpec] = Field(
        [], description="datasets of the mixture whose tokens all count in the loss"
    )
    prompt_weight: Share = Field(
        0.0,
        description=(
            "weight in the loss of all other tokens if loss_on is assistant, whose tokens have "
            "weight 1; 0.0: masked"
        ),
    )
    max_length: int = Field(
        1024,
        ge=64,
        le=131072,
        description="maximum tokens; a longer dialogue loses its last exchanges",
    )
    packing: bool = Field(
        False, description="pack several dialogues into one row, without attention between them"
    )
    lora_rank: int = Field(64, ge=1, le=1024, description="rank of the LoRA matrices")
    lora_alpha: int = Field(
        64, ge=1, le=4096, description="the LoRA update BA is scaled by lora_alpha / lora_rank"
    )
    lora_dropout: Float = Field(0.0, ge=0, lt=1, description="dropout on LoRA inputs")
    lora_targets: list[Text] = Field(
        ["all-linear"], min_length=1, description="layers that get LoRA matrices"
    )
    learning_rate: Float = Field(4.0e-3, gt=0, le=1, description="peak learning rate")
    lr_scheduler: Literal[LR_SCHEDULERS] = Field(
        "cosine", description="cosine, linear, constant or constant_with_warmup"
    )
    warmup_steps: Float = Field(
        0.03, ge=0, le=1e5, description="warm-up steps; a value below 1 is a share of all steps"
    )
    weight_decay: Share = Field(0.0, description="AdamW weight decay")
    max_grad_norm: Float = Field(
        1.0, gt=0, le=1000, description="larger gradients are clipped to this norm"
    )
    num_epochs: Float = Field(6.0, ge=0.01, le=1000, description="passes over the data")
    batch_size: int = Field(4, ge=1, le=4096, description="rows per device and forward pass")
    gradient_accumulation_steps: int = Field(
        1, ge=1, le=65536, description="batches per optimizer step"
    )
    optimizer: Literal[OPTIMIZERS] = Field(
        "paged_adamw_32bit",
        description=(
            "its name in the transformers library; with paged_, its state may move to the CPU"
        ),
    )
    gradient_checkpointing_layers: int = Field(
        0,
        ge=-1,
        le=1000,
        description="layers recomputed in the backward pass to save memory; -1 means all",
    )
    group_by_length: bool = Field(
        False,
        description="put rows of similar length into one batch: less padding, another order",
    )
    validation_fraction: Float = Field(
        0.0,
        ge=0,
        le=0.5,
        description=(
            "share of source articles whose dialogues are used for validation, not for training"
        ),
    )
    load_best_model_at_end: bool = Field(
        False,
        description=(
            "save the checkpoint with the lowest validation loss instead of the last adapter"
        ),
    )
    save_steps: int = Field(
        200, ge=1, le=100_000, description="optimizer steps between checkpoints"
    )
    save_minutes: Float = Field(
        0.0,
        ge=0,
        le=1440,
        description="also save a checkpoint after so many minutes without one; 0: never",
    )
    speedups: list[Literal[(*SPEEDUPS, COMPILE)]] = Field(
        list(SPEEDUPS),
        description="faster computations of the same loss and gradients",
    )
    report_to: Literal[REPORT_TO] = Field(
        "none", description="also log to tensorboard, wandb or trackio"
    )

    def check_together(self) -> Iterator[str]:
        yield from check_model(self.model, self.chat_template)
        yield from limits.check_reply_end(self.model, self.chat_template)
        yield from limits.check_reply_marks(self.model, self.chat_template)
        yield from limits.check_length(self.model, "max_length", self.max_length)
        yield from limits.check_layers(self.model, self.lora_targets)
        count = self.gradient_checkpointing_layers
        yield from limits.check_layer_count(self.model, "gradient_checkpointing_layers", count)
        for name in ("target_tail", "causal_mask"):
            if name in self.speedups and "target_head" not in self.speedups:
                yield f"speedups: {name} needs target_head; add target_head"
        if self.report_to != "none" and not importlib.util.find_spec(self.report_to):
            remedy = f"pip install {self.report_to}, or set it to none"
            yield f"report_to: {self.report_to} is not installed; {remedy}"
        if "all-linear" in self.lora_targets and len(self.lora_targets) > 1:
            yield "lora_targets: all-linear excludes other names; write [all-linear] or layer names"
        if self.prompt_weight and self.loss_on == "all":
            yield (
                f"prompt_weight: {self.prompt_weight} has no effect if loss_on is all, which "
                "gives every token weight 1; write 0.0, or loss_on: assistant"
            )
        if self.loss_on_all and self.loss_on == "all":
            yield "loss_on_all: without effect if loss_on is all; write []"
        for spec in self.loss_on_all:
            if spec not in self.mixture:
                yield f"loss_on_all: {spec} is not in mixture; known: {', '.join(self.mixture)}"
        if self.load_best_model_at_end and not self.validation_fraction:
            yield (
                "load_best_model_at_end: true needs a validation loss; write a "
                "validation_fraction above 0.0, or false"
            )
        if not any(self.mixture.values()):
            yield "mixture: every fraction is 0.0; use a part of at least one dataset"
        for spec, share in self.mixture.items():
            if 0 < share < MIN_SHARE:
                yield f"mixture.{spec}: {share} selects no row; write {MIN_SHARE} or more, or 0.0"
        if self.warmup_steps >= 1 and not self.warmup_steps.is_integer():
            yield f"warmup_steps: {self.warmup_steps} is no whole number of steps and no share"
        if self.warmup_steps and self.lr_scheduler == "constant":
            yield "warmup_steps: without effect if lr_scheduler is constant; write 0.0"
        yield from self._check_packing()

    def _check_packing(self) -> Iterator[str]:
        if self.packing and self.attn_implementation == "eager":
            yield (
                "packing: true with attn_implementation: eager, which stores the attention of the "
                'whole row; write sdpa, flex_attention, flash_attention_2, flash_attention_3 or ""'
            )
        if self.packing and self.group_by_length:
            yield "group_by_length: true has no effect on packed rows; write false"
