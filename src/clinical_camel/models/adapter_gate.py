"""The gate for every adapter folder: checked before a library opens it, without torch.

It needs no base: `adapters` compares an adapter with its base, matrix by matrix.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clinical_camel.core.paths import find_producer, relative, root
from clinical_camel.models.gate import check_patterns, read_config
from clinical_camel.models.weights import (
    FLOATS,
    DamagedFileError,
    Tensor,
    is_zero,
    read_header,
    scan,
)

BASE_RECORD = "base_model.json"  # in an adapter folder: the base that it was trained on
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MATRIX = re.compile(r"base_model\.model\.(.+)\.lora_(?:embedding_)?([AB])(?:\.weight)?")
# PEFT options that change the base, run other code, or are no matrices of the base itself.
REFUSED = ("bias", "layer_replication", "megatron_config", "arrow_config")
REFUSED += ("alora_invocation_tokens",)
INITIAL = (True, False, None, "gaussian", "orthogonal", "eva")  # others change the base's weights
LARGEST = 2**20  # rank or alpha
LARGEST_SCALE = 100.0  # of the update BA; papers use 0.25 to 32


def check_adapter_folder(folder: Path) -> Iterator[str]:
    """Yield every problem of an adapter's files that can be seen without its base."""
    file = folder / ADAPTER_WEIGHTS
    if not file.is_file():
        yield f"has no {ADAPTER_WEIGHTS}; {_suggest_run(folder)}"
        return
    try:
        config = read_config(folder / ADAPTER_CONFIG)
        begin, tensors = read_header(file)
    except DamagedFileError as error:
        text = str(error)
        yield text if text.startswith(ADAPTER_CONFIG) else f"{file.name}: {text}; make it again"
        return
    if config.get("peft_type") != "LORA":
        yield f"{ADAPTER_CONFIG}: peft_type is {config.get('peft_type')!r}; only LORA can be used"
        return
    if problems := list(_check_options(config)):
        yield from problems
        return
    if not any(".lora_B." in name for name in tensors):
        size = file.stat().st_size
        yield f"{file.name}: has no LoRA matrix ({size} bytes): it changes nothing; make it again"
        return
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            yield f"{file.name}: {name} has numbers of type {tensor.dtype}; make it again"
            return
    yield from _check_layers(config, tensors)
    if problem := scan(file)[1]:
        yield f"{file.name}: {problem}; train again with a lower learning_rate"
    elif all(is_zero(file, begin, tensors[name]) for name in tensors if ".lora_B." in name):
        yield (  # as LoRA starts (Hu et al. 2021, section 4.1)
            f"{file.name}: every lora_B is zero: it learned nothing; train again with a higher "
            "learning_rate or more num_epochs"
        )


def _suggest_run(folder: Path) -> str:
    """Return what to do about an adapter that is missing."""
    producer = find_producer(relative(root() / folder))
    if producer and folder.name == "adapter" and not folder.exists():
        return f"make it: python -m clinical_camel run {producer[0]} {producer[1][:2]}"
    return "other weight files are not opened"


def _check_options(config: Mapping[str, Any]) -> Iterator[str]:
    for name in REFUSED:
        if config.get(name) and config[name] != "none":
            yield f"{ADAPTER_CONFIG}: {name} is not supported; merge it into its base elsewhere"
    if config.get("init_lora_weights", True) not in INITIAL:
        yield (
            f"{ADAPTER_CONFIG}: init_lora_weights {config['init_lora_weights']!r} changes the "
            "base; convert the adapter to plain LoRA with PEFT"
        )
    yield from check_patterns(config, ADAPTER_CONFIG)
    numbers = {name: config.get(name) for name in ("r", "lora_alpha")}
    for name in ("rank_pattern", "alpha_pattern"):
        patterns = config.get(name) or {}
        if not isinstance(patterns, dict):
            yield f"{ADAPTER_CONFIG}: {name} is {patterns!r}, not a mapping; make it again"
            return
        numbers |= {f"{name}: {pattern}": value for pattern, value in patterns.items()}
    for name, value in numbers.items():
        types, kind = ((int,), "whole number") if name[0] == "r" else ((int, float), "number")
        if type(value) not in types or not 0 < value <= LARGEST:
            yield f"{ADAPTER_CONFIG}: {name} is {value!r}, not a {kind} above 0, at most {LARGEST}"


def _check_layers(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield a pattern that fits no layer, and the first layer with another rank or an absurd scale.

    Experts in one tensor (`target_parameters`) have joined matrices: `adapters` checks those.
    """
    matrices = {name: match for name in tensors if (match := MATRIX.fullmatch(name))}
    layers, joined = {match[1] for match in matrices.values()}, config.get("target_parameters")
    for key in () if joined else ("rank_pattern", "alpha_pattern"):
        for pattern in config.get(key) or ():
            if not any(_fits(pattern, layer) for layer in layers):
                yield f"{ADAPTER_CONFIG}: {key}: {pattern} fits no layer of the adapter; delete it"
    for name, match in matrices.items():
        rank, alpha = (
            next((v for p, v in (config.get(key) or {}).items() if _fits(p, match[1])), config[own])
            for key, own in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha"))
        )
        shape, axis = tensors[name].shape, 0 if match[2] == "A" else 1
        if not joined and len(shape) > 1 and shape[axis] != rank:
            yield f"{ADAPTER_CONFIG}: r is {rank}, but {name} has rank {shape[axis]}; make it again"
            return
        scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
        if scale > LARGEST_SCALE:
            yield (
                f"{ADAPTER_CONFIG}: lora_alpha {alpha!r} at r {rank} would scale the update of "
                f"{match[1]} by {scale:g}, more than {LARGEST_SCALE:g}"
            )
            return


def _fits(pattern: str, layer: str) -> bool:
    """Whether PEFT applies a pattern to a layer (`get_pattern_key`, read in 0.21.2)."""
    return bool(re.match(rf"(.*\.)?({pattern})$", layer))


def adapter_base(folder: Path) -> dict[str, str]:
    """Return what an adapter folder records about its base, by name.

    `model` is the base's name; adapters of step 02 also have model_sha256 or model_revision,
    config_sha256, tokenizer_sha256, template_sha256 and quantize. Returns {} if nothing is
    recorded.
    """
    record = _read_mapping(folder / BASE_RECORD)
    name = _read_mapping(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    return {"model": str(name)} | record if name else record


def _read_mapping(file: Path) -> dict[str, Any]:
    try:
        return read_config(file)
    except DamagedFileError:
        return {}
