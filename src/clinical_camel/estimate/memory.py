"""Bytes in memory by part, while a step trains, scores or generates.

Weights in NF4 with double quantization (QLoRA, arXiv:2305.14314, section 3): half a byte per
weight, one byte per block of 64, and 4 bytes per 256 of those blocks. The adapter, its gradients
and its optimizer states are float32 (`sft_qlora.train`).
"""

import math
from collections.abc import Iterable

from clinical_camel import dbke, eval_fewshot, note_synthesis, sft_qlora
from clinical_camel.estimate.shapes import Base, count_activation_bytes, list_lora_shapes
from clinical_camel.estimate.speed import Machine
from clinical_camel.estimate.work import Work

# bitsandbytes: weights per block, blocks per nested block, and both code books with the offset
BLOCK, NESTED_BLOCK, CODE_BOOKS = 64, 256, 4 * (16 + 256 + 1)
# bitsandbytes' 8-bit optimizers: weights per block; smaller tensors have 32-bit states
STATE_BLOCK, MIN_8BIT = 256, 4096
TILE_TOKENS, TILE_WORDS = 4096, 32768  # TRL 1.16 computes logits in tiles of this size
RESERVE = 0.1  # share of the memory that an allocator cannot use: assumed
HEAD_BYTES = 12  # per logit in the loss: its log-softmax and two gradients, in float32
HEAD_ROWS = 512  # positions whose softmax models.scoring computes at a time

Parts = dict[str, int]


def estimate_weights(base: Base, quantize: str, number_size: int) -> Parts:
    """Return the bytes of the loaded base model; `number_size` is that of unquantized weights."""
    parts = {"embeddings, head, norms": base.unquantized * number_size}
    if quantize == "nf4":
        blocks = [math.ceil(rows * columns / BLOCK) for rows, columns in base.linear]
        constants = sum(n + 4 * math.ceil(n / NESTED_BLOCK) + CODE_BOOKS for n in blocks)
        return {
            "base in NF4": base.linear_weights // 2,
            "quantization constants": constants,
        } | parts
    if quantize == "int8":
        constants = 4 * sum(rows for rows, _ in base.linear)
        return {"base in int8": base.linear_weights, "quantization constants": constants} | parts
    return {"base": base.linear_weights * number_size} | parts


def estimate_optimizer_states(optimizer: str, shapes: Iterable[tuple[int, int]]) -> int:
    """Return the bytes of the optimizer states of matrices of these shapes.

    Adam: two numbers per weight, in 32 bit, or in 8 bit with a 32-bit scale per block of 256.
    Adafactor: a row and a column per matrix (arXiv:1804.04235). A paged optimizer has the same
    states, and the driver may move them to main memory.
    """
    total = 0
    for rows, columns in shapes:
        size = rows * columns
        if optimizer == "adafactor":
            total += 4 * (rows + columns)
        elif "8bit" in optimizer and size >= MIN_8BIT:
            total += 2 * (size + 4 * math.ceil(size / STATE_BLOCK))
        elif optimizer != "sgd":
            total += 8 * size
    return total


def estimate_training(base: Base, recipe: sft_qlora.Recipe, work: Work, machine: Machine) -> Parts:
    """Return the bytes for the largest batch: `batch_size` rows as long as the longest row.

    They are those of the moment with most of them: the loss, or the start or the end of the
    backward pass through the layers that are recomputed, or through those that are not. `walk`
    counts the same on the real operations; the tests compare both.
    """
    parts = estimate_trained_model(base, recipe, machine)
    moments = _list_moments(base, recipe, work, machine, parts["LoRA weights"])
    return parts | max(moments, key=lambda moment: sum(moment.values()))


def estimate_trained_model(base: Base, recipe: sft_qlora.Recipe, machine: Machine) -> Parts:
    """Return the bytes that a training needs between its steps."""
    shapes = list_lora_shapes(base, recipe.lora_rank, tuple(recipe.lora_targets))
    return {
        "libraries": machine.libraries["training"],
        **estimate_weights(base, recipe.quantize, machine.number_size),
        "LoRA weights": 4 * sum(rows * columns for rows, columns in shapes),
        "optimizer states": estimate_optimizer_states(recipe.optimizer, shapes),
    }


def _list_moments(
    base: Base, recipe: sft_qlora.Recipe, work: Work, machine: Machine, gradients: int
) -> list[Parts]:
    """Return what a training step stores beside the model, at each moment that may have most."""
    size, row = machine.number_size, work.longest_row or recipe.max_length
    tokens, checkpointed = recipe.batch_size * row, count_checkpointed(recipe, base.layers)
    length = tokens if recipe.packing else row  # TRL joins the packed rows of a batch into one
    per_token = count_activation_bytes(
        base,
        recipe.lora_rank,
        tuple(recipe.lora_targets),
        size,
        fused="fused_lora" in recipe.speedups,
        mask_length=length if has_mask(recipe) else 0,
        row=row,
    )
    layer = round(tokens * per_token)
    inputs = tokens * size * base.hidden_size * checkpointed  # of the layers that are recomputed
    others = layer * (base.layers - checkpointed) + tokens * (4 + size) * base.hidden_size
    widest = tokens * size * max(rows for rows, _ in base.linear)
    if "target_tail" in recipe.speedups and checkpointed < base.layers:
        others -= round((1 - work.target_share) * 4 * widest)  # the last MLP, for targets only
    backward = {
        "activation gradients": 2 * widest,  # of the widest activation and of the one before it
        "one dequantized matrix": _largest_matrix(base, recipe.quantize, machine),
    }
    share = 1 - checkpointed / base.layers  # of the gradients that exist when recomputing starts
    last = layer if checkpointed else 0
    return [
        {"activations": inputs + others, "logits": _estimate_logits(base, recipe, work, machine)},
        {"activations": inputs + others, **backward},
        {
            "activations": inputs + last,
            **backward,
            "gradients": round(share * gradients),
        },
        {"activations": layer, **backward, "gradients": gradients},
    ]


def _estimate_logits(base: Base, recipe: sft_qlora.Recipe, work: Work, machine: Machine) -> int:
    """Return the bytes of the logits in the loss; with target_head, of target tokens only."""
    tokens = recipe.batch_size * (work.longest_row or recipe.max_length)
    if "target_head" in recipe.speedups or recipe.prompt_weight:
        share = 1.0 if recipe.prompt_weight else work.target_share  # it weighs all tokens
        return round(share * tokens) * base.vocabulary * HEAD_BYTES
    tile = min(tokens, TILE_TOKENS) * min(base.vocabulary, TILE_WORDS)
    return tile * machine.logit_tiles * machine.number_size


def has_mask(recipe: sft_qlora.Recipe) -> bool:
    """Whether the attention of a batch has a mask: of packed rows, or of padding."""
    return recipe.packing or "causal_mask" not in recipe.speedups


def count_checkpointed(recipe: sft_qlora.Recipe, layers: int) -> int:
    """Return how many of the base's layers the backward pass recomputes."""
    count = recipe.gradient_checkpointing_layers
    return layers if count < 0 else min(count, layers)


def find_fewest_checkpointed(
    base: Base, recipe: sft_qlora.Recipe, work: Work, machine: Machine
) -> int | None:
    """Return the fewest layers to recompute so that the training fits and RESERVE stays free.

    None if no number is enough, or if the memory of the machine is unknown.
    """
    for layers in range(base.layers + 1) if machine.memory else ():
        changed = recipe.model_copy(update={"gradient_checkpointing_layers": layers})
        parts = estimate_training(base, changed, work, machine)
        if sum(parts.values()) <= (1 - RESERVE) * machine.memory:
            return layers
    return None


def _largest_matrix(base: Base, quantize: str, machine: Machine) -> int:
    return max(r * c for r, c in base.linear) * machine.number_size if quantize == "nf4" else 0


def estimate_scoring(
    base: Base, design: eval_fewshot.Design, work: Work, machine: Machine, adapter_weights: int = 0
) -> Parts:
    """Return the bytes for batches of `token_budget` tokens after a shared prefix, or of replies.

    `adapter_weights`: LoRA weights of all loaded adapters.
    """
    at_once = machine.batches_at_once
    size, budget = machine.number_size, max(design.token_budget, work.longest_row)
    cached = work.shared_prefix + (at_once * budget if work.decode_steps else 0)
    logits = work.logit_share * budget * size + 2 * 4 * min(HEAD_ROWS, budget)
    return {
        **_estimate_loaded(base, design.quantize, machine, adapter_weights),
        "key-value cache": cached * base.cache_values * size,
        "one layer's activations": at_once * _estimate_layer(base, budget, work.longest_row, size),
        "attention mask": at_once * budget * work.longest_row * size,
        "logits": at_once * round(logits * base.vocabulary),
    }


def estimate_generation(
    base: Base,
    settings: note_synthesis.NoteTask | dbke.Local,
    work: Work,
    machine: Machine,
    adapter_weights: int = 0,
) -> Parts:
    """Return the bytes for batches of as many prompts with new tokens as `token_budget` allows."""
    batch = estimate_replies(base, settings.token_budget, work.longest_row, machine.number_size)
    return {
        **_estimate_loaded(base, settings.quantize, machine, adapter_weights),
        **{part: machine.batches_at_once * size for part, size in batch.items()},
    }


def estimate_replies(base: Base, token_budget: int, longest_row: int, number_size: int) -> Parts:
    """Return the bytes of generated replies: of as many prompts with them as the budget allows."""
    budget = max(token_budget, longest_row)
    return {
        "key-value cache": budget * base.cache_values * number_size,
        "one layer's activations": _estimate_layer(base, budget, longest_row, number_size),
        "logits": round(budget / max(1, longest_row)) * base.vocabulary * 4,
    }


def _estimate_layer(base: Base, tokens: int, row: int, number_size: int) -> int:
    per_token = count_activation_bytes(base, 1, ("all-linear",), number_size, row=row)
    return round(tokens * per_token)


def _estimate_loaded(base: Base, quantize: str, machine: Machine, adapter_weights: int) -> Parts:
    return {
        "libraries": machine.libraries["inference"],
        **estimate_weights(base, quantize, machine.number_size),
        "adapters": 4 * adapter_weights,
        "one dequantized matrix": _largest_matrix(base, quantize, machine),
    }
