"""Bytes by part: what lies in memory while a step trains, scores or generates.

Weights in NF4 with double quantisation (QLoRA, arXiv:2305.14314, section 3): half a byte a weight,
one byte for each block of 64, and 4 bytes for each 256 of those blocks. The adapter, its gradients
and its optimiser states are float32 (`sft_qlora.train`).
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from clinical_camel.estimate.shapes import Base, lora_shapes, saved_bytes
from clinical_camel.estimate.speed import Machine
from clinical_camel.estimate.work import Work

BLOCK, NESTED, CODES = 64, 256, 4 * (16 + 256 + 1)  # bitsandbytes: both code books and the offset
STATE_BLOCK, SMALL = 256, 4096  # of its 8-bit optimisers; smaller tensors keep 32-bit states
TILE_TOKENS, TILE_WORDS = 4096, 32768  # TRL 1.16 projects to the vocabulary in tiles of this size
ROOM = 0.1  # of the memory, for what an allocator cannot use: assumed
HEAD_COPIES = 4  # logits, their softmax in float32 and the gradients of both
HEAD_ROWS = 512  # models.scoring takes the softmax of so many positions at a time

Parts = dict[str, int]


def weights(base: Base, quantize: str, value: int) -> Parts:
    """The base as it is held; `value` is the size of a number that is not quantised."""
    parts = {"embeddings, head, norms": base.whole * value}
    if quantize == "nf4":
        blocks = [math.ceil(rows * columns / BLOCK) for rows, columns in base.linear]
        constants = sum(count + 4 * math.ceil(count / NESTED) + CODES for count in blocks)
        return {"base in NF4": base.linear_weights // 2, "its constants": constants} | parts
    if quantize == "int8":
        constants = 4 * sum(rows for rows, _ in base.linear)
        return {"base in int8": base.linear_weights, "its constants": constants} | parts
    return {"base": base.linear_weights * value} | parts


def optimizer_states(optimizer: str, shapes: Iterable[tuple[int, int]]) -> int:
    """What an optimiser keeps of matrices of these shapes.

    Adam: two numbers a weight, in 32 bit, or in 8 bit with a 32-bit scale for each block of 256.
    Adafactor: a row and a column of a matrix (arXiv:1804.04235). A paged optimiser keeps the same,
    and the driver may move it to the host's memory.
    """
    total = 0
    for rows, columns in shapes:
        size = rows * columns
        if optimizer == "adafactor":
            total += 4 * (rows + columns)
        elif "8bit" in optimizer and size >= SMALL:
            total += 2 * (size + 4 * math.ceil(size / STATE_BLOCK))
        elif optimizer != "sgd":
            total += 8 * size
    return total


def training(base: Base, params: Mapping[str, Any], work: Work, machine: Machine) -> Parts:
    """At the widest batch: `batch_size` rows as long as the longest."""
    rank, targets = params["lora_rank"], tuple(params["lora_targets"])
    shapes, value = lora_shapes(base, rank, targets), machine.value
    trained = sum(rows * columns for rows, columns in shapes)
    tokens = params["batch_size"] * (work.longest or params["max_length"])
    layer = saved_bytes(base, rank, targets, value)
    kept = layer * base.layers
    if again := again_computed(base, params["checkpointed_layers"]):  # their inputs, and one whole
        kept = base.config.hidden_size * value * again + layer * (base.layers - again + 1)
    tile = min(tokens, TILE_TOKENS) * min(base.config.vocab_size, TILE_WORDS) * machine.tiles
    if "trained_head" in params["speedups"]:
        tile = tokens * base.config.vocab_size * HEAD_COPIES  # at most: with a loss on every token
    return {
        "libraries": machine.libraries["train"],
        **weights(base, params["quantize"], value),
        "LoRA weights": 4 * trained,
        "gradients": 4 * trained,
        "optimiser states": optimizer_states(params["optimizer"], shapes),
        "activations": round(kept * tokens),
        "logits": tile * value,
        "one matrix dequantised": _widest(base, params["quantize"], value),
    }


def again_computed(base: Base, checkpointed_layers: int) -> int:
    """How many layers are computed again in the backward pass; -1 asks for all."""
    return base.layers if checkpointed_layers < 0 else min(checkpointed_layers, base.layers)


def least_checkpointed(
    base: Base, params: Mapping[str, Any], work: Work, machine: Machine
) -> int | None:
    """The fewest layers to compute again for a training to fit, ROOM left; None if none is few
    enough, or where the machine's memory is not known."""
    for layers in range(base.layers + 1) if machine.memory else ():
        parts = training(base, {**params, "checkpointed_layers": layers}, work, machine)
        if sum(parts.values()) <= (1 - ROOM) * machine.memory:
            return layers
    return None


def _widest(base: Base, quantize: str, value: int) -> int:
    return max(r * c for r, c in base.linear) * value if quantize == "nf4" else 0


def reading(base: Base, params: Mapping[str, Any], work: Work, machine: Machine) -> Parts:
    """For step 03: a batch of `token_budget` tokens after the shared examples, or of replies."""
    value, budget = machine.value, max(params["token_budget"], work.longest)
    cached = work.prefix + (budget if work.decode_steps else 0)
    logits = work.head_share * budget * value + 2 * 4 * min(HEAD_ROWS, budget)
    return {
        **_loaded(base, params, machine),
        "key-value cache": cached * base.cache_values * value,
        "one layer at work": round(budget * saved_bytes(base, 1, ("all-linear",), value)),
        "attention mask": budget * work.longest * value,
        "logits": round(logits * base.config.vocab_size),
    }


def writing(base: Base, params: Mapping[str, Any], work: Work, machine: Machine) -> Parts:
    """For step 04: as many prompts as `token_budget` allows, the new tokens counted in."""
    value, budget = machine.value, max(params["token_budget"], work.longest)
    return {
        **_loaded(base, params, machine),
        "key-value cache": budget * base.cache_values * value,
        "one layer at work": round(budget * saved_bytes(base, 1, ("all-linear",), value)),
        "logits": round(budget / max(1, work.longest)) * base.config.vocab_size * 4,
    }


def _loaded(base: Base, params: Mapping[str, Any], machine: Machine) -> Parts:
    """Base and adapters, the adapters as large as the study's own (`adapter_values`)."""
    count = sum(bool(folder) for folder in params["adapters"].values())
    return {
        "libraries": machine.libraries["read"],
        **weights(base, params["quantize"], machine.value),
        "adapters": 4 * count * params.get("adapter_values", 0),
        "one matrix dequantised": _widest(base, params["quantize"], machine.value),
    }
