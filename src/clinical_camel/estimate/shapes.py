"""A base model without its weights: parameters and activations, from its real architecture.

The counts come from the modules of transformers and PEFT on torch's meta device, which stores
shapes and no data. No formula here can differ from the model that is loaded later.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from clinical_camel import models, sft_qlora
from clinical_camel.core.base_models import check_fetched, find_folder
from clinical_camel.models import gate
from clinical_camel.runner.jobs import PlanError

PROBE = 256  # tokens for which saved activations are counted; they grow linearly


# From each model's public config.json; tests/estimate/test_shapes.py has the published totals.
SHAPES: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("shapes.json").read_text(encoding="utf-8")
)


@dataclass(frozen=True, slots=True, eq=False)  # by identity: a configuration has no hash
class Base:
    """A base model and its weight counts.

    `linear`: shapes of the matrices that are quantized. `unquantized`: weights of embeddings, head
    and norms. `head`: weights of the LM head. `source`: where the shape comes from.
    """

    model: str
    source: str
    config: PretrainedConfig
    linear: tuple[tuple[int, int], ...]
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
        return self.config.num_hidden_layers

    @property
    def context(self) -> int:
        """Context length in tokens, as `models.load` computes it."""
        return models.find_context_length(self.config)

    @property
    def head_width(self) -> int:
        heads = self.config.num_attention_heads
        return getattr(self.config, "head_dim", None) or self.config.hidden_size // heads

    @property
    def attention_width(self) -> int:
        """Width of the queries of a layer."""
        return self.config.num_attention_heads * self.head_width

    @property
    def cache_values(self) -> int:
        """Numbers per token in the key-value cache."""
        heads = getattr(self.config, "num_key_value_heads", None)
        heads = heads or self.config.num_attention_heads
        return 2 * self.layers * heads * self.head_width


@functools.cache
def find_base(model: str, config_file: str = "") -> Base:
    """Return the base model of a `model:` setting. Raises PlanError if its shape is unknown."""
    config, source = _load_config(model, config_file)
    skeleton = _build_on_meta(config)
    head = skeleton.get_output_embeddings()
    linear = [m for m in skeleton.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    shapes = tuple(tuple(module.weight.shape) for module in linear)
    total = sum(p.numel() for p in skeleton.parameters())
    unquantized = total - sum(rows * columns for rows, columns in shapes)
    return Base(model, source, config, shapes, unquantized, head.weight.numel())


def _load_config(model: str, config_file: str) -> tuple[PretrainedConfig, str]:
    folder = find_folder(model) if check_fetched(model) else models.locate(model)
    file = Path(config_file or Path(folder) / "config.json")
    if config_file and not file.is_file():
        raise PlanError(f"--config: no file {config_file}; name a model's config.json")
    if file.is_file():
        where = f"--config {config_file}" if config_file else f"model: {model}"
        gate.require_no_problem(gate.check_config(file), where)
        return _make_config(gate.read_config(file), where), config_file or "config.json"
    if model in SHAPES:
        return _make_config(SHAPES[model], model), "table of shapes"
    raise PlanError(
        f"model: the shape of {model} is unknown; download its config.json from the hub and add "
        f"--config path/to/config.json. Known shapes: {', '.join(SHAPES)}"
    )


def _make_config(values: dict[str, Any], where: str) -> PretrainedConfig:
    values = dict(values)
    try:
        return AutoConfig.for_model(values.pop("model_type"), **values)
    except (KeyError, ValueError) as error:
        raise PlanError(f"{where}: transformers has no such model_type ({error})") from error


def _build_on_meta(config: PretrainedConfig, dtype: torch.dtype = torch.float32) -> Any:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


def _add_lora(skeleton: Any, rank: int, targets: Sequence[str]) -> Any:
    modules = sft_qlora.target_modules(targets)
    lora = LoraConfig(r=rank, target_modules=modules, task_type="CAUSAL_LM")
    try:
        with torch.device("meta"):
            return get_peft_model(skeleton, lora, autocast_adapter_dtype=False)
    except ValueError as error:
        problems = sft_qlora.check_targets(targets, rank, skeleton)
        raise PlanError(next(problems, str(error))) from error


@functools.cache
def list_lora_shapes(
    base: Base, rank: int, targets: tuple[str, ...]
) -> tuple[tuple[int, int], ...]:
    """Return the shapes of all LoRA matrices. Raises PlanError for layers that do not exist.

    Only models of one and of two layers are built; every further layer adds what the second adds.
    """
    one, two = (_list_trainable(base, layers, rank, targets) for layers in (1, 2))
    return tuple(one + [shape for shape in two[len(one) :]] * (base.layers - 1))


def _list_trainable(
    base: Base, layers: int, rank: int, targets: tuple[str, ...]
) -> list[tuple[int, int]]:
    tuned = _add_lora(_build_on_meta(_shorten(base.config, layers)), rank, targets)
    return [tuple(p.shape) for p in tuned.parameters() if p.requires_grad]


def _shorten(config: PretrainedConfig, layers: int) -> PretrainedConfig:
    values = config.to_dict()
    values.pop("layer_types", None)  # one entry per layer; transformers creates it
    short = type(config).from_dict(values)
    short.num_hidden_layers = layers
    if getattr(short, "layer_types", None):
        short.layer_types = short.layer_types[:layers]
    return short


@functools.cache
def count_activation_bytes(
    base: Base, rank: int, targets: tuple[str, ...], number_size: int
) -> float:
    """Return the bytes that one layer with LoRA saves per token for the backward pass.

    `number_size` is 4 for float32 and 2 for bfloat16, whose norms still compute in float32. Every
    tensor that autograd saves is counted once, on a pass without data (torch's FakeTensorMode), for
    a model of one layer and one of two layers. The difference is one layer.
    """
    one, two = (_count_saved_bytes(base, layers, rank, targets, number_size) for layers in (1, 2))
    return (two - one) / PROBE


def _count_saved_bytes(
    base: Base, layers: int, rank: int, targets: tuple[str, ...], number_size: int
) -> int:
    dtype = torch.float32 if number_size == 4 else torch.bfloat16
    skeleton = _build_on_meta(_shorten(base.config, layers), dtype)
    tuned = _add_lora(skeleton, rank, targets).to(dtype).train()
    saved: dict[int, Any] = {}
    with FakeTensorMode():
        named = [*tuned.named_parameters(), *tuned.named_buffers()]
        weights = {
            name: torch.empty(t.shape, dtype=t.dtype, requires_grad=t.requires_grad)
            for name, t in named
        }
        weight_storages = {tensor.untyped_storage()._cdata for tensor in weights.values()}

        def save(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in weight_storages:
                saved[storage._cdata] = storage  # a reference, or its address would be reused
            return tensor

        inputs = {"input_ids": torch.zeros(1, PROBE, dtype=torch.long), "use_cache": False}
        with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
            torch.func.functional_call(tuned, weights, (), inputs | {"logits_to_keep": 1})
    return sum(storage.nbytes() for storage in saved.values())
