"""The gate for every model folder: checked before a library opens it, without torch.

Names, sizes and configurations of files have to agree. `check_*` returns the problems, each with
its file and a remedy; `require_*` raises ModelError. What only the built model can tell (the shape
of each tensor, missing tensors) is in `loading`. `adapter_gate` is the gate for adapters.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from clinical_camel.models.limits import LAYERS, POSITIONS
from clinical_camel.models.weights import (
    FLOATS,
    DamagedFileError,
    Tensor,
    read_header,
    scan,
)

SMALL_JSON, LARGE_JSON = 1_000_000, 150_000_000  # bytes: a configuration; a vocabulary
DEPTH = 32  # of nested lists and mappings in a configuration
AGAIN = "download or make the folder again"
INDEX = "model.safetensors.index.json"
VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "n_shared_experts")
TOKENIZER_CONFIGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
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
# Regular expressions that PEFT and transformers compare with the name of each layer.
PATTERNS = (
    *("rank_pattern", "alpha_pattern", "layers_pattern", "modules_to_save"),
    *("llm_int8_skip_modules", "modules_to_not_convert", "ignore", "dynamic"),
)


class ModelError(ValueError):
    """A model, adapter or template that cannot be used, with the reason and the remedy."""


def require_no_problem(problems: Iterable[str], name: str) -> None:
    """Raise ModelError with the name of a model or adapter and the first of its problems."""
    for problem in problems:
        raise ModelError(f"{name}: {problem}")


def check_config(file: Path) -> Iterator[str]:
    """Yield every problem of config.json alone."""
    try:
        yield from _check_sizes(read_config(file))
    except DamagedFileError as error:
        yield str(error)


def check_model_folder(folder: Path) -> Iterator[str]:
    """Yield every problem of a model's files that can be seen without reading the weights."""
    try:
        config = read_config(folder / "config.json")
        yield from _check_sizes(config)
        headers = read_headers(folder)
    except DamagedFileError as error:
        yield str(error)
        return
    yield from _check_quantization(config.get("quantization_config"), headers)
    yield from _check_layer_count(config, headers)
    yield from check_tokenizer_folder(folder)


def check_tokenizer_folder(folder: Path) -> Iterator[str]:
    """Yield every problem of a tokenizer's files."""
    if not any((folder / name).is_file() for name in VOCABULARIES):
        yield f"no tokenizer: none of {', '.join(VOCABULARIES)} is in the folder; {AGAIN}"
    for name in (*TOKENIZER_CONFIGS, "tokenizer.json", "vocab.json"):
        try:
            if not (folder / name).is_file():
                continue
            if name in TOKENIZER_CONFIGS:
                read_config(folder / name)
            else:
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
        text = file.read_bytes().decode("utf-8")  # as the libraries read it
        return json.loads(text, parse_constant=_parse_constant)
    except RecursionError:
        raise DamagedFileError(f"{file.name}: is nested too deep; {AGAIN}") from None
    except ValueError as error:
        raise DamagedFileError(f"{file.name}: is not JSON ({error}); {AGAIN}") from None
    except OSError as error:
        raise DamagedFileError(f"{file.name}: cannot be read ({error.strerror})") from error


def _parse_constant(name: str) -> float:
    """Return an infinity, which configurations of Mamba contain; NaN is in none."""
    if name == "NaN":
        raise ValueError("it has NaN")
    return float(name)


def _is_deeper(value: Any, depth: int) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(items) and (depth == 0 or any(_is_deeper(item, depth - 1) for item in items))


# ------------------------------------------------------------------------------- a model's files


def _check_sizes(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what no config.json of a model has: absurd sizes, code from elsewhere.

    A text model inside a larger one is checked, too.
    """
    for name in ("attn_implementation", "_attn_implementation"):
        if "/" in str(config.get(name)):
            yield f"config.json: {name} {config[name]!r} needs remote code; delete this line"
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
        others = [file.name for file in folder.glob("*.safetensors") if file.is_file()]
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


def _check_quantization(stored: Any, tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield where a quantization_config (None: there is none) and the weights contradict."""
    integers = [name for name, tensor in tensors.items() if tensor.dtype not in FLOATS]
    if stored is None:
        for name in [name for name in integers if name.endswith(".weight")][:1]:
            yield (
                f"{name} has numbers of type {tensors[name].dtype}, and config.json has no "
                f"quantization_config; {AGAIN}"
            )
        return
    if not isinstance(stored, dict) or type(stored.get("quant_method")) is not str:
        yield f"config.json: quantization_config names no quant_method; {AGAIN}"
        return
    if not integers:
        yield (
            f"config.json: quantization_config says {stored['quant_method']}, but all weights are "
            "ordinary floating-point numbers; delete quantization_config"
        )
    yield from check_patterns(stored, "config.json: quantization_config")


def _check_layer_count(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield that config.json and the weights differ in their number of layers."""
    texts = (name for name in tensors if not OTHER_PARTS.search(name))
    numbers = (re.search(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.", name) for name in texts)
    layers = max((int(match[1]) + 1 for match in numbers if match), default=0)
    wanted = next((config[name] for name in LAYERS if name in config), layers)
    extra = config.get("num_nextn_predict_layers") or 0  # read by other programs only
    if layers and type(wanted) is int and layers not in (wanted, wanted + extra):
        yield f"config.json: has {wanted} layers, the weights have {layers}; {AGAIN}"


def check_patterns(config: Mapping[str, Any], file: str) -> Iterator[str]:
    """Yield regular expressions that cannot be read, or could take forever on a layer's name.

    A repetition multiplies the time by the length of a name, an alternative doubles it.
    """
    texts = []
    for key in PATTERNS:
        value = config.get(key)
        values = value if isinstance(value, list | dict) else [value]
        texts += [(key, text) for text in values if isinstance(text, str)]
    for key, text in texts:
        cost = 50 ** len(re.findall(r"[*+?]", text)) * 2 ** text.count("|")
        if cost > 200_000 or len(text) > 200 or re.search(r"\)[*+?]|\{", text):
            yield f"{file}: {key}: {text[:60]!r} is too complex; name the layers"
            continue
        try:
            re.compile(f"({text})")
        except re.error as error:
            yield f"{file}: {key}: {text!r} is not a pattern ({error}); correct it"


def require_finite(folder: Path, name: str) -> None:
    """Read all weights of a model once; raise ModelError for the first NaN or infinity."""
    for file in list_weight_files(folder):
        if problem := scan(file)[1]:
            raise ModelError(f"{name}: {file.name}: {problem}; {AGAIN}")
