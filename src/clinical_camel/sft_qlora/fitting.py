"""Whether a recipe fits its base and its data, before anything expensive is computed."""

import importlib.util
import math
from collections.abc import Iterator
from typing import Any

import torch

from clinical_camel import models
from clinical_camel.models import gate
from clinical_camel.sft_qlora import data_parallel
from clinical_camel.sft_qlora.settings import Recipe

MOST_STEPS = 10_000_000
ATTENTION_PACKAGES = {"flash_attention_2": ("flash_attn", "kernels")}


def require_fitting_recipe(recipe: Recipe) -> None:
    """Raise ValueError, with every problem, if the recipe does not fit its base.

    Of the base, only config.json is read. Raises ModelError if that is damaged.
    """
    problems = list(check_recipe(recipe, models.build_skeleton(recipe.model)))
    if problems:
        raise ValueError("\n".join(problems))


def check_recipe(recipe: Recipe, base: Any) -> Iterator[str]:
    """Yield where a recipe contradicts its base (the architecture is enough), setting first."""
    yield from _check_layers(recipe, base)
    limit = getattr(base.config, "max_position_embeddings", None)
    if limit and recipe.max_length > limit:
        yield (
            f"max_length: {recipe.max_length} tokens are more than the {limit} positions of "
            f"{recipe.model}; write at most {limit}"
        )
    layers = getattr(base.config, "num_hidden_layers", math.inf)
    if recipe.gradient_checkpointing_layers > layers:
        yield (
            f"gradient_checkpointing_layers: {recipe.gradient_checkpointing_layers} layers are "
            f"more than the {layers} of {recipe.model}; write -1 for all"
        )
    scale = recipe.lora_alpha / recipe.lora_rank
    if scale > gate.LARGEST_SCALE:
        yield (
            f"lora_alpha: would scale the update by {scale:g}, more than {gate.LARGEST_SCALE:g}; "
            f"write at most {int(gate.LARGEST_SCALE * recipe.lora_rank)}"
        )
    packages = ATTENTION_PACKAGES.get(recipe.attn_implementation, ())
    if packages and not (
        torch.cuda.is_available() and any(map(importlib.util.find_spec, packages))
    ):
        yield (
            f"attn_implementation: {recipe.attn_implementation} needs an NVIDIA GPU and the "
            f"package {packages[0]}; write sdpa"
        )


def _check_layers(recipe: Recipe, base: Any) -> Iterator[str]:
    """Yield targets that name no layer, and a rank that no target layer can have."""
    sizes = {
        name: min(module.weight.shape)
        for name, module in base.named_modules()
        if getattr(getattr(module, "weight", None), "ndim", 0) == 2
    }
    if recipe.lora_targets != ["all-linear"]:
        endings = sorted({name.rpartition(".")[2] for name in sizes})
        chosen: dict[str, int] = {}
        for target in recipe.lora_targets:
            matches = {n: s for n, s in sizes.items() if n == target or n.endswith(f".{target}")}
            chosen |= matches
            if not matches:
                yield (
                    f"lora_targets: {recipe.model} has no layer {target}; its layers are "
                    f"{', '.join(endings)}"
                )
        sizes = chosen
    if sizes and recipe.lora_rank > (most := max(sizes.values())):
        yield (
            f"lora_rank: {recipe.lora_rank} is more than the rank {most} of the largest target "
            f"layer of {recipe.model}; write at most {most}"
        )


def require_schedule(recipe: Recipe, rows: int) -> None:
    """Raise ValueError if so many rows give a training that never leaves its warm-up, or ends."""
    steps = count_steps(recipe, rows)
    if steps > MOST_STEPS:
        raise ValueError(f"num_epochs: {steps} steps would take years; write a smaller number")
    if recipe.warmup_steps >= 1 and recipe.warmup_steps >= steps:
        at_most = " at most" if recipe.packing else ""
        raise ValueError(
            f"warmup_steps: {recipe.warmup_steps:g}, but the training has{at_most} {steps} steps: "
            "it would never reach its learning_rate; write a smaller number, or a share below 1"
        )


def count_steps(recipe: Recipe, rows: int) -> int:
    """Return the optimizer steps of a training on so many rows (with packing: the most)."""
    batches = math.ceil(rows / (recipe.batch_size * data_parallel.world_size()))
    return math.ceil(recipe.num_epochs * math.ceil(batches / recipe.gradient_accumulation_steps))
