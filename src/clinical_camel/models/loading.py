"""Load models, adapters and tokenizers; base weights are shared between LLMs.

Every folder passes the gate first (`gate`, here and `adapters` for what only the built model can
tell). A hub model is downloaded to a folder and passes the same gate. Decoding is ours alone: a
folder's generation_config.json is not read.
"""

import contextlib
import functools
import inspect
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedTokenizerBase,
)
from transformers.quantizers.auto import AutoHfQuantizer

from clinical_camel.core.paths import root
from clinical_camel.models import compute, gate
from clinical_camel.models.adapters import load_adapter, require_base, require_matching_adapter
from clinical_camel.models.compute import choose_dtype, device, use_threads
from clinical_camel.models.folders import (
    TOKENIZER_FILES,
    explain,
    fetch,
    identify_weights,
    require_model,
    require_no_remote_code,
)
from clinical_camel.models.fused_lora import fuse_lora
from clinical_camel.models.gate import ModelError
from clinical_camel.models.limits import count_positions
from clinical_camel.models.tokenizer import (
    identify_tokenizer,
    load_plain_tokenizer,
    load_tokenizer,
    require_matching_tokenizer,
    require_same_ids,
)
from clinical_camel.models.weights import hash_weights


@dataclass(slots=True)
class LLM:
    """A model that can score and generate. Several LLMs may share one set of base weights."""

    name: str
    model: Any
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    adapter: str = ""
    source: dict[str, str] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)  # tokens computed, see `score_pairs`

    def activate(self) -> Any:
        """Return the underlying model with only this LLM's adapter enabled, in eval mode."""
        if isinstance(self.model, PeftModel):
            if self.adapter:
                self.model.base_model.enable_adapter_layers()
                self.model.set_adapter(self.adapter)
            else:
                self.model.base_model.disable_adapter_layers()
        return self.model.eval()


def make_quantization_config(
    quantize: str, dtype: torch.dtype = torch.float32
) -> BitsAndBytesConfig | None:
    """Return the config for "nf4" (4 bits, double quantization, as QLoRA) or "int8"; None for "".

    `dtype` is the type to compute in.
    "nf4_dequantized" has the values of "nf4", stored in the compute dtype: the same model, as large
    as without quantization, but no time is spent on dequantizing at every pass.
    """
    if quantize.startswith("nf4"):
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return BitsAndBytesConfig(load_in_8bit=True) if quantize == "int8" else None


def load_base(
    model: str, quantize: str = "", attn_implementation: str = "", compute_dtype: str = "auto"
) -> Any:
    """Load the base weights, quantized while loading, onto this process's GPU if there is one.

    `attn_implementation`: one of ATTENTION, or "" for the model's default. `compute_dtype`: one of
    COMPUTE_DTYPES; `config.dtype` of the result is the type that it means here. All weights are
    read once before, to find NaN. Raises ModelError for weights that are damaged, missing or
    unused.
    """
    folder = require_model(model)
    skeleton = build_skeleton(model)
    require_fitting_weights(skeleton, folder, model, quantize)
    dtype = choose_dtype(compute_dtype, parameters := skeleton.num_parameters())
    use_threads(parameters)
    gate.require_finite(folder, model)
    with explain(model, "loading the weights"):
        base, report = place_weights(
            functools.partial(
                AutoModelForCausalLM.from_pretrained, str(folder), use_safetensors=True
            ),
            quantize,
            attn_implementation,
            dtype,
        )
    base.config.return_dict = True  # a folder may say otherwise
    _require_complete(base, report, model)
    _require_scales(base, model)
    return dequantize(base) if quantize == "nf4_dequantized" else base


def place_weights(
    load: Callable[..., tuple[Any, Mapping[str, Any]]],
    quantize: str,
    attn_implementation: str,
    dtype: torch.dtype,
) -> tuple[Any, Mapping[str, Any]]:
    """Return the model that `load` builds and its report, on this process's GPU if there is one.

    `load`: a `from_pretrained` with the source of its weights. They are quantized one by one.
    """
    device_map = None
    if device() == "cuda":
        torch.cuda.set_device(gpu := int(os.environ.get("LOCAL_RANK", 0)))
        device_map = {"": gpu}
    quantization = make_quantization_config(quantize, dtype)
    options = {"quantization_config": quantization} if quantization else {}  # None hides its own
    return load(
        **options,
        dtype=dtype,
        device_map=device_map,
        attn_implementation=attn_implementation or None,
        generation_config=GenerationConfig(),  # not the folder's
        output_loading_info=True,
    )


def dequantize(base: Any) -> Any:
    """Return an NF4 base with its values as ordinary floats: "nf4_dequantized"."""
    base = base.dequantize(dtype=base.config.dtype)
    base.is_loaded_in_4bit = False  # transformers leaves it set; PEFT and TRL read it
    return base


def _require_complete(base: Any, report: Mapping[str, Any], model: str) -> None:
    """Raise ModelError for weights that the files lack, or that a layer of the model ignores.

    transformers would fill the former with random numbers. Weights of other parts, such as an image
    encoder, may be ignored.
    """
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"{model}: the weights lack {len(missing)} of the model's tensors, first {missing[0]}; "
            f"{gate.AGAIN}"
        )
    layers = {name for name, module in base.named_modules() if not any(module.children())}
    for key in sorted(report["unexpected_keys"]):
        quantized = getattr(base.config, "quantization_config", None)
        if key.rpartition(".")[0] in layers and not quantized:
            raise ModelError(
                f"{model}: config.json: describes a model without {key}, which the weights have; "
                "use the files of one model"
            )


def _require_scales(base: Any, model: str) -> None:
    """Raise ModelError for a quantized layer whose scales do not fit its weights.

    bitsandbytes would read beyond them.
    """
    for name, layer in base.named_modules():
        if (kind := type(layer).__name__) not in ("Linear4bit", "Linear8bitLt"):
            continue
        weight, size = layer.weight, layer.in_features * layer.out_features
        if kind == "Linear8bitLt":
            scales = getattr(weight, "SCB", None)
            fits = scales is not None and scales.numel() == layer.out_features
        elif fits := (state := getattr(weight, "quant_state", None)) is not None:
            blocks = math.ceil(size / state.blocksize)
            nested = math.ceil(blocks / state.state2.blocksize) if state.nested else 0
            fits = state.absmax.numel() == blocks and state.shape.numel() == size
            fits &= not nested or state.state2.absmax.numel() == nested
        if not fits:
            raise ModelError(f"{model}: {name}: its scales do not fit its weights; {gate.AGAIN}")


@contextlib.contextmanager
def freeze_quantization(model: Any) -> Iterator[None]:
    """Within this context, evaluating a 4-bit model does not change its weights.

    On CPUs with AVX512-BF16, bitsandbytes repacks 4-bit weights at the first pass in eval mode. It
    rounds their scales to bfloat16, and training continues with those (`Linear4bit.forward`, read
    in 0.50.2). A run resumed after that pass would differ from an uninterrupted one, and no
    gradient passes through repacked weights: an adapter below them would hardly learn. Raises
    ModelError for weights that were repacked before.
    """
    flag = "support_avx512bf16_for_cpu"
    for name, module in model.named_modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if getattr(state, "packing_format_for_cpu", False):
            raise ModelError(
                f"{name}: its 4-bit weights were repacked by an evaluation, and no gradient passes "
                "through them; load the model again, and evaluate it in freeze_quantization only"
            )
    layers = {module: getattr(module, flag) for module in model.modules() if hasattr(module, flag)}
    try:
        for layer in layers:
            setattr(layer, flag, False)
        yield
    finally:
        for layer, before in layers.items():
            setattr(layer, flag, before)


def load(
    model: str,
    adapters: Mapping[str, str],
    quantize: str = "",
    chat_template: str = "",
    compute_dtype: str = "auto",
) -> dict[str, LLM]:
    """Load one LLM per entry of `adapters` (name: adapter folder, or "" for the base model).

    The base is loaded once and shared. An adapter folder brings the tokenizer and template that it
    was trained with. `source` of an LLM has everything that decides its outputs. A name is the
    user's alone: PEFT gets a number. Raises as `load_without_weights`.
    """
    llms = load_without_weights(model, adapters, quantize, chat_template)
    base = shared = load_base(model, quantize, compute_dtype=compute_dtype)
    for number, (name, adapter) in enumerate(adapters.items()):
        llm = llms[name]
        llm.adapter = f"adapter{number}" if adapter else ""
        if adapter:
            shared = load_adapter(shared, root() / adapter, llm.adapter, f"adapters: {name}")
        llm.source["dtype"] = str(base.config.dtype).removeprefix("torch.")
    fuse_lora(shared)
    _join_rows(shared)
    for llm in llms.values():
        llm.model = shared
    return llms


def load_without_weights(
    model: str, adapters: Mapping[str, str], quantize: str = "", chat_template: str = ""
) -> dict[str, LLM]:
    """Return the LLMs of `load` with `model` None: their weights are elsewhere, as on a server.

    Raises ModelError for a model, adapter, tokenizer or template that is missing, damaged, needs
    remote code, or does not fit the base; OSError for a hub model that cannot be downloaded.
    """
    folder = require_model(model)
    skeleton, identity = build_skeleton(model), identify_weights(folder)
    require_fitting_weights(skeleton, folder, model, quantize)
    limit, base_tokenizer, llms = find_context_length(skeleton.config), None, {}
    for name, adapter in adapters.items():
        source = {"model": model, "quantize": quantize, **identity}
        has_tokenizer = adapter and (root() / adapter / "tokenizer_config.json").is_file()
        if adapter:
            label = f"adapters: {name}: {adapter}"
            require_matching_adapter(root() / adapter, skeleton, label)
            compared = require_base(root() / adapter, model, identity, label)
            source |= {"adapter": adapter, "adapter_sha256": hash_weights(root() / adapter)}
            source |= {"adapter_base": compared}
        tokenizer = load_tokenizer(adapter if has_tokenizer else model, chat_template)
        require_matching_tokenizer(tokenizer, skeleton, model)
        if has_tokenizer:
            base_tokenizer = base_tokenizer or load_plain_tokenizer(model)
            require_same_ids(tokenizer, base_tokenizer, label)
        source |= identify_tokenizer(tokenizer)
        llms[name] = LLM(name, None, tokenizer, limit, source=source)
    return llms


def _join_rows(model: Any) -> None:
    """Let the LM head of a large model multiply all tokens of a batch at once.

    Before a reply it gets a slice of the hidden states: the last token of each prompt. torch
    multiplies such a slice row by row if the weight is frozen, and on a CPU it copies the weight
    for each row: 20 prompts of SmolLM2-135M took 2.1 s instead of 12 ms, and 50 needed 2.9 GB. The
    numbers are the same in bfloat16; a small model keeps its float32 numbers to the last bit.
    """
    if model.num_parameters() >= compute.LARGE:
        head = model.get_output_embeddings()
        head.register_forward_pre_hook(lambda _, args: (args[0].contiguous(), *args[1:]))


def build_skeleton(model: str) -> Any:
    """Return the architecture of a model without its weights (torch's meta device).

    It needs config.json alone. Raises ModelError if that describes no model.
    """
    folder = fetch(model, TOKENIZER_FILES)
    gate.require_no_problem(gate.check_config(folder / "config.json"), model)
    require_no_remote_code(model, folder)
    with explain(model, "config.json: building the model"), torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(str(folder)))


def require_fitting_weights(skeleton: Any, folder: Path, model: str, quantize: str) -> None:
    """Raise ModelError if config.json describes other shapes than the weights have.

    Weights that are stored quantized have other shapes; they cannot be quantized again.
    """
    if stored := getattr(skeleton.config, "quantization_config", None):
        method = stored["quant_method"]
        if quantize:
            raise ModelError(
                f'quantize: {quantize}, but {model} is stored quantized ({method}); write ""'
            )
        if not AutoHfQuantizer.supports_quant_method(stored):
            raise ModelError(
                f"{model}: config.json: transformers {transformers.__version__} cannot read "
                f"quant_method {method!r} with these options; use unquantized weights"
            )
        return
    shapes = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    for name, tensor in gate.read_headers(folder).items():
        shape = shapes.get(name, tensor.shape)
        if shape != tensor.shape and "expert" not in name:  # experts are stored one by one
            raise ModelError(
                f"{model}: config.json: describes {name} as {list(shape)}, the weights have "
                f"{list(tensor.shape)}; use the files of one model"
            )


def find_context_length(config: Any) -> int:
    """Return the number of positions of a model, in tokens; 2048 if its config has none."""
    text = config.get_text_config()  # of a model that also sees images
    return count_positions(text.to_dict()) or 2048


def require_room(llm: LLM, max_new_tokens: int, name: str = "max_new_tokens") -> None:
    """Raise ModelError if so many new tokens leave no position for a prompt."""
    if max_new_tokens >= llm.max_length:
        raise ModelError(
            f"{name}: {max_new_tokens} new tokens leave no room for a prompt in the context of "
            f"{llm.max_length} tokens; write a smaller number"
        )


def accepts_position_ids(model: Any) -> bool:
    """Whether `forward` takes position ids; ALiBi models (BLOOM) derive positions from the row."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "position_ids" in inspect.signature(base.forward).parameters
