"""The same counts as `shapes`, from the modules of transformers and PEFT on torch's meta device.

For an architecture without formulas in `shapes`, and for the tests of those formulas. Importing
this module imports torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from clinical_camel import sft_qlora
from clinical_camel.runner.jobs import PlanError

PROBE = 256  # tokens of a counted pass: without eager attention, saved activations grow linearly

Shape = tuple[int, int]


def count_weights(values: Mapping[str, Any], where: str) -> tuple[tuple[Shape, ...], int, int]:
    """Return the shapes of the linear layers, the number of other weights, and that of the head.

    `where` names the setting in an error. Raises PlanError for an architecture that transformers
    lacks.
    """
    skeleton = build_on_meta(make_config(values, where))
    head = skeleton.get_output_embeddings()
    linear = [m for m in skeleton.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    shapes = tuple(tuple(module.weight.shape) for module in linear)
    total = sum(p.numel() for p in skeleton.parameters())
    return shapes, total - sum(rows * columns for rows, columns in shapes), head.weight.numel()


def make_config(values: Mapping[str, Any], where: str) -> PretrainedConfig:
    """Return the configuration of these values. Raises PlanError for an unknown model_type."""
    values = dict(values)
    try:
        return AutoConfig.for_model(values.pop("model_type"), **values)
    except (KeyError, ValueError) as error:
        raise PlanError(f"{where}: transformers has no such model_type ({error})") from error


def build_on_meta(config: PretrainedConfig, dtype: torch.dtype = torch.float32) -> Any:
    """Return the model of a configuration without its weights."""
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


def list_lora_shapes(
    values: Mapping[str, Any], layers: int, rank: int, targets: tuple[str, ...]
) -> tuple[Shape, ...]:
    """Return the shapes of all LoRA matrices. Raises PlanError for layers that do not exist.

    Only models of one and of two layers are built; every further layer adds what the second adds.
    """
    one, two = (_list_trainable(values, count, rank, targets) for count in (1, 2))
    return tuple(one + [shape for shape in two[len(one) :]] * (layers - 1))


def _list_trainable(
    values: Mapping[str, Any], layers: int, rank: int, targets: tuple[str, ...]
) -> list[Shape]:
    tuned = _add_lora(build_on_meta(_shorten(values, layers)), rank, targets)
    return [tuple(p.shape) for p in tuned.parameters() if p.requires_grad]


def _shorten(values: Mapping[str, Any], layers: int) -> PretrainedConfig:
    values = {name: value for name, value in values.items() if name != "layer_types"}
    short = make_config(values, "model")
    short.num_hidden_layers = layers
    if getattr(short, "layer_types", None):
        short.layer_types = short.layer_types[:layers]
    return short


def count_activation_bytes(
    values: Mapping[str, Any],
    rank: int,
    targets: tuple[str, ...],
    number_size: int,
    row: int = 0,
) -> float:
    """Return the bytes that one layer with LoRA saves per token for the backward pass.

    `number_size` is 4 for float32 and 2 for bfloat16, whose norms still compute in float32.
    Every tensor that autograd saves is counted once, on a pass without data (torch's
    FakeTensorMode), for a model of one layer and one of two layers. The difference is one layer.
    The pass has an attention mask and PROBE tokens. Eager attention, such as that of BLOOM, saves
    numbers for each pair of tokens: its pass has `row` tokens, unless that is 0.
    """
    short = build_on_meta(_shorten(values, 1))
    is_eager = short.config._attn_implementation == "eager"
    tokens = row if row and is_eager else PROBE
    one, two = (_count_saved(values, n, rank, targets, number_size, tokens) for n in (1, 2))
    return (two - one) / tokens


def _count_saved(
    values: Mapping[str, Any],
    layers: int,
    rank: int,
    targets: tuple[str, ...],
    number_size: int,
    tokens: int,
) -> int:
    dtype = torch.float32 if number_size == 4 else torch.bfloat16
    tuned = _add_lora(build_on_meta(_shorten(values, layers), dtype), rank, targets)
    tuned = tuned.to(dtype).train()
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

        inputs = {"input_ids": torch.zeros(1, tokens, dtype=torch.long), "use_cache": False}
        with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
            torch.func.functional_call(tuned, weights, (), inputs | {"logits_to_keep": 1})
    return sum(storage.nbytes() for storage in saved.values())
