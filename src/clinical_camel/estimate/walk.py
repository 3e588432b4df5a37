"""One training step of a base model of any size, without its numbers: peak memory, operations.

The model is built, and the step computed, by the functions that train (`sft_qlora.training`,
`sft_qlora.speedups`), on tensors without data (torch's FakeTensorMode). Every tensor has its shape,
type and lifetime, so the bytes in use are those of an allocator that wastes nothing. Not counted:
the CUDA context, workspaces of kernels, fragmentation, paging of the optimizer. A CPU build of
torch cannot differentiate fake tensors of a GPU, so they are fake tensors of a CPU.

Importing this module imports torch.
"""

import contextlib
import math
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bitsandbytes as bnb
import torch
from bitsandbytes.functional import QuantState
from peft import get_peft_model
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from transformers.integrations.bitsandbytes import replace_with_bnb_linear

from clinical_camel import models, sft_qlora
from clinical_camel.estimate import skeletons
from clinical_camel.estimate.memory import BLOCK, NESTED_BLOCK
from clinical_camel.estimate.shapes import Base
from clinical_camel.models import compute
from clinical_camel.sft_qlora import speedups, training

ALIGNMENT = 512  # bytes: an allocation of torch on a GPU is a multiple of this
STEPS = 2  # the optimizer has its states from the second step


@dataclass(frozen=True, slots=True)
class Walk:
    """What a training step needed: bytes before it and at its peak, and its operations by name."""

    loaded: int
    peak: int
    operations: Mapping[str, int]


def walk_training(
    config: Mapping[str, Any], recipe: sft_qlora.Recipe, target_share: float = 1.0
) -> Walk:
    """Return the memory and operations of a batch of rows of `max_length` tokens, bfloat16.

    `config`: values of config.json. The rows have no padding. Their attention has a mask, as that
    of packed rows: on fake tensors transformers always makes one. The optimizer is AdamW with
    states in float32. `target_share`: share of the tokens that have loss. Operations are those of
    one step. Raises ValueError for a recipe of another kind.
    """
    _require_supported(recipe)
    shape = (recipe.batch_size, recipe.max_length)
    with FakeTensorMode(allow_non_fake_inputs=True), _quiet_default(torch.float32):
        tuned = build_tuned(config, recipe)
        trainer = _Step(tuned)
        trained = [p for p in tuned.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, foreach=False)
        ids = torch.zeros(shape, dtype=torch.long)
        targets = FixedTargets(shape[0], max(1, round(target_share * math.prod(shape))))
        counter = MemoryCounter()
        counter.add_all([*list_tensors(tuned), ids])
        loaded = counter.bytes
        with speedups.apply_speedups(trainer, recipe.speedups), counter:
            for _ in range(STEPS):
                counter.start_step()
                inputs = {"input_ids": ids, "labels": ids}
                with targets, torch.autocast("cpu", torch.bfloat16):
                    loss = trainer.compute_loss(tuned, inputs, num_items_in_batch=ids.new_ones(()))
                loss.backward()
                del loss, inputs
                optimizer.step()
                optimizer.zero_grad()
    return Walk(loaded, counter.peak, dict(counter.operations))


def _require_supported(recipe: sft_qlora.Recipe) -> None:
    """Raise ValueError for a recipe whose step this module cannot compute."""
    if recipe.quantize != "nf4":
        raise ValueError(f"quantize: {recipe.quantize!r} cannot be walked; write nf4")
    if "adamw" not in recipe.optimizer or "8bit" in recipe.optimizer:
        raise ValueError(f"optimizer: {recipe.optimizer} cannot be walked; write adamw_torch")
    if not {"target_head", "causal_mask"} <= set(recipe.speedups):
        raise ValueError("speedups: the walk needs target_head and causal_mask; add them")


@contextlib.contextmanager
def _quiet_default(dtype: torch.dtype) -> Iterator[None]:
    """Within this context, new tensors have this type unless they name another."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def build_tuned(config: Mapping[str, Any], recipe: sft_qlora.Recipe) -> Any:
    """Return the base in NF4 with its LoRA layers, all tensors fake, ready to train."""
    with unset_fake_temporarily():  # bitsandbytes makes its weights of plain tensors
        base = skeletons.build_on_meta(skeletons.make_config(config, "config"), torch.bfloat16)
        quantization = models.make_quantization_config(recipe.quantize, torch.bfloat16)
        base = replace_with_bnb_linear(
            base, modules_to_not_convert=["lm_head"], quantization_config=quantization
        )
        base.is_loaded_in_4bit = True
        with torch.device("meta"):
            tuned = get_peft_model(base, training.make_lora_config(recipe))
    for module in tuned.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            _quantize(module)
        _fill(module)
    compute.train_in_float32(tuned)
    speedups.enable_gradient_checkpointing(base, recipe.gradient_checkpointing_layers)
    return tuned.train()


def _quantize(layer: Any) -> None:
    """Give a layer the tensors that bitsandbytes makes of its weight in NF4, double quantized."""
    rows, columns = layer.out_features, layer.in_features
    blocks = math.ceil(rows * columns / BLOCK)
    nested = QuantState(
        absmax=torch.empty(math.ceil(blocks / NESTED_BLOCK)),
        blocksize=NESTED_BLOCK,
        code=torch.empty(256),
        dtype=torch.float32,
    )
    state = QuantState(
        absmax=torch.empty(blocks, dtype=torch.uint8),
        shape=torch.Size((rows, columns)),
        dtype=torch.bfloat16,
        blocksize=BLOCK,
        code=torch.empty(16),
        quant_type="nf4",
        offset=torch.empty(()),
        state2=nested,
    )
    packed = torch.empty(math.ceil(rows * columns / 2), 1, dtype=torch.uint8)
    layer.weight = torch.nn.Parameter(packed, requires_grad=False)
    layer.weight.quant_state = layer.quant_state = state
    layer.support_avx512bf16_for_cpu = False  # a repacking of CPUs in eval mode


def _fill(module: Any) -> None:
    """Replace the tensors on the meta device by fake ones."""
    for name, parameter in module._parameters.items():
        if parameter is not None and parameter.is_meta:
            empty = torch.empty(parameter.shape, dtype=parameter.dtype)
            module._parameters[name] = torch.nn.Parameter(empty, parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None and buffer.is_meta:
            module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def list_tensors(model: Any) -> list[torch.Tensor]:
    """Return all tensors of a model, with the constants of its quantized layers."""
    tensors = [*model.parameters(), *model.buffers()]
    for parameter in model.parameters():
        if state := getattr(parameter, "quant_state", None):
            inner = state.state2
            tensors += [state.absmax, state.code, state.offset, inner.absmax, inner.code]
    return tensors


class _Step(speedups.Trainer):
    """The trainer's loss without the trainer: its constructor would load data and devices."""

    def __init__(self, model: Any) -> None:
        self.model, self.prompt_weight, self.hooks = model, 0.0, None
        self.args = _Arguments()

    def _count_tokens(self, inputs: Any) -> None:
        """Leave out the log."""


@dataclass(frozen=True, slots=True)
class _Arguments:
    average_tokens_across_devices: bool = False


class FixedTargets(TorchFunctionMode):
    """Answers which tokens have loss, which depends on data: `count` of them."""

    def __init__(self, rows: int, count: int) -> None:
        super().__init__()
        self.rows, self.count = rows, count

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.nonzero:
            return tuple(torch.zeros(self.count, dtype=torch.long) for _ in range(args[0].ndim))
        is_selection = function is torch.Tensor.__getitem__ and isinstance(args[1], torch.Tensor)
        if is_selection and args[1].dtype == torch.bool:
            return args[0].new_zeros(self.count)
        return function(*args, **(kwargs or {}))


class MemoryCounter(TorchDispatchMode):
    """Counts the bytes of the storages in use, by weak reference, and the operations of a step."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.peak = 0
        self.operations: Counter[str] = Counter()
        self._sizes: dict[int, int] = {}

    def start_step(self) -> None:
        """Forget the peak and the operations of the steps before."""
        self.peak = self.bytes
        self.operations.clear()

    def add_all(self, tensors: Any) -> None:
        """Count the storages of these tensors as in use."""
        tree_map_only(torch.Tensor, self._add, tensors)

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = math.ceil(storage.nbytes() / ALIGNMENT) * ALIGNMENT
        self.bytes += self._sizes[key]
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._remove, key)

    def _remove(self, key: int) -> None:
        self.bytes -= self._sizes.pop(key, 0)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.operations[str(function)] += 1
        self.add_all(result)
        return result


def count_operations(base: Base, recomputed: int) -> dict[str, int]:
    """Return the operations that a step of a Llama has to have: so many of each.

    Each linear layer is multiplied once, and once more in a layer that is recomputed. Its weight is
    unpacked for the gradient of its input, except where nothing before it is trained: the queries,
    keys and values of the first layer, if that is not recomputed.
    """
    per_layer = len(base.linear) // base.layers
    computed = base.layers + recomputed
    return {
        "4-bit products": per_layer * computed,
        "4-bit weights unpacked": per_layer * base.layers - (0 if recomputed else 3),
        "attention": computed,
        "attention gradients": base.layers,
    }


def name_operations(walked: Walk) -> dict[str, int]:
    """Return the operations of a walk under the names of `count_operations`."""
    counts = Counter()
    for operation, count in walked.operations.items():
        if "scaled_dot_product" in operation:
            counts["attention gradients" if "backward" in operation else "attention"] += count
        elif "bitsandbytes.gemm_4bit" in operation:
            counts["4-bit products"] += count
        elif "bitsandbytes.dequantize_4bit" in operation:
            counts["4-bit weights unpacked"] += count
    return dict(counts)
