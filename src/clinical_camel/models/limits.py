"""What the files of a base model rule out, for settings, before a kernel starts; no torch.

Only a model in a folder, or the shipped one, can be read. A hub model is checked when it is loaded,
with its configuration as `config`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clinical_camel.core.base_models import find_folder
from clinical_camel.core.files import read_json
from clinical_camel.core.values import nearest, show
from clinical_camel.models.templates import REPLY_ENDS

MAX_CONFIG = 10**6  # bytes; a larger config.json is refused when the model is loaded
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")  # their number in config.json
POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
GENERATION = re.compile(r"{%-?\s*generation\b")  # the mark of a reply in a chat template
LLAMA_TYPES = ("llama", "mistral", "qwen2", "qwen3")
LLAMA_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
OTHER_LAYERS = (
    *("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h", "c_attn", "c_proj", "c_fc"),
    *("qkv_proj", "gate_up_proj", "fc1", "fc2", "out_proj", "Wqkv", "in_proj", "x_proj", "lm_head"),
)


Config = Mapping[str, Any]


def count_positions(config: Config) -> int:
    """Return the context length in a configuration, in tokens; 0 if it has none."""
    return _find_size(config, POSITIONS)


def _find_size(config: Config, names: Sequence[str]) -> int:
    sizes = (config.get(name) for name in names)
    return next((size for size in sizes if type(size) is int and size > 0), 0)


def check_length(model: str, key: str, tokens: int, config: Config | None = None) -> Iterator[str]:
    """Yield why a number of tokens, the setting `key`, exceeds the context of the base model."""
    positions = count_positions(config or _read_config(model))
    if positions and tokens > positions:
        yield f"{key}: {tokens} is more than the {positions} tokens that {model} can read"


def check_layer_count(
    model: str, key: str, count: int, config: Config | None = None
) -> Iterator[str]:
    """Yield why a number of layers, the setting `key`, exceeds that of the base model."""
    layers = _find_size(config or _read_config(model), LAYERS)
    if layers and count > layers:
        yield f"{key}: {count} is more than the {layers} layers of {model}; write -1 for all"


def check_reply_end(model: str, chat_template: str) -> Iterator[str]:
    """Yield why a template does not fit: the tokenizer lacks the token that ends a reply."""
    end, file = REPLY_ENDS.get(chat_template), find_folder(model) / "tokenizer.json"
    if end and file.is_file() and end not in file.read_text(encoding="utf-8", errors="replace"):
        yield f"chat_template: {chat_template} ends a reply with {end}, no token of {model}"


def check_reply_marks(model: str, chat_template: str) -> Iterator[str]:
    """Yield that a model's own template marks no reply, if none of ours replaces it.

    Training needs the marks: without them nothing tells which tokens have loss.
    """
    file = find_folder(model) / "chat_template.jinja"
    if chat_template or not file.is_file() or file.stat().st_size > MAX_CONFIG:
        return
    if not GENERATION.search(file.read_text(encoding="utf-8", errors="replace")):
        yield (
            f'chat_template: "" is the template of {model}, which marks no reply for the loss '
            "({% generation %}); write one of ours, such as chatml"
        )


def check_layers(model: str, names: Sequence[str]) -> Iterator[str]:
    """Yield layers for LoRA that the base model does not have.

    PEFT trains the layers that it finds and passes over other names. For a hub model only a name
    that looks misspelt is a problem.
    """
    is_llama = _read_config(model).get("model_type") in LLAMA_TYPES
    layers = LLAMA_LAYERS if is_llama else LLAMA_LAYERS + OTHER_LAYERS
    for name in names:
        hint = nearest(name, layers)
        is_layer = name == "all-linear" or name.rpartition(".")[2] in layers
        if not is_layer and (is_llama or "did you mean" in hint):
            yield f"lora_targets: the base model has no layer {show(name)}{hint}"


def _read_config(model: str) -> dict[str, Any]:
    file = find_folder(model) / "config.json"
    return read_json(file) if file.is_file() and file.stat().st_size < MAX_CONFIG else {}
