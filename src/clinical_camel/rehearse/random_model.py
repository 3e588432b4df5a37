"""A base model of the real shape with random weights: config.json is all that is needed.

Every matrix is a view into one block of random numbers, and is copied only when it is loaded. So a
base of 140 GB takes the path of a real one, matrix by matrix, and needs no more memory.
"""

import functools
from collections.abc import Mapping
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig

from clinical_camel import models, sft_qlora
from clinical_camel.core.base_models import find_folder
from clinical_camel.core.files import read_json
from clinical_camel.core.paths import find_producer, root
from clinical_camel.models import loading
from clinical_camel.models.fused_lora import fuse_lora
from clinical_camel.models.loading import LLM, dequantize, place_weights
from clinical_camel.runner.jobs import has_params, load_job

DEVIATION = 0.02  # of the weights, as Llama's initializer_range
BLOCK = 2**24  # random numbers that all matrices are views of
MARK = "random_weights"  # a file in the folder of a stand-in model


def has_own_weights(model: str) -> bool:
    """Return whether the rehearsal loads the model's own weights: those of no stand-in folder."""
    return not (find_folder(model) / MARK).is_file()


def build_random_base(
    model: str, quantize: str = "", attn_implementation: str = "", compute_dtype: str = "auto"
) -> Any:
    """Return a base model as `models.load_base` does, but with random weights."""
    skeleton = models.build_skeleton(model)
    parameters = skeleton.num_parameters()
    dtype = models.choose_dtype(compute_dtype, parameters)
    models.use_threads(parameters)
    config = AutoConfig.from_pretrained(str(find_folder(model)))
    load = functools.partial(
        type(skeleton).from_pretrained,
        None,
        config=config,
        state_dict=make_weights(skeleton, dtype),
    )
    base, _ = place_weights(load, quantize, attn_implementation, dtype)
    base.config.return_dict = True
    base.config._name_or_path = ""
    return dequantize(base) if quantize == "nf4_dequantized" else base


def make_weights(skeleton: Any, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return random weights of every tensor of a model on the meta device; norms are 1."""
    shapes = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    largest = max((shape[-1] for shape in shapes.values() if len(shape) > 1), default=0)
    generator = torch.Generator().manual_seed(0)
    block = (torch.randn(BLOCK + largest, generator=generator) * DEVIATION).to(dtype)
    return {name: _view(block, shape) for name, shape in shapes.items()}


def _view(block: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a view of this shape whose rows begin at different places of the block."""
    if len(shape) < 2:
        return torch.ones(shape, dtype=block.dtype)
    step = max(1, min(577, BLOCK // shape[-2]))
    strides = (
        *[0] * (len(shape) - 2),
        step,
        1,
    )  # matrices of one tensor, such as experts, are equal
    return block.as_strided(shape, strides)


def load_base(
    model: str, quantize: str = "", attn_implementation: str = "", compute_dtype: str = "auto"
) -> Any:
    """Load a base model with its own weights if they are on this machine, else with random ones."""
    own = has_own_weights(model)
    load = loading.load_base if own else build_random_base
    return load(model, quantize, attn_implementation, compute_dtype)


def load(
    model: str,
    adapters: Mapping[str, str],
    quantize: str = "",
    chat_template: str = "",
    compute_dtype: str = "auto",
) -> dict[str, LLM]:
    """Return LLMs as `models.load` does, with new adapters of the real shape.

    A new adapter changes nothing, and costs the time of a trained one.
    """
    base = load_base(model, quantize, "", compute_dtype)
    tokenizer = models.load_tokenizer(model, chat_template)
    limit = models.find_context_length(base.config)
    dtype = str(base.config.dtype).removeprefix("torch.")
    source = {"model": model, "quantize": quantize, "weights": "rehearsal", "dtype": dtype}
    shared, llms = base, {}
    for number, (name, adapter) in enumerate(adapters.items()):
        peft_name = f"adapter{number}" if adapter else ""
        if adapter:
            shared = _add_adapter(shared, make_lora_config(adapter), peft_name)
        llms[name] = LLM(name, base, tokenizer, limit, peft_name, source | {"adapter": adapter})
    fuse_lora(shared)
    for llm in llms.values():
        llm.model = shared
    return llms


def make_lora_config(adapter: str) -> LoraConfig:
    """Return the shape of an adapter: from its folder, else from the study that trains it.

    An adapter of which nothing is known has the default rank on all linear layers.
    """
    values = read_json(root() / adapter / "adapter_config.json")
    if values:
        rank, targets = values["r"], values["target_modules"]
        return LoraConfig(r=rank, target_modules=targets, task_type="CAUSAL_LM")
    study, step = find_producer(adapter) or ("", "")
    recipe = load_job(study, step).settings if has_params(study, step) else sft_qlora.Recipe()
    targets = sft_qlora.target_modules(recipe.lora_targets)
    return LoraConfig(r=recipe.lora_rank, target_modules=targets, task_type="CAUSAL_LM")


def _add_adapter(model: Any, config: LoraConfig, name: str) -> Any:
    if hasattr(model, "peft_config"):
        model.add_adapter(name, config)
        return model
    return get_peft_model(model, config, adapter_name=name)
