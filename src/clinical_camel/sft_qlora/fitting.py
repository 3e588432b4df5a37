"""Whether a recipe fits its base and its data, before anything expensive is computed."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from clinical_camel import data, models
from clinical_camel.core.base_models import ATTENTION_PACKAGES, find_missing_package
from clinical_camel.data import Article
from clinical_camel.models import limits
from clinical_camel.models.adapter_gate import LARGEST_SCALE
from clinical_camel.sft_qlora.settings import Recipe
from clinical_camel.sft_qlora.tokenization import find_group, require_divisible

MOST_STEPS = 10_000_000


def require_fitting_recipe(recipe: Recipe) -> None:
    """Raise ValueError if the recipe does not fit its base, its rows or this launch.

    Of the base, only config.json and the tokenizer are read: the base is loaded later, and may have
    140 GB. Raises ModelError if they are damaged or do not fit each other.
    """
    from clinical_camel.sft_qlora import interruption, training  # import torch

    base = models.build_skeleton(recipe.model)
    if problems := list(check_recipe(recipe, base)):
        raise ValueError("\n".join(problems))
    interruption.read_notice()
    # the type in which it will be loaded: a launcher may set another one
    base.config.dtype = models.choose_dtype(recipe.compute_dtype, base.num_parameters())
    tokenizer = models.load_tokenizer(recipe.model, recipe.chat_template)
    training.require_trainable(base, tokenizer, recipe)
    if recipe.validation_fraction > 0:
        require_divisible(list_groups(recipe), recipe.validation_fraction)


def list_groups(recipe: Recipe) -> list[str]:
    """Return the group of each row of the mixture; with articles, each group once.

    An article is several rows once it is tokenized, so the rows of its group are not known before.
    """
    groups, has_articles = [], False
    for spec, share in recipe.mixture.items():
        rows = data.load_training_rows(spec, share, recipe.seed)
        groups += map(find_group, rows)
        has_articles = has_articles or any(isinstance(row, Article) for row in rows)
    return list(dict.fromkeys(groups)) if has_articles else groups


def check_recipe(recipe: Recipe, base: Any) -> Iterator[str]:
    """Yield where a recipe contradicts its base (the architecture is enough), setting first."""
    yield from check_targets(recipe.lora_targets, recipe.lora_rank, base)
    config = base.config.get_text_config().to_dict()
    yield from limits.check_length(recipe.model, "max_length", recipe.max_length, config)
    name = "gradient_checkpointing_layers"
    yield from limits.check_layer_count(recipe.model, name, getattr(recipe, name), config)
    scale = recipe.lora_alpha / recipe.lora_rank
    if scale > LARGEST_SCALE:
        yield (
            f"lora_alpha: would scale the update by {scale:g}, more than {LARGEST_SCALE:g}; "
            f"write at most {int(LARGEST_SCALE * recipe.lora_rank)}"
        )
    import torch

    attention = recipe.attn_implementation
    if attention in ATTENTION_PACKAGES and (
        not torch.cuda.is_available() or find_missing_package(attention)
    ):
        package, _ = ATTENTION_PACKAGES[attention]
        yield (
            f"attn_implementation: {attention} needs an NVIDIA GPU and the package {package}; "
            "write sdpa"
        )


def check_targets(targets: Sequence[str], rank: int, base: Any) -> Iterator[str]:
    """Yield targets that name no layer, and a rank that no target layer can have."""
    sizes = {
        name: min(module.weight.shape)
        for name, module in base.named_modules()
        if getattr(getattr(module, "weight", None), "ndim", 0) == 2
    }
    if list(targets) != ["all-linear"]:
        endings = sorted({name.rpartition(".")[2] for name in sizes})
        chosen: dict[str, int] = {}
        for target in targets:
            matches = {n: s for n, s in sizes.items() if n == target or n.endswith(f".{target}")}
            chosen |= matches
            if not matches:
                yield (
                    f"lora_targets: the base model has no layer {target}; its layers are "
                    f"{', '.join(endings)}"
                )
        sizes = chosen
    if sizes and rank > (most := max(sizes.values())):
        yield (
            f"lora_rank: {rank} is more than the rank {most} of the largest target layer; write at "
            f"most {most}"
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


def count_steps(recipe: Recipe, rows: int, processes: int = 0) -> int:
    """Return the optimizer steps of a training on so many rows (with packing: the most).

    As transformers' Trainer counts them: an incomplete last batch is a step, too. `processes`: how
    many train together; 0: those of this launch.
    """
    if not processes:
        from clinical_camel.sft_qlora import data_parallel  # imports torch

        processes = data_parallel.world_size()
    batches = math.ceil(rows / (recipe.batch_size * processes))
    return math.ceil(recipe.num_epochs * math.ceil(batches / recipe.gradient_accumulation_steps))
