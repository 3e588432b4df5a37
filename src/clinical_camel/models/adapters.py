"""An adapter and its base: whether they belong together; the adapter loaded, and saved.

PEFT accepts nearly every folder: matrices without a layer are dropped, layers without a matrix get
a new one that changes nothing, and the base is then scored under the name of the tuned model.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, PeftModelForCausalLM, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedTokenizerBase

from clinical_camel.core.files import write_json
from clinical_camel.models.adapter_gate import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    BASE_RECORD,
    MATRIX,
    adapter_base,
    check_adapter_folder,
)
from clinical_camel.models.checkpoints import TrainingError
from clinical_camel.models.folders import explain, identify_weights, locate
from clinical_camel.models.gate import ModelError, require_no_problem
from clinical_camel.models.tokenizer import identify_tokenizer
from clinical_camel.models.weights import Tensor, read_header


def require_matching_adapter(folder: Path, skeleton: Any, name: str) -> None:
    """Raise ModelError, with the adapter's name, unless it fits the base matrix by matrix.

    `skeleton`: the base without weights. Its layers, with the adapter that adapter_config.json
    describes, must have exactly the matrices of the file, in the same shapes.
    """
    require_no_problem(check_adapter_folder(folder), name)
    _, tensors = read_header(folder / ADAPTER_WEIGHTS)
    for key, tensor in sorted(tensors.items()):
        if reason := _compare_layer(key, tensor, skeleton):
            raise ModelError(f"{name} was made for another base: {reason}")
    with explain(name, f"{ADAPTER_CONFIG}: building the adapter"), torch.device("meta"):
        config = read_lora_config(folder, tensors)
        tuned = PeftModelForCausalLM(copy.deepcopy(skeleton), config)
        state = get_peft_model_state_dict(tuned, save_embedding_layers=False)
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    for key in sorted(shapes.keys() | tensors):
        if key not in tensors:
            reason = f"{ADAPTER_WEIGHTS} lacks {key}, which {ADAPTER_CONFIG} describes"
        elif key not in shapes:
            reason = f"{ADAPTER_WEIGHTS} has {key}, which {ADAPTER_CONFIG} does not describe"
            if ".lora_" not in key:
                reason += ": it would replace the base's; save it with save_embedding_layers=False"
        elif shapes[key] != tensors[key].shape:
            reason = f"{key} is {list(tensors[key].shape)}, not {list(shapes[key])}"
        else:
            continue
        raise ModelError(f"{name}: {reason}; make the adapter again")


def _compare_layer(key: str, tensor: Tensor, skeleton: Any) -> str:
    """Return why a LoRA matrix has no layer of its width in the base; "" if it has one."""
    match = MATRIX.fullmatch(key)
    if not match or len(tensor.shape) != 2:
        return ""
    try:
        layer = skeleton.get_submodule(match[1])
    except AttributeError:
        return f"this one has no {match[1]}"
    side, axis = ("in_features", 1) if match[2] == "A" else ("out_features", 0)
    have = tensor.shape[axis]
    want = getattr(layer, side, have)
    return "" if want == have else f"{match[1]} is {want} wide, not {have}"


def read_lora_config(folder: Path, tensors: Mapping[str, Tensor]) -> LoraConfig:
    """Return PEFT's configuration of an adapter folder.

    A pattern of layers to change or to leave out becomes the layers of the file: a hostile one can
    take forever.
    """
    config = LoraConfig.from_pretrained(str(folder))
    is_pattern = isinstance(config.target_modules, str) and config.target_modules != "all-linear"
    if is_pattern or isinstance(config.exclude_modules, str):
        config.exclude_modules = None
        matches = (MATRIX.fullmatch(key) for key in tensors)
        config.target_modules = {match[1] for match in matches if match}
    config.inference_mode = True
    return config


def require_base(folder: Path, model: str, identity: Mapping[str, str], name: str) -> str:
    """Raise ModelError, with the adapter's name, if it was trained on another base than `model`.

    Weights are compared by hash if the adapter records one, as those of step 02 do; else the names
    of the bases, where the owner may differ. Returns "hash", "name", or "not recorded".
    """
    record = adapter_base(folder)
    before, now = record.get("model", ""), identity.get("model_sha256", "")
    if "model_sha256" in record:
        if record["model_sha256"] != now:
            raise ModelError(
                f"{name} was trained on other weights: those of {before} had the hash "
                f"{record['model_sha256']}, {model} has {now}; use that base"
            )
        return "hash"
    if not before:
        return "not recorded"
    if before in (model, locate(model)) or _short(before) == _short(model):
        return "name"
    raise ModelError(
        f"{name} was trained on {before}, not on {model}; use that base, or, if it is the same "
        f"under another name, write {model} as base_model_name_or_path in {ADAPTER_CONFIG}"
    )


def _short(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2].casefold()


def load_adapter(base: Any, folder: Path, peft_name: str, name: str) -> PeftModel:
    """Load an adapter that passed `require_matching_adapter` into a base with or without others."""
    with explain(name, "loading the adapter"):
        _, tensors = read_header(folder / ADAPTER_WEIGHTS)
        config = read_lora_config(folder, tensors)
        if not isinstance(base, PeftModel):
            return PeftModel.from_pretrained(base, str(folder), peft_name, config=config)
        base.add_adapter(peft_name, config)
        base.load_adapter(str(folder), adapter_name=peft_name)
        return base


def save_adapter(
    model: PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path, base: str
) -> None:
    """Save what was trained, tokenizer, chat template, and a record of the base; verify the file.

    `base` is recorded as the base model's name in place of a local path; base_model.json also has
    the hashes of base, tokenizer and template (`adapter_base` reads it). Raises TrainingError if
    the file differs from the trained parameters.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
        config.target_modules = sorted(config.target_modules)  # a set has another order each run
    # Embeddings are not trained; without this, PEFT would query the hub to find that out.
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty card template
    require_saved(model, folder / ADAPTER_WEIGHTS)
    tokenizer.save_pretrained(folder)
    place = Path(model.get_base_model().config._name_or_path)
    identity = identify_weights(place) | identify_tokenizer(tokenizer)
    write_json(folder / BASE_RECORD, {"model": base} | identity)


def require_saved(model: PeftModel, file: Path) -> None:
    """Raise TrainingError unless a safetensors file has every trained parameter, bit by bit.

    An adapter file of 443 bytes without any matrix was once saved and loaded without an error
    (tloen/alpaca-lora 526), and so was a reward model without its head (OpenRLHF 1342, trl 368).
    """
    trained = {
        name.replace(".modules_to_save.default", "").replace(".default.", "."): p.detach().cpu()
        for name, p in model.named_parameters()
        if p.requires_grad
    }
    try:
        with safe_open(file, "pt") as saved:
            if missing := sorted(trained.keys() - set(saved.keys())):
                raise TrainingError(
                    f"{file.name} ({file.stat().st_size} bytes) lacks {len(missing)} of "
                    f"{len(trained)} trained matrices, first {missing[0]}; save it again"
                )
            for name, parameter in trained.items():
                bits = (
                    t.contiguous().view(torch.uint8) for t in (parameter, saved.get_tensor(name))
                )
                if not torch.equal(*bits):
                    raise TrainingError(
                        f"{file.name}: {name} differs from the trained matrix; save it again"
                    )
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{file.name} cannot be read ({error}); save it again") from error
