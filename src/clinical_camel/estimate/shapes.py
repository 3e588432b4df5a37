"""A base model without its weights: parameters and activations, from its configuration alone.

The formulas hold for the architectures in FAMILIES and need no torch. Other architectures are
counted by `skeletons` on torch's meta device, which takes seconds to import. The tests compare both
on every model of shapes.json.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clinical_camel.core.base_models import find_folder
from clinical_camel.models import gate, limits
from clinical_camel.runner.jobs import PlanError

# From each model's public config.json; tests/estimate/test_shapes.py has the published totals.
SHAPES: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("shapes.json").read_text(encoding="utf-8")
)
FAMILIES = (*limits.LLAMA_TYPES, "bloom")  # architectures with formulas
LLAMA_LAYERS = limits.LLAMA_LAYERS

Matrix = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)  # by identity: a configuration has no hash
class Base:
    """A base model and its weight counts.

    `config`: the values of config.json. `linear`: shapes of the matrices that are quantized.
    `unquantized`: weights of embeddings, head and norms. `head`: weights of the LM head. `source`:
    where the shape comes from.
    """

    model: str
    source: str
    config: Mapping[str, Any]
    linear: tuple[Matrix, ...]
    unquantized: int
    head: int

    @property
    def parameters(self) -> int:
        return self.linear_weights + self.unquantized

    @property
    def linear_weights(self) -> int:
        return sum(rows * columns for rows, columns in self.linear)

    @property
    def layers(self) -> int:
        return _read_size(self.config, limits.LAYERS)

    @property
    def context(self) -> int:
        """Context length in tokens, as `models.load` computes it."""
        return limits.count_positions(self.config) or 2048

    @property
    def hidden_size(self) -> int:
        return _read_size(self.config, ("hidden_size", "n_embd", "d_model"))

    @property
    def vocabulary(self) -> int:
        """Number of tokens of which the head computes logits."""
        return self.head // self.hidden_size

    @property
    def heads(self) -> int:
        return _read_size(self.config, ("num_attention_heads", "n_head", "n_heads"))

    @property
    def key_value_heads(self) -> int:
        return self.config.get("num_key_value_heads") or self.heads

    @property
    def head_width(self) -> int:
        return self.config.get("head_dim") or self.hidden_size // self.heads

    @property
    def attention_width(self) -> int:
        """Width of the queries of a layer."""
        return self.heads * self.head_width

    @property
    def cache_values(self) -> int:
        """Numbers per token in the key-value cache."""
        return 2 * self.layers * self.key_value_heads * self.head_width


def _read_size(config: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """Return a size that configurations call by different names. Raises PlanError without it."""
    for name in names:
        if type(size := config.get(name)) is int and size > 0:
            return size
    raise PlanError(f"config.json: has no {names[0]}; use the config.json of the base model")


@functools.cache
def find_base(model: str, config_file: str = "", key: str = "model") -> Base:
    """Return the base model that a setting names. Raises PlanError if its shape is unknown.

    `key`: of the setting, for the error.
    """
    config, source, where = _load_config(model, config_file, key)
    if config.get("model_type") in FAMILIES and not has_other_biases(config):
        return _count_family(model, source, config)
    from clinical_camel.estimate import skeletons

    linear, unquantized, head = skeletons.count_weights(config, where)
    full = skeletons.make_config(config, where).to_dict()  # with the defaults of the architecture
    return Base(model, source, full, linear, unquantized, head)


def _load_config(model: str, config_file: str, key: str) -> tuple[dict[str, Any], str, str]:
    """Return the configuration, its source, and the setting that names it."""
    file = Path(config_file or find_folder(model) / "config.json")
    if config_file and not file.is_file():
        raise PlanError(f"--config: no file {config_file}; name a model's config.json")
    if file.is_file():
        where = f"--config {config_file}" if config_file else f"{key}: {model}"
        gate.require_no_problem(gate.check_config(file), where)
        return gate.read_config(file), config_file or "config.json", where
    if model in SHAPES:
        return SHAPES[model], "table of shapes", model
    remedy = "add --config path/to/config.json"
    if key != "model":  # --config is for the model of the step
        remedy = f"name the folder that has it in {key}"
    raise PlanError(
        f"{key}: the shape of {model} is unknown; download its config.json from the hub and "
        f"{remedy}. Known shapes: {', '.join(SHAPES)}"
    )


def has_other_biases(config: Mapping[str, Any]) -> bool:
    """Whether the linear layers have biases that the formulas do not count."""
    return bool(config.get("attention_bias") or config.get("mlp_bias"))


def _count_family(model: str, source: str, config: Mapping[str, Any]) -> Base:
    """Count a base model of FAMILIES."""
    empty = Base(model, source, config, (), 0, 0)
    hidden, kind = empty.hidden_size, config["model_type"]
    vocabulary = _read_size(config, ("vocab_size",))
    matrices = list_matrices(config)
    keys = empty.key_value_heads * empty.head_width
    embeddings = vocabulary * hidden
    if kind == "bloom":  # norms with a bias, one of them after the embeddings; tied head
        biases = sum(rows for rows, _ in matrices.values())
        unquantized = embeddings + 4 * hidden + empty.layers * (4 * hidden + biases)
    else:
        per_layer = 2 * hidden
        per_layer += (empty.attention_width + 2 * keys) * (kind == "qwen2")  # biases
        per_layer += 2 * empty.head_width * (kind == "qwen3")  # norms of queries and keys
        is_tied = config.get("tie_word_embeddings", False)
        unquantized = embeddings * (1 if is_tied else 2) + hidden + empty.layers * per_layer
    linear = tuple(matrices.values()) * empty.layers
    return Base(model, source, config, linear, unquantized, embeddings)


def list_matrices(config: Mapping[str, Any]) -> dict[str, Matrix]:
    """Return the linear layers of one layer of a model of FAMILIES: name, rows and columns."""
    base = Base("", "", config, (), 0, 0)
    hidden = base.hidden_size
    if config["model_type"] == "bloom":
        return {
            "query_key_value": (3 * hidden, hidden),
            "dense": (hidden, hidden),
            "dense_h_to_4h": (4 * hidden, hidden),
            "dense_4h_to_h": (hidden, 4 * hidden),
        }
    queries, keys = base.attention_width, base.key_value_heads * base.head_width
    inner = _read_size(config, ("intermediate_size",))
    return {
        "q_proj": (queries, hidden),
        "k_proj": (keys, hidden),
        "v_proj": (keys, hidden),
        "o_proj": (hidden, queries),
        "gate_proj": (inner, hidden),
        "up_proj": (inner, hidden),
        "down_proj": (hidden, inner),
    }


def _has_formulas(base: Base) -> bool:
    return base.config.get("model_type") in FAMILIES and not has_other_biases(base.config)


@functools.cache
def list_lora_shapes(base: Base, rank: int, targets: tuple[str, ...]) -> tuple[Matrix, ...]:
    """Return the shapes of all LoRA matrices. Raises PlanError for layers that do not exist."""
    matrices = list_matrices(base.config) if _has_formulas(base) else {}
    chosen = list(matrices) if targets == ("all-linear",) else list(targets)
    most = max((min(matrices[name]) for name in chosen if name in matrices), default=0)
    if not matrices or not set(chosen) <= set(matrices) or rank > most:
        from clinical_camel.estimate import skeletons

        return skeletons.list_lora_shapes(base.config, base.layers, rank, targets)
    ordered = (matrices[name] for name in matrices if name in chosen)
    pairs = [((rank, columns), (rows, rank)) for rows, columns in ordered]
    return tuple(shape for pair in pairs for shape in pair) * base.layers


@functools.cache
def count_activation_bytes(
    base: Base,
    rank: int,
    targets: tuple[str, ...],
    number_size: int,
    fused: bool = True,
    mask_length: int = 0,
    row: int = 0,
) -> float:
    """Return the bytes that one layer with LoRA saves per token for the backward pass.

    `number_size` is 4 for float32 and 2 for bfloat16, whose norms still compute in float32.
    `fused`: with the speedup fused_lora. `mask_length`: tokens of a row whose attention has a mask,
    as packed rows have; 0 for none. `row`: tokens of a row, which count for eager attention only.
    """
    names = set(LLAMA_LAYERS if targets == ("all-linear",) else targets)
    is_llama = base.config.get("model_type") in limits.LLAMA_TYPES and _has_formulas(base)
    if not is_llama or not names <= set(LLAMA_LAYERS):
        from clinical_camel.estimate import skeletons

        return skeletons.count_activation_bytes(base.config, rank, targets, number_size, row)
    size, hidden, inner = number_size, base.hidden_size, base.config["intermediate_size"]
    queries, keys = base.attention_width, base.key_value_heads * base.head_width
    inputs = (  # of the layers with LoRA, their width and their readers; others save no input
        (hidden, names & {"q_proj", "k_proj", "v_proj"}),
        (hidden, names & {"gate_proj", "up_proj"}),
        (inner, names & {"down_proj"}),
    )
    norms = 2 * (4 * hidden + 4)  # input in float32, reciprocal of its norm
    if base.config["model_type"] == "qwen3":
        norms += 4 * (queries + keys + base.heads + base.key_value_heads)
    # with a mask, transformers repeats keys and values for each head, and torch saves the mask
    repeated = queries if mask_length else keys
    attention = size * (2 * queries + 2 * repeated + mask_length) + 4 * base.heads
    mlp = 3 * size * inner  # gate, its activation, up
    lora = size * rank * len(names)
    lora += sum(size * width for width, readers in inputs if readers)
    if not fused and size < 4:  # PEFT converts the input of each layer to float32 and back
        copies = (*inputs, (queries, names & {"o_proj"}))
        lora += sum(size * width * len(readers) for width, readers in copies)
    return norms + attention + mlp + lora
