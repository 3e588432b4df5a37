"""Load models, adapters and tokenizers: check them before reading weights, share base weights."""

import contextlib
import functools
import hashlib
import inspect
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from clinical_camel.core.hashing import hash_file
from clinical_camel.core.paths import root
from clinical_camel.models.templates import REPLY_ENDS, TEMPLATES


class ModelError(ValueError):
    """A model, adapter or template that cannot be used, with the reason and the remedy."""


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


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def compute_dtype() -> torch.dtype:
    """bfloat16 or float16 on a GPU; float32 on a CPU, where bfloat16 trains 15 times slower."""
    if device() == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def make_quantization_config(quantize: str) -> BitsAndBytesConfig | None:
    """Return the config for "nf4" (4 bits, double quantization, as QLoRA) or "int8"; None for "".

    "nf4_dequantized" has the values of "nf4", stored in the compute dtype: the same model, as large
    as without quantization, but no time is spent on dequantizing at every pass.
    """
    if quantize.startswith("nf4"):
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute_dtype(),
        )
    return BitsAndBytesConfig(load_in_8bit=True) if quantize == "int8" else None


def locate(name: str) -> str:
    """Return the path of the shipped `mini` or of a folder under the project root, or a hub id.

    Raises ModelError for any other name, and for a folder without .safetensors.
    """
    if name == "mini":
        return str(resources.files("clinical_camel") / "mini" / "base")
    folder = root() / name
    if folder.is_dir():
        if not list(folder.glob("*.safetensors")):
            raise ModelError(f"{name}: has no .safetensors; other weight files are not opened")
        return str(folder)
    if name.count("/") != 1 or name.startswith(("outputs/", "data/")):
        raise ModelError(f"{name}: no such folder, and neither 'mini' nor a hub id (owner/name)")
    return name


def require_no_remote_code(model: str) -> None:
    """Raise ModelError if the model or tokenizer needs the Python code of its repository.

    Such code never runs here. A model that names code in `auto_map` is accepted if transformers
    has the class in its `architectures`.
    """
    place, version = locate(model), transformers.__version__
    try:
        config, _ = PreTrainedConfig.get_config_dict(place)
    except OSError:  # an adapter folder has none
        config = {}
    if config:
        supported = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.get("model_type", ""), ())
        supported = {supported} if isinstance(supported, str) else set(supported)
        named = config.get("architectures") or [config.get("model_type", "nothing")]
        remote = "auto_map" in config
        if not supported or (remote and not supported & set(named)):
            reason = "needs remote code (auto_map), which is not run here: " * remote
            raise ModelError(
                f"{model}: config.json {reason}names {', '.join(named)}, which is not a language "
                f"model in transformers {version}; choose a base model that is"
            )
    settings = get_tokenizer_config(place)
    name = settings.get("tokenizer_class") or ""
    if settings.get("auto_map") and not hasattr(transformers, name):
        raise ModelError(
            f"{model}: tokenizer_config.json needs remote code (auto_map), which is not run here: "
            f"{name or 'its class'} is not a tokenizer in transformers {version}"
        )


def load_tokenizer(model: str, chat_template: str = "") -> PreTrainedTokenizerBase:
    """Load the model's tokenizer with a chat template and a pad token that is never a target."""
    require_no_remote_code(model)
    tokenizer = AutoTokenizer.from_pretrained(locate(model))
    if chat_template:
        tokenizer.chat_template = TEMPLATES[chat_template]
        _set_end_token(tokenizer, model, chat_template)
    if not tokenizer.chat_template:
        raise ModelError(
            f"{model}: has no chat template; set chat_template: {', '.join(TEMPLATES)}"
        )
    _require_consistent_bos(tokenizer, model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def _set_end_token(tokenizer: PreTrainedTokenizerBase, model: str, chat_template: str) -> None:
    """Make the token that ends a reply in this template the tokenizer's EOS token."""
    end = REPLY_ENDS.get(chat_template, tokenizer.eos_token)
    if end is None or end not in tokenizer.get_vocab():
        raise ModelError(
            f"chat_template: {chat_template} ends a reply with {end or 'an EOS token'}, which the "
            f"tokenizer of {model} does not have; choose another of {', '.join(TEMPLATES)}"
        )
    tokenizer.eos_token = end


def _require_consistent_bos(tokenizer: PreTrainedTokenizerBase, model: str) -> None:
    """Require the same tokens in training (template only) and inference (text, special tokens)."""
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    bos = tokenizer.bos_token
    at_inference = tokenizer.encode(text, add_special_tokens=not (bos and text.startswith(bos)))
    if tokenizer.encode(text, add_special_tokens=False) != at_inference:
        raise ModelError(
            f"chat_template: begins without the {bos} that the tokenizer of {model} adds; choose "
            "another, or training and inference would differ"
        )


def load_base(model: str, quantize: str = "", attn_implementation: str = "") -> Any:
    """Load the base weights, quantized while loading, onto this process's GPU if there is one.

    `attn_implementation`: one of ATTENTION, or "" for the model's default.
    """
    require_no_remote_code(model)
    device_map = None
    if device() == "cuda":
        torch.cuda.set_device(gpu := int(os.environ.get("LOCAL_RANK", 0)))
        device_map = {"": gpu}
    base = AutoModelForCausalLM.from_pretrained(
        locate(model),
        quantization_config=make_quantization_config(quantize),
        dtype=compute_dtype(),
        device_map=device_map,
        attn_implementation=attn_implementation or None,
        use_safetensors=True,
    )
    if quantize == "nf4_dequantized":
        base = base.dequantize(dtype=compute_dtype())
        base.is_loaded_in_4bit = False  # transformers leaves it set; PEFT and TRL read it
    return base


@contextlib.contextmanager
def freeze_quantization(model: Any) -> Iterator[None]:
    """Within this context, evaluating a 4-bit model does not change its weights.

    On CPUs with AVX512-BF16, bitsandbytes repacks 4-bit weights at the first pass in eval mode. It
    rounds their scales to bfloat16, and training continues with those (`Linear4bit.forward`, read
    in 0.50.2). A run resumed after that pass would differ from an uninterrupted one.
    """
    flag = "support_avx512bf16_for_cpu"
    layers = {module: getattr(module, flag) for module in model.modules() if hasattr(module, flag)}
    try:
        for layer in layers:
            setattr(layer, flag, False)
        yield
    finally:
        for layer, before in layers.items():
            setattr(layer, flag, before)


def load(
    model: str, adapters: Mapping[str, str], quantize: str = "", chat_template: str = ""
) -> dict[str, LLM]:
    """Load one LLM per entry of `adapters` (name: adapter folder, or "" for the base model).

    The base is loaded once and shared. An adapter folder brings the tokenizer and template that it
    was trained with. Raises ModelError, before weights are read, for an adapter that is missing,
    damaged or made for another base, for a tokenizer larger than the embedding matrix, and for a
    base that needs remote code.
    """
    require_no_remote_code(model)
    with torch.device("meta"):  # the architecture without weights
        skeleton = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(locate(model)))
    tokenizers = {}
    for name, adapter in adapters.items():
        folder = root() / adapter
        if adapter:
            _require_matching_adapter(folder, skeleton, f"adapters: {name}: {adapter}")
        has_tokenizer = adapter and (folder / "tokenizer_config.json").is_file()
        tokenizers[name] = load_tokenizer(adapter if has_tokenizer else model, chat_template)
        require_matching_tokenizer(tokenizers[name], skeleton, model)
    base = load_base(model, quantize)
    limit = int(getattr(base.config, "max_position_embeddings", 0)) or 2048
    shared, llms = base, {}
    for name, adapter in adapters.items():
        source = {"model": model, "quantize": quantize, **identify_weights(locate(model), base)}
        if adapter:
            folder = root() / adapter
            if isinstance(shared, PeftModel):
                shared.load_adapter(str(folder), adapter_name=name)
            else:
                shared = PeftModel.from_pretrained(shared, str(folder), adapter_name=name)
            source |= {"adapter": adapter, "adapter_sha256": hash_weights(folder)}
        llms[name] = LLM(name, base, tokenizers[name], limit, name if adapter else "", source)
    for llm in llms.values():
        llm.model = shared
    return llms


def require_matching_tokenizer(tokenizer: PreTrainedTokenizerBase, model: Any, name: str) -> None:
    """Raise ModelError, with the model's name, for token ids beyond the embedding matrix."""
    last = max(tokenizer.get_vocab().values())
    rows = model.get_input_embeddings().num_embeddings
    if last >= rows:
        token = tokenizer.convert_ids_to_tokens(last)
        raise ModelError(
            f"{name}: tokenizer has more tokens than the model has embeddings: {token!r} has id "
            f"{last}, the model {rows} rows; use the tokenizer that the base was trained with"
        )


def _require_matching_adapter(folder: Path, model: Any, name: str) -> None:
    """Raise ModelError, with the adapter's name, unless every matrix has its layer in the model.

    PEFT ignores matrices of layers that the base does not have: the base model would be scored
    under the name of the tuned one.
    """
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise ModelError(
            f"{name} has no adapter_model.safetensors; other weight files are not opened"
        )
    try:
        with safe_open(file, "pt") as matrices:
            keys = matrices.keys()
            shapes = {key: matrices.get_slice(key).get_shape() for key in keys}
    except SafetensorError as error:
        raise ModelError(f"{name} is damaged ({error}); make it again") from error
    if not any(".lora_B." in key for key in shapes):
        size = file.stat().st_size
        raise ModelError(f"{name} has no LoRA matrix ({size} bytes): it changes nothing")
    for key, shape in sorted(shapes.items()):
        match = re.fullmatch(r"base_model\.model\.(.+)\.lora_([AB])\.weight", key)
        if not match or len(shape) != 2:
            continue
        try:
            layer = model.get_submodule(match[1])
        except AttributeError:
            reason = f"this one has no {match[1]}"
        else:
            side, axis = ("in_features", 1) if match[2] == "A" else ("out_features", 0)
            have = shape[axis]
            want = getattr(layer, side, have)
            reason = "" if want == have else f"{match[1]} is {want} wide, not {have}"
        if reason:
            raise ModelError(f"{name} was made for another base: {reason}")


def accepts_position_ids(model: Any) -> bool:
    """Whether `forward` takes position ids; ALiBi models (BLOOM) derive positions from the row."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "position_ids" in inspect.signature(base.forward).parameters


def identify_weights(folder: str, model: Any) -> dict[str, str]:
    """Return what identifies these weights: the hub's commit, or a hash of local files."""
    if Path(folder).is_dir():
        return {"model_sha256": hash_weights(Path(folder))}
    return {"model_revision": str(getattr(model.config, "_commit_hash", "") or "unknown")}


def hash_weights(folder: Path) -> str:
    """First 16 hex digits of the sha256 over a folder's safetensors files, in name order."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        status = file.stat()
        digest.update(_hash_once(file, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()[:16]


@functools.cache
def _hash_once(file: Path, size: int, modified: int) -> bytes:
    """Run record and checkpoints both need this hash; 140 GB are then read once."""
    return bytes.fromhex(hash_file(file))
