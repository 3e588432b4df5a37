"""The gate for every model and adapter folder: checked before a library opens it, without torch.

Names, sizes and configurations of files have to agree. `check_*` returns the problems, each with
its file and a remedy; `require_*` raises ModelError. What only the built model can tell (the shape
of each tensor, missing tensors) is in `loading` and `adapters`.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clinical_camel.models.weights import (
    FLOATS,
    DamagedFileError,
    Tensor,
    is_zero,
    read_header,
    scan,
)

SMALL_JSON, LARGE_JSON = 1_000_000, 150_000_000  # bytes: a configuration; a vocabulary
DEPTH = 32  # of nested lists and mappings in a configuration
AGAIN = "download or make the folder again"
BASE_RECORD = "base_model.json"  # in an adapter folder: the base that it was trained on
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
INDEX = "model.safetensors.index.json"
VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "n_shared_experts")
POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
# The names of a size in config.json, and the largest value that is taken for serious.
SIZES = {
    LAYERS: 1000,
    ("hidden_size", "n_embd", "d_model", "intermediate_size", "n_inner", "head_dim"): 2**20,
    ("num_attention_heads", "n_head", "n_heads", "num_key_value_heads"): 4096,
    EXPERTS: 4096,
    ("vocab_size",): 2**24,
    POSITIONS: 2**28,
}
OTHER_PARTS = re.compile(r"vision|visual|audio|image")  # encoders, with layers of their own
# PEFT options that change the base, run other code, or are no matrices of the base itself.
REFUSED = ("layer_replication", "megatron_config", "alora_invocation_tokens", "arrow_config")
INITIAL = (True, False, None, "gaussian", "orthogonal", "eva")  # others change the base's weights
LARGEST_SCALE = 100.0  # of the update BA; papers use 0.25 to 32


class ModelError(ValueError):
    """A model, adapter or template that cannot be used, with the reason and the remedy."""


def require_model_folder(folder: Path, name: str) -> None:
    """Raise ModelError with the name of the model and its first problem."""
    for problem in check_model_folder(folder):
        raise ModelError(f"{name}: {problem}")


def require_config(folder: Path, name: str) -> None:
    """Raise ModelError with the name of the model and the first problem of its config.json."""
    try:
        problems = list(_check_sizes(read_config(folder / "config.json")))
    except DamagedFileError as error:
        problems = [str(error)]
    for problem in problems:
        raise ModelError(f"{name}: {problem}")


def require_adapter_folder(folder: Path, name: str) -> None:
    """Raise ModelError with the name of the adapter and its first problem."""
    for problem in check_adapter_folder(folder):
        raise ModelError(f"{name}: {problem}")


def check_model_folder(folder: Path) -> Iterator[str]:
    """Yield every problem of a model's files that can be seen without reading the weights."""
    config = None
    try:
        config = read_config(folder / "config.json")
        yield from _check_sizes(config)
        headers = read_headers(folder)
    except DamagedFileError as error:
        yield str(error)
        return
    yield from _check_tensors(config, headers)
    yield from check_tokenizer_folder(folder)


def check_tokenizer_folder(folder: Path) -> Iterator[str]:
    """Yield every problem of a tokenizer's files."""
    if not any((folder / name).is_file() for name in VOCABULARIES):
        yield f"no tokenizer: none of {', '.join(VOCABULARIES)} is in the folder; {AGAIN}"
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        try:
            if (folder / name).is_file():
                read_config(folder / name)
        except DamagedFileError as error:
            yield str(error)
    for name in ("tokenizer.json", "vocab.json"):
        try:
            if (folder / name).is_file():
                _read_json(folder / name, LARGE_JSON)
        except DamagedFileError as error:
            yield str(error)


def read_config(file: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file of limited size and depth. Raises DamagedFileError."""
    config = _read_json(file, SMALL_JSON)
    if not isinstance(config, dict):
        raise DamagedFileError(f"{file.name}: is not a mapping; {AGAIN}")
    if _is_deeper(config, DEPTH):
        raise DamagedFileError(f"{file.name}: is nested more than {DEPTH} deep; {AGAIN}")
    return config


def _read_json(file: Path, limit: int) -> Any:
    if not file.is_file():
        raise DamagedFileError(f"{file.name}: is missing; {AGAIN}")
    if (size := file.stat().st_size) > limit:
        raise DamagedFileError(f"{file.name}: has {size} bytes, more than {limit}; {AGAIN}")
    try:
        return json.loads(file.read_bytes().decode("utf-8"))  # as the libraries read it
    except RecursionError:
        raise DamagedFileError(f"{file.name}: is nested too deep; {AGAIN}") from None
    except ValueError as error:
        raise DamagedFileError(f"{file.name}: is not JSON ({error}); {AGAIN}") from None
    except OSError as error:
        raise DamagedFileError(f"{file.name}: cannot be read ({error.strerror})") from error


def _is_deeper(value: Any, depth: int) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(items) and (depth == 0 or any(_is_deeper(item, depth - 1) for item in items))


# ------------------------------------------------------------------------------- a model's files


def _check_sizes(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield sizes in config.json that no model has; a text model inside a larger one, too."""
    limits = {name: limit for names, limit in SIZES.items() for name in names}
    for part in (config, *(part for part in config.values() if isinstance(part, dict))):
        for name, value in part.items():
            limit = limits.get(name)
            if limit is None or value is None or isinstance(value, list):
                continue  # a list has one value for each layer
            least = 0 if name in EXPERTS else 1  # 0: a dense model of a family with experts
            if type(value) is not int or not least <= value <= limit:
                yield (
                    f"config.json: {name} is {value!r}, not a whole number from {least} to "
                    f"{limit}; {AGAIN}"
                )


def list_weight_files(folder: Path) -> list[Path]:
    """Return the files that transformers reads: one file, or the parts that an index names.

    Raises DamagedFileError for a missing part, and for weights in other formats only.
    """
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    if not (folder / INDEX).is_file():
        others = [file.name for file in folder.glob("*.safetensors")]
        present = f"only {', '.join(sorted(others)[:3])}" if others else "no .safetensors at all"
        raise DamagedFileError(
            f"model.safetensors: is missing, there is {present}; other weight files are not "
            f"opened; {AGAIN}"
        )
    names = set(_read_index(folder).values())
    for name in sorted(names):
        if not re.fullmatch(r"[\w.-]+\.safetensors", name) or not (folder / name).is_file():
            raise DamagedFileError(f"{INDEX}: names {name!r}, which is not in the folder; {AGAIN}")
    return [folder / name for name in sorted(names)]


def _read_index(folder: Path) -> dict[str, str]:
    index = _read_json(folder / INDEX, LARGE_JSON)
    files = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(files, dict) or not files or not all(type(f) is str for f in files.values()):
        raise DamagedFileError(f"{INDEX}: has no weight_map from tensors to files; {AGAIN}")
    return files


def read_headers(folder: Path) -> dict[str, Tensor]:
    """Return every tensor of a model by name. Raises DamagedFileError, with the file's name."""
    tensors: dict[str, Tensor] = {}
    files = list_weight_files(folder)
    for file in files:
        try:
            _, parts = read_header(file)
        except DamagedFileError as error:
            raise DamagedFileError(f"{file.name}: {error}; {AGAIN}") from error
        if doubles := sorted(tensors.keys() & parts.keys()):
            raise DamagedFileError(f"{file.name}: {doubles[0]} is in another file, too; {AGAIN}")
        tensors |= parts
    if files[0].name != "model.safetensors":
        lost = sorted(_read_index(folder).keys() - tensors)
        if lost:
            raise DamagedFileError(f"{INDEX}: names {lost[0]}, which no file contains; {AGAIN}")
    if not tensors:
        raise DamagedFileError(f"{files[0].name}: has no tensor; {AGAIN}")
    return tensors


def _check_tensors(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield where tensors contradict config.json; a quantized model may have integer weights."""
    if config.get("quantization_config") is None:
        for name, tensor in tensors.items():
            if name.endswith(".weight") and tensor.dtype not in FLOATS:
                yield (
                    f"{name} has numbers of type {tensor.dtype}, and config.json has no "
                    f"quantization_config; {AGAIN}"
                )
                break
    texts = (name for name in tensors if not OTHER_PARTS.search(name))
    numbers = (re.search(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.", name) for name in texts)
    layers = max((int(match[1]) + 1 for match in numbers if match), default=0)
    wanted = next((config[name] for name in LAYERS if name in config), layers)
    extra = config.get("num_nextn_predict_layers") or 0  # read by other programs only
    if layers and type(wanted) is int and layers not in (wanted, wanted + extra):
        yield f"config.json: has {wanted} layers, the weights have {layers}; {AGAIN}"


def require_finite(folder: Path, name: str) -> None:
    """Read all weights of a model once; raise ModelError for the first NaN or infinity."""
    for file in list_weight_files(folder):
        if problem := scan(file)[1]:
            raise ModelError(f"{name}: {file.name}: {problem}; {AGAIN}")


# ----------------------------------------------------------------------------- an adapter's files


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
    yield from _check_options(config)
    if not any(".lora_B." in name for name in tensors):
        size = file.stat().st_size
        yield f"{file.name}: has no LoRA matrix ({size} bytes): it changes nothing; make it again"
        return
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            yield f"{file.name}: {name} has numbers of type {tensor.dtype}; make it again"
            return
    yield from _check_ranks(config, tensors)
    if problem := scan(file)[1]:
        yield f"{file.name}: {problem}; train again with a lower learning_rate"
    elif all(is_zero(file, begin, tensors[name]) for name in tensors if ".lora_B." in name):
        yield f"{file.name}: every lora_B is zero: it changes nothing; train it"


def _suggest_run(folder: Path) -> str:
    """Return what to do about an adapter that is missing."""
    *_, outputs, study, step, name = ("", "", "", *folder.parts)
    if outputs == "outputs" and name == "adapter" and not folder.exists():
        return f"make it: python -m clinical_camel run {study} {step[:2]}"
    return "other weight files are not opened"


def _check_options(config: Mapping[str, Any]) -> Iterator[str]:
    for name in REFUSED:
        if config.get(name):
            yield f"{ADAPTER_CONFIG}: {name} is not supported; merge it into its base elsewhere"
    if config.get("init_lora_weights", True) not in INITIAL:
        yield (
            f"{ADAPTER_CONFIG}: init_lora_weights {config['init_lora_weights']!r} changes the "
            "base; convert the adapter to plain LoRA with PEFT"
        )
    yield from _check_patterns(config)
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or rank < 1:
        yield f"{ADAPTER_CONFIG}: r is {rank!r}, not a whole number from 1"
        return
    divisor = math.sqrt(rank) if config.get("use_rslora") else rank
    scale = alpha / divisor if type(alpha) in (int, float) else math.nan
    if not 0 < scale <= LARGEST_SCALE:
        yield (
            f"{ADAPTER_CONFIG}: lora_alpha {alpha!r} at r {rank} would scale the update by "
            f"{scale:g}, not by 0 to {LARGEST_SCALE:g}"
        )


def _check_patterns(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a rank or alpha of some layers that is no number, or a pattern that could take forever.

    PEFT compares each pattern with the name of each layer. One without brackets ends soon.
    """
    for key, largest in (("rank_pattern", 2**16), ("alpha_pattern", 2**20)):
        patterns = config.get(key) or {}
        if not isinstance(patterns, dict):
            yield f"{ADAPTER_CONFIG}: {key} is {patterns!r}, not a mapping; make it again"
            continue
        for name, value in patterns.items():
            if len(name) > 200 or re.search(r"[(\[{+]|\*.*\*", name):
                yield f"{ADAPTER_CONFIG}: {key}: {name[:60]!r} is too complex; name the layers"
            elif type(value) not in (int, float) or not 0 < value <= largest:
                yield f"{ADAPTER_CONFIG}: {key}: {name} has {value!r}, not 0 to {largest}"


def _check_ranks(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield the first matrix whose rank is not that of adapter_config.json.

    Experts in one tensor (`target_parameters`) have joined matrices: `adapters` checks those.
    """
    if config.get("target_parameters"):
        return
    ranks = {config.get("r"), *(config.get("rank_pattern") or {}).values()}
    for name, tensor in tensors.items():
        axis = 0 if ".lora_A." in name else 1 if ".lora_B." in name else None
        if axis is not None and len(tensor.shape) == 2 and tensor.shape[axis] not in ranks:
            yield (
                f"{ADAPTER_CONFIG}: r is {config.get('r')}, but {name} has rank "
                f"{tensor.shape[axis]}; make it again"
            )
            return


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
