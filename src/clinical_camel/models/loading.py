"""Models, adapters, tokenizers: found, checked before weights are read, loaded once, shared."""

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

from clinical_camel import data
from clinical_camel.models.choices import QUANTIZE
from clinical_camel.models.templates import REPLY_ENDS, TEMPLATES


class ModelError(ValueError):
    """A model, adapter or template that cannot be used, with the reason and the remedy."""


@dataclass(slots=True)
class LLM:
    """A model ready to score and generate: several may share one set of base weights."""

    name: str
    model: Any
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    adapter: str = ""
    source: dict[str, str] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)  # what scoring computed, see `score`

    def activate(self) -> Any:
        """The underlying model with this LLM's adapter switched on, or all adapters off."""
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
    """bfloat16 or float16 on a GPU, float32 on a CPU, where bfloat16 trains 15 times slower."""
    if device() == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def quantization(quantize: str, sharded: bool = False) -> BitsAndBytesConfig | None:
    """ "nf4" (4 bit, double quantisation, as QLoRA), "int8", or "" for none.

    "nf4_dequantized": the values of "nf4", held at the precision they are multiplied in. The same
    model in the memory of an unquantised one, without the time to unpack it at every pass.
    `sharded` keeps the 4 bits in tensors of the computing type: FSDP cuts no other.
    """
    if quantize not in QUANTIZE:
        raise ModelError(f"quantize: {quantize!r} is not one of {', '.join(map(repr, QUANTIZE))}")
    if quantize.startswith("nf4"):
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute_dtype(),
            bnb_4bit_quant_storage=compute_dtype() if sharded else torch.uint8,
        )
    return BitsAndBytesConfig(load_in_8bit=True) if quantize == "int8" else None


def locate(name: str) -> str:
    """Where a model is: the shipped `mini`, a folder under the project root, or a hub id."""
    if name == "mini":
        return str(resources.files("clinical_camel") / "mini" / "base")
    folder = data.root() / name
    if folder.is_dir():
        weights = list(folder.glob("*.safetensors"))
        if not weights:
            raise ModelError(f"{name}: no .safetensors here; other weight files are not opened")
        return str(folder)
    if name.count("/") != 1 or name.startswith(("outputs/", "data/")):
        raise ModelError(f"{name}: no such folder, and neither 'mini' nor a hub id (owner/name)")
    return name


def refuse_own_code(model: str) -> None:
    """Raises ModelError for a model or tokenizer that would need code which comes with it.

    Such code is never run here. A model of a known type whose `auto_map` names code as well is
    taken where `architectures` says that it is the class that transformers has.
    """
    place, release = locate(model), transformers.__version__
    try:
        config, _ = PreTrainedConfig.get_config_dict(place)
    except OSError:  # an adapter's folder has none
        config = {}
    if config:
        classes = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.get("model_type", ""), ())
        classes = {classes} if isinstance(classes, str) else set(classes)
        asked = config.get("architectures") or [config.get("model_type", "nothing")]
        if not classes or ("auto_map" in config and not classes & set(asked)):
            own = "needs code of its own (auto_map), which is not run here: " * (
                "auto_map" in config
            )
            raise ModelError(
                f"{model}: config.json {own}asks for {', '.join(asked)}, no language model that "
                f"transformers {release} has; choose a base that it has"
            )
    settings = get_tokenizer_config(place)
    own, name = settings.get("auto_map") or {}, settings.get("tokenizer_class") or ""
    if own and not hasattr(transformers, name):
        raise ModelError(
            f"{model}: tokenizer_config.json needs code of its own (auto_map), which is not run "
            f"here: {name or 'its class'} is no tokenizer that transformers {release} has"
        )


def load_tokenizer(model: str, chat_template: str = "") -> PreTrainedTokenizerBase:
    """The model's tokenizer, with a chat template and a pad token that is no trained token."""
    refuse_own_code(model)
    tokenizer = AutoTokenizer.from_pretrained(locate(model))
    if chat_template:
        if chat_template not in TEMPLATES:
            raise ModelError(
                f"chat_template: {chat_template!r} is not one of {', '.join(TEMPLATES)}"
            )
        tokenizer.chat_template = TEMPLATES[chat_template]
        _end_replies(tokenizer, model, chat_template)
    if not tokenizer.chat_template:
        raise ModelError(
            f"{model}: has no chat template; set chat_template: {', '.join(TEMPLATES)}"
        )
    _refuse_two_readings(tokenizer, model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def _end_replies(tokenizer: PreTrainedTokenizerBase, model: str, chat_template: str) -> None:
    """Makes the template's own end of a reply the end token, if the tokenizer has it as a token."""
    end = REPLY_ENDS.get(chat_template, tokenizer.eos_token)
    if end is None or end not in tokenizer.get_vocab():
        raise ModelError(
            f"chat_template: {chat_template} ends a reply with {end or 'an end token'}, which the "
            f"tokenizer of {model} does not have; choose another of {', '.join(TEMPLATES)}"
        )
    tokenizer.eos_token = end


def _refuse_two_readings(tokenizer: PreTrainedTokenizerBase, model: str) -> None:
    """A conversation must have the same tokens in training (by the template alone) and when asked
    (as text, with the special tokens that the tokenizer adds): one BOS in both or none."""
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    bos = tokenizer.bos_token
    asked = tokenizer.encode(text, add_special_tokens=not (bos and text.startswith(bos)))
    if tokenizer.encode(text, add_special_tokens=False) != asked:
        raise ModelError(
            f"chat_template: begins without the {bos} that the tokenizer of {model} adds; choose "
            "another, or training and asking would differ"
        )


def load_base(
    model: str, quantize: str = "", attn_implementation: str = "", sharded: bool = False
) -> Any:
    """The base weights, quantised while loading, on this process's GPU if there is one.

    `attn_implementation`: one of ATTENTION, or "" for the base's own choice. `sharded` is for FSDP:
    on the CPU, since each GPU is to hold a part of them only.
    """
    refuse_own_code(model)
    place = None
    if device() == "cuda":
        torch.cuda.set_device(gpu := int(os.environ.get("LOCAL_RANK", 0)))
        place = {"": "cpu" if sharded else gpu}
    config = AutoConfig.from_pretrained(locate(model))
    base = AutoModelForCausalLM.from_pretrained(
        locate(model),
        config=config,
        quantization_config=quantization(quantize, sharded),
        dtype=compute_dtype(),
        device_map=place,
        attn_implementation=attn_implementation or None,
        use_safetensors=True,
    )
    if quantize == "nf4_dequantized":
        base = base.dequantize(dtype=compute_dtype())
        base.is_loaded_in_4bit = False  # transformers leaves it; PEFT and TRL go by it
    return base


@contextlib.contextmanager
def steady(model: Any) -> Iterator[None]:
    """Within it, looking at a model does not change it: for a training that watches its loss.

    On CPUs with AVX512-BF16, bitsandbytes packs 4-bit weights anew at the first pass in evaluation
    mode, rounds their scales to bfloat16 for good, and the training goes on with those (its
    `Linear4bit.forward`, read in 0.50.2): a run resumed after that pass is another run.
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
    """One LLM for each name in `adapters` (name: adapter folder, or "" for the base alone).

    The base is loaded once and shared. An adapter folder brings its own tokenizer and template,
    as trained. Raises ModelError, before weights are read, for an adapter that is missing, damaged
    or made for another base, for a tokenizer larger than the embedding, and for a base that needs
    code of its own.
    """
    refuse_own_code(model)
    with torch.device("meta"):  # the base without its weights
        skeleton = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(locate(model)))
    tokenizers = {}
    for name, adapter in adapters.items():
        folder = data.root() / adapter
        problem = adapter_problem(folder, skeleton) if adapter else ""
        if problem:
            raise ModelError(f"adapters: {name}: {adapter} {problem}")
        own = adapter and (folder / "tokenizer_config.json").is_file()
        tokenizers[name] = load_tokenizer(adapter if own else model, chat_template)
        if problem := tokenizer_problem(tokenizers[name], skeleton):
            raise ModelError(f"{model}: {problem}")
    base = load_base(model, quantize)
    limit = int(getattr(base.config, "max_position_embeddings", 0)) or 2048
    shared, llms = base, {}
    for name, adapter in adapters.items():
        source = {"model": model, "quantize": quantize, **fingerprint(locate(model), base)}
        if adapter:
            folder = data.root() / adapter
            if isinstance(shared, PeftModel):
                shared.load_adapter(str(folder), adapter_name=name)
            else:
                shared = PeftModel.from_pretrained(shared, str(folder), adapter_name=name)
            source |= {"adapter": adapter, "adapter_sha256": file_hash(folder)}
        llms[name] = LLM(name, base, tokenizers[name], limit, name if adapter else "", source)
    for llm in llms.values():
        llm.model = shared
    return llms


def tokenizer_problem(tokenizer: PreTrainedTokenizerBase, model: Any) -> str:
    """Why this tokenizer cannot stand before this model: it has ids without an embedding; or ""."""
    last = max(tokenizer.get_vocab().values())
    rows = model.get_input_embeddings().num_embeddings
    if last < rows:
        return ""
    token = tokenizer.convert_ids_to_tokens(last)
    return (
        f"tokenizer has more than embeddings: {token!r} is number {last}, the base has {rows}; "
        "use the tokenizer that the base was trained with"
    )


def adapter_problem(folder: Path, model: Any) -> str:
    """Why this adapter cannot stand on this model, or "" when each of its matrices has its place.

    PEFT passes over matrices of layers that the base does not have, and an untuned model is scored
    as the tuned one.
    """
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        return "holds no adapter_model.safetensors; other weight files are not opened"
    try:
        with safe_open(file, "pt") as matrices:
            keys = matrices.keys()
            shapes = {key: matrices.get_slice(key).get_shape() for key in keys}
    except SafetensorError as error:
        return f"is damaged ({error}); make it again"
    if not any(".lora_B." in key for key in shapes):
        return f"holds no LoRA matrix ({file.stat().st_size} bytes): it changes nothing"
    for key, shape in sorted(shapes.items()):
        found = re.fullmatch(r"base_model\.model\.(.+)\.lora_([AB])\.weight", key)
        if not found or len(shape) != 2:
            continue
        try:
            layer = model.get_submodule(found[1])
        except AttributeError:
            return f"was made for another base: this one has no {found[1]}"
        have, side = (shape[1], "in_features") if found[2] == "A" else (shape[0], "out_features")
        want = getattr(layer, side, have)
        if want != have:
            return f"was made for another base: {found[1]} is {want} wide, not {have}"
    return ""


def takes_positions(model: Any) -> bool:
    """Whether a model can be told each token's position; ALiBi models (BLOOM) count the row."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "position_ids" in inspect.signature(base.forward).parameters


def fingerprint(folder: str, model: Any) -> dict[str, str]:
    """What pins these weights: the hub's commit, or a hash of local files."""
    if Path(folder).is_dir():
        return {"model_sha256": file_hash(Path(folder))}
    return {"model_revision": str(getattr(model.config, "_commit_hash", "") or "unknown")}


def file_hash(folder: Path) -> str:
    """First 16 hex digits of the sha256 over a folder's safetensors files, in name order."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        facts = file.stat()
        digest.update(_sha256(file, facts.st_size, facts.st_mtime_ns))
    return digest.hexdigest()[:16]


@functools.cache
def _sha256(file: Path, size: int, changed: int) -> bytes:
    """Asked for by the record and by the checkpoints of a run, and 140 GB are read once."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
