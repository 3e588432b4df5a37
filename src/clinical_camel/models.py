"""Everything that touches torch: load, render, encode, score, generate. All sizes, one code path.

One decision worth knowing: training, scoring and generation all render a conversation through the
tokenizer's own chat template; a text that already starts with the BOS token never gets a second.
"""

import copy
import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedTokenizerBase,
)

from clinical_camel import data
from clinical_camel.data import Message

# Chat templates by name, for bases that ship none. The end token stands inside `generation`, so
# that it is trained: a model that never sees its end token learns never to stop.
TEMPLATES = {
    "mini": (
        "{{- bos_token -}}"
        "{%- for m in messages -%}"
        "{%- if m['role'] == 'assistant' -%}"
        "<|assistant|>{% generation %}{{ m['content'] }}{{ eos_token }}{% endgeneration %}"
        "{%- else -%}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{%- endif -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
    ),
}
QUANTIZE = ("", "nf4", "int8")
IGNORE = -100  # the label that carries no loss
MIN_PREFIX = 8  # a shared prefix shorter than this is not worth a cache


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


def quantization(quantize: str) -> BitsAndBytesConfig | None:
    """ "nf4" (4 bit, double quantisation, as QLoRA), "int8", or "" for none."""
    if quantize not in QUANTIZE:
        raise ModelError(f"quantize: {quantize!r} is not one of {', '.join(map(repr, QUANTIZE))}")
    if quantize == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute_dtype(),
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


def load_tokenizer(model: str, chat_template: str = "") -> PreTrainedTokenizerBase:
    """The model's tokenizer, with a chat template and a pad token that is no trained token."""
    tokenizer = AutoTokenizer.from_pretrained(locate(model))
    if chat_template:
        if chat_template not in TEMPLATES:
            raise ModelError(
                f"chat_template: {chat_template!r} is not one of {', '.join(TEMPLATES)}"
            )
        tokenizer.chat_template = TEMPLATES[chat_template]
    if not tokenizer.chat_template:
        raise ModelError(
            f"{model}: has no chat template; set chat_template: {', '.join(TEMPLATES)}"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def load_base(model: str, quantize: str = "") -> Any:
    """The base weights, quantised while loading, on the GPU if there is one."""
    config = AutoConfig.from_pretrained(locate(model))
    return AutoModelForCausalLM.from_pretrained(
        locate(model),
        config=config,
        quantization_config=quantization(quantize),
        dtype=compute_dtype(),
        device_map={"": 0} if device() == "cuda" else None,
        use_safetensors=True,
    )


def load(
    model: str, adapters: Mapping[str, str], quantize: str = "", chat_template: str = ""
) -> dict[str, LLM]:
    """One LLM for each name in `adapters` (name: adapter folder, or "" for the base alone).

    The base is loaded once and shared. An adapter folder brings its own tokenizer and template,
    as trained. Raises ModelError, before weights are read, for an adapter that is missing, damaged
    or made for another base, and for a tokenizer larger than the embedding.
    """
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
        if len(tokenizers[name]) > skeleton.get_input_embeddings().num_embeddings:
            raise ModelError(
                f"{model}: tokenizer has {len(tokenizers[name])} tokens, more than embeddings"
            )
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


def fingerprint(folder: str, model: Any) -> dict[str, str]:
    """What pins these weights: the hub's commit, or a hash of local files."""
    if Path(folder).is_dir():
        return {"model_sha256": file_hash(Path(folder))}
    return {"model_revision": str(getattr(model.config, "_commit_hash", "") or "unknown")}


def file_hash(folder: Path) -> str:
    """First 16 hex digits of the sha256 over a folder's safetensors files, in name order."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def render_chat(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], generation: bool = True
) -> str:
    """A conversation as the model meets it, up to where the assistant must speak."""
    return tokenizer.apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=generation
    )


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids; special tokens are added unless the text already starts with the BOS token."""
    bos = tokenizer.bos_token
    return tokenizer.encode(text, add_special_tokens=not (bos and text.startswith(bos)))


def encode_dialogue(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], loss_on: str
) -> dict[str, list[int]]:
    """`input_ids` and `labels` of one dialogue. Labels are IGNORE where no loss falls.

    `loss_on="assistant"` trains every assistant turn with its end token and nothing else;
    `"all"` trains every token.
    """
    encoded = tokenizer.apply_chat_template(
        list(messages), return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = encoded["input_ids"], encoded["assistant_masks"]
    if not any(mask):
        raise ModelError("chat template marks no assistant turn: {% generation %} is missing")
    if loss_on == "all":
        return {"input_ids": ids, "labels": list(ids)}
    return {
        "input_ids": ids,
        "labels": [i if m else IGNORE for i, m in zip(ids, mask, strict=True)],
    }


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> dict[str, list[int]]:
    """`input_ids` and `labels` of a plain text, every token trained, closed by the end token."""
    ids = [*encode(tokenizer, text), tokenizer.eos_token_id]
    return {"input_ids": ids, "labels": list(ids)}


@dataclass(frozen=True, slots=True)
class Pair:
    """A context and a continuation whose likelihood is wanted, as token ids."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.context) + len(self.continuation)


def encode_pair(tokenizer: PreTrainedTokenizerBase, context: str, continuation: str) -> Pair:
    """Both parts tokenised as one text and split where the context alone ends.

    As lm-evaluation-harness does (`_encode_pair`): " B" after "Answer:" must become the token that
    a model would produce there. Raises ModelError if nothing is left of the continuation.
    """
    start, whole = encode(tokenizer, context), encode(tokenizer, context + continuation)
    pair = Pair(tuple(whole[: len(start)]), tuple(whole[len(start) :]))
    if not pair.continuation:
        raise ModelError(f"continuation {continuation!r} adds no token to its context")
    return pair


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all sequences share.

    >>> common_prefix([(1, 2, 3), (1, 2, 4, 5)])
    2
    """
    first, last = min(sequences), max(sequences)
    pairs = enumerate(zip(first, last, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))


@torch.inference_mode()
def score(llm: LLM, pairs: Sequence[Pair], token_budget: int) -> Iterator[tuple[int, float]]:
    """Yields (index of the pair, log-likelihood of its continuation in nats), batch by batch.

    What all contexts share (few-shot exemplars) goes through the model once and is kept as a
    key-value cache; continuations that differ only in their last token share one row; the LM head
    sees only the positions that are read. `token_budget` bounds rows x tokens of a batch, the
    prefix counted in. Raises ModelError for a pair longer than `llm.max_length`, or NaN.
    """
    if not pairs:
        return
    longest = max(map(len, pairs))
    if longest > llm.max_length:
        raise ModelError(f"a prompt of {longest} tokens is longer than {llm.max_length}")
    model = llm.activate()
    shared = min(common_prefix([p.context for p in pairs]), min(len(p.context) for p in pairs) - 1)
    shared = shared if shared >= MIN_PREFIX else 0
    prefix = None
    if shared:
        ids = torch.tensor([pairs[0].context[:shared]], device=model.device)
        prefix = model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
    rows: dict[tuple[int, ...], list[int]] = {}
    for index, pair in enumerate(pairs):
        inputs = (*pair.context, *pair.continuation[:-1])[shared:]
        rows.setdefault(inputs, []).append(index)
    for batch in budgeted(sorted(rows, key=len, reverse=True), shared, token_budget):
        logits, first = _forward(
            model, batch, prefix, shared, llm.tokenizer.pad_token_id, pairs, rows
        )
        for row, inputs in enumerate(batch):
            for index in rows[inputs]:
                yield index, _read(logits[row], pairs[index], shared, first)


def budgeted(rows: Sequence[Sequence[int]], shared: int, token_budget: int) -> Iterator[list]:
    """Rows, longest first, cut into batches of at most `token_budget` tokens (at least one row)."""
    start = 0
    while start < len(rows):
        size = max(1, token_budget // max(1, shared + len(rows[start])))
        yield list(rows[start : start + size])
        start += size


def _forward(model, batch, prefix, shared, pad, pairs, rows):
    """Logits of the positions that are read, and the first of those positions."""
    width = max(map(len, batch))
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in batch], device=model.device)
    mask = torch.zeros(len(batch), shared + width, dtype=torch.long, device=model.device)
    for i, row in enumerate(batch):
        mask[i, : shared + len(row)] = 1
    cache = None
    if prefix is not None:
        cache = copy.deepcopy(prefix)
        cache.batch_repeat_interleave(len(batch))
    first = min(len(pairs[i].context) for row in batch for i in rows[row]) - 1 - shared
    keep = torch.arange(first, width, device=model.device)
    output = model(
        input_ids=ids,
        attention_mask=mask,
        past_key_values=cache,
        use_cache=cache is not None,
        logits_to_keep=keep,
    )
    return output.logits, first


def _read(logits: torch.Tensor, pair: Pair, shared: int, first: int) -> float:
    start = len(pair.context) - 1 - shared - first
    targets = torch.tensor(pair.continuation, device=logits.device)
    steps = logits[start : start + len(targets)].float().log_softmax(-1)
    total = steps.gather(-1, targets[:, None]).sum().item()
    if total != total:
        raise ModelError("the model gave NaN logits")
    return total


@torch.inference_mode()
def generate(
    llm: LLM,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    token_budget: int,
    seed: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    repetition_penalty: float = 1.0,
) -> Iterator[tuple[int, str, bool]]:
    """Yields (index of the prompt, text written after it, whether it came to its own end).

    Batch by batch, longest prompt first. `temperature=0.0` is greedy. Each batch is seeded by its
    first prompt, so a run that is resumed between batches draws the same.
    """
    model = llm.activate()
    ids = [encode(llm.tokenizer, prompt) for prompt in prompts]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]), reverse=True)
    sampling = {"do_sample": False}
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": top_k}
    for batch in budgeted([[i] * len(ids[i]) for i in order], max_new_tokens, token_budget):
        chosen = [row[0] for row in batch]
        width = len(batch[0])
        pad = llm.tokenizer.pad_token_id
        padded = torch.tensor([[pad] * (width - len(ids[i])) + ids[i] for i in chosen])
        mask = torch.tensor([[0] * (width - len(ids[i])) + [1] * len(ids[i]) for i in chosen])
        torch.manual_seed(seed + zlib.crc32(prompts[chosen[0]].encode()))
        output = model.generate(
            input_ids=padded.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max_new_tokens,
            pad_token_id=pad,
            eos_token_id=llm.tokenizer.eos_token_id,
            repetition_penalty=repetition_penalty,
            **sampling,
        )
        for i, row in zip(chosen, output[:, width:], strict=True):
            ended = llm.tokenizer.eos_token_id in row.tolist()
            yield i, llm.tokenizer.decode(row, skip_special_tokens=True).strip(), ended
