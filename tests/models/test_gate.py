"""Damaged and hostile folders end as a ModelError that names the file, or change nothing.

None reads code, hangs, or is scored: the table has a row for each damage that was once accepted or
ended in the error of a library.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.support.hostile_models import (
    ADAPTER,
    MESSAGES,
    NESTED,
    WEIGHTS,
    adapter,
    config,
    cut,
    delete,
    edit,
    header_of,
    make_adapter,
    other_tokenizer,
    quantization,
    renamed,
    set_first,
    shift_offsets,
    shortened,
    split_in_two,
    swap_two_tokens,
    template,
    tensors,
    to,
    to_pickle,
    token_beyond_the_embedding,
    without,
    write,
)
from tests.support.project import make_messages

from clinical_camel import models

REMOTE = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
DEEP = "[" * 100_000 + "]" * 100_000
NEVER_ENDS = "(([a-z._0-9]+)+)+!"

NO_BITS = {f"{mark}load_in_{bits}bit": False for mark in ("", "_") for bits in (4, 8)}

REFUSED_MODELS = {
    "template range": (template("{% for i in range(10**9) %}x{% endfor %}"), "Range too big"),
    "template nested loops": (template(NESTED + MESSAGES), "needs more than 2 s"),
    "template memory": (template("{{ 'x' * 10**10 }}"), "cannot be rendered: MemoryError"),
    "template attribute": (template("{{ ''.__class__.__mro__ }}"), "SecurityError"),
    "template cycler": (template("{{ cycler.__init__.__globals__ }}"), "SecurityError"),
    "template format": (
        template("{{ '{0.__class__}'.format(bos_token) }}"),
        "begins without the <s>",
    ),
    "template include": (template("{% include 'x' %}"), "no loader"),
    "template raises": (template("{{ raise_exception('no system') }}"), "refuses .*no system"),
    "template syntax": (template("{{ a"), "TemplateSyntaxError"),
    "template recursion": (
        template("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"),
        "calls itself without end",
    ),
    "template random": (template(MESSAGES + "{{ range(99) | random }}"), "another text each"),
    "template with the date": (template("{{ strftime_now('%d') }}" + MESSAGES), "begins without"),
    "template long": (template("{{ 'x' * 10**6 }}" + MESSAGES), "writes 10000\\d\\d charac"),
    "own architecture": (
        config(auto_map=REMOTE, architectures=["Evil"], model_type="evil"),
        r"config.json needs remote code \(auto_map\).* names Evil",
    ),
    "own class of a known type": (
        config(auto_map=REMOTE, architectures=["Evil"]),
        "needs remote code .*names Evil",
    ),
    "no language model": (
        config(model_type="t5", architectures=["T5Model"]),
        "names T5Model, which is not a language model",
    ),
    "own tokenizer": (
        edit("tokenizer_config.json", tokenizer_class="Evil", auto_map=REMOTE),
        r"tokenizer_config.json needs remote code",
    ),
    "unknown type": (config(model_type="evil"), "not a language model"),
    "pickled weights": (to_pickle, "has no .safetensors"),
    "weights of another name": (
        lambda folder: (folder / WEIGHTS).rename(folder / "other.safetensors"),
        "model.safetensors: is missing, there is only other.safetensors",
    ),
    "10**7 layers": (config(num_hidden_layers=10**7), "num_hidden_layers is 10000000, not a"),
    "10**12 words": (config(vocab_size=10**12), "vocab_size is 1000000000000"),
    "vocabulary of the weights is smaller": (
        config(vocab_size=4096),
        r"config.json: describes \S*embed_tokens.weight as \[4096, 128\], the weights have",
    ),
    "2**20 wide": (config(hidden_size=2**20), "describes|building the model"),
    "10**12 positions": (config(max_position_embeddings=10**12), "max_position_embeddings is"),
    "-1 layers": (config(num_hidden_layers=-1), "num_hidden_layers is -1"),
    "0 heads": (config(num_attention_heads=0), "num_attention_heads is 0"),
    "layers as a text": (config(num_hidden_layers="4"), "num_hidden_layers is '4'"),
    "layers as a float": (config(num_hidden_layers=4.0), "num_hidden_layers is 4.0"),
    "10**6 experts": (config(num_local_experts=10**6), "num_local_experts is"),
    "fewer layers": (config(num_hidden_layers=2), "has 2 layers, the weights have 4"),
    "more layers": (config(num_hidden_layers=6), "has 6 layers, the weights have 4"),
    "NaN in config.json": (config(rms_norm_eps=float("nan")), "is not JSON .it has NaN"),
    "attention code from the hub": (
        config(attn_implementation="kernels-community/evil"),
        "attn_implementation 'kernels-community/evil' needs remote code",
    ),
    "quantized without a method": (config(quantization_config={}), "names no quant_method"),
    "quantized, a text": (config(quantization_config="evil"), "names no quant_method"),
    "fp8 says the config, floats are there": (
        config(quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]}),
        "quantization_config says fp8, but all weights are ordinary",
    ),
    "weights that link to themselves": (
        lambda f: ((f / WEIGHTS).unlink(), (f / WEIGHTS).symlink_to(f / WEIGHTS)),
        "model.safetensors: is missing, there is no .safetensors",
    ),
    "unknown activation": (config(hidden_act="evil"), "config.json: building the model failed"),
    "rope of another type": (config(rope_parameters="evil"), "config.json"),
    "weights cut": (cut(WEIGHTS, 100_000), "model.safetensors: is cut or damaged"),
    "one byte lost": (cut(WEIGHTS, 4465111), "model.safetensors: is cut or damaged"),
    "header of 2**62 bytes": (header_of(2**62), "model.safetensors: is cut or damaged"),
    "header of zeros": (write(WEIGHTS, bytes(100)), "model.safetensors: is cut or damaged"),
    "empty weights": (write(WEIGHTS, b""), "model.safetensors: is cut or damaged: 0 bytes"),
    "header is no JSON": (
        write(WEIGHTS, b"\x08" + bytes(7) + b"evil1234"),
        "is damaged: its header",
    ),
    "header nested": (
        write(WEIGHTS, (200_000).to_bytes(8, "little") + DEEP.encode()),
        "is damaged: its header",
    ),
    "tensors overlap": (shift_offsets, "overlaps another tensor"),
    "no tensor": (tensors(WEIGHTS, lambda _: {}), "has no tensor"),
    "token beyond the embedding": (token_beyond_the_embedding, "more tokens than"),
    "tokenizer cut": (cut("tokenizer.json", 60_000), "tokenizer.json: is not JSON"),
    "tokenizer without a vocabulary": (write("tokenizer.json", "{}"), "loading the tokenizer"),
    "tokenizer of another model": (other_tokenizer, "has 425 tokens, the model 2048 embeddings"),
    "tokenizer that needs a package": (
        lambda f: (
            delete("tokenizer.json")(f),
            write("tokenizer.model", b"\n\x0e")(f),
            edit("tokenizer_config.json", tokenizer_class="LlamaTokenizer")(f),
        ),
        "loading the tokenizer needs a package that is not installed; pip install sentencepiece p",
    ),
    "no tokenizer": (delete("tokenizer.json"), "no tokenizer: none of tokenizer.json"),
    "tokenizer_config is a list": (write("tokenizer_config.json", "[]"), "is not a mapping"),
    "config of 50 MB": (config(filler="x" * 50_000_000), "config.json: has 50000\\d+ bytes"),
    "config nested": (write("config.json", f'{{"a": {DEEP}}}'), "config.json: is nested too"),
    "config nested a little": (
        write("config.json", '{"a": ' + "[" * 200 + "1" + "]" * 200 + "}"),
        "config.json: is nested more than",
    ),
    "config is no UTF-8": (write("config.json", b"\xff\xfe{"), "config.json: is not JSON"),
    "config with a byte order mark": (
        write("config.json", b"\xef\xbb\xbf{}"),
        "config.json: is not JSON",
    ),
    "no end token": (edit("tokenizer_config.json", eos_token=None), "has no EOS token"),
    "config is a folder": (
        lambda f: ((f / "config.json").unlink(), (f / "config.json").mkdir()),
        "config.json: is missing",
    ),
    "no config": (delete("config.json"), "config.json: is missing"),
    "NaN": (
        tensors(WEIGHTS, set_first(torch.nan)),
        r"model.safetensors: \S+ contains NaN or infin",
    ),
    "infinity": (tensors(WEIGHTS, set_first(-torch.inf)), "contains NaN or infinity"),
    "NaN in bfloat16": (
        tensors(WEIGHTS, lambda t: to(torch.bfloat16)(set_first(torch.nan)(t))),
        "contains NaN or infinity",
    ),
    "infinity in float16": (
        tensors(WEIGHTS, lambda t: to(torch.float16)(set_first(torch.inf)(t))),
        "contains NaN or infinity",
    ),
    "integers": (
        tensors(WEIGHTS, to(torch.int8)),
        "numbers of type I8, and config.json has no quan",
    ),
    "a layer is missing": (
        tensors(WEIGHTS, without("layers.3.")),
        "has 4 layers, the weights have 3",
    ),
    "a matrix is missing": (
        tensors(WEIGHTS, without("layers.2.mlp.up_proj")),
        "weights lack 1 of the model's tensors, first model.layers.2.mlp.up_proj.weight",
    ),
    "a bias that is not in the config": (
        tensors(WEIGHTS, lambda t: t | {"model.layers.0.self_attn.q_proj.bias": torch.ones(128)}),
        "describes a model without model.layers.0.self_attn.q_proj.bias",
    ),
    "index names a missing part": (
        split_in_two(lambda i: i["weight_map"].update(x="model-3.safetensors")),
        "names 'model-3.safetensors', which is not in the folder",
    ),
    "index leaves the folder": (
        split_in_two(lambda i: i["weight_map"].update(x="../evil.safetensors")),
        "names '../evil.safetensors'",
    ),
    "index names a missing tensor": (
        split_in_two(lambda i: i["weight_map"].update(x="model-00001-of-00002.safetensors")),
        "names x, which no file contains",
    ),
    "index without a map": (split_in_two(lambda i: i.pop("weight_map")), "has no weight_map"),
}

ACCEPTED_MODELS = {
    "known architecture with code": config(auto_map=REMOTE),
    "custom generate": lambda f: (
        (f / "custom_generate").mkdir(),
        (f / "custom_generate" / "generate.py").write_text("raise SystemExit"),
    ),
    "pickle next to the weights": write("pytorch_model.bin", b"evil"),
    "decoding of its own": write(
        "generation_config.json",
        json.dumps({"min_length": 30, "num_beams": 3, "suppress_tokens": [5, 6, 300, 301]}),
    ),
    "generation_config is no JSON": write("generation_config.json", DEEP),
    "two parts with an index": split_in_two(),
    "a template for tools, too": lambda f: (
        (f / "additional_chat_templates").mkdir(),
        (f / "additional_chat_templates" / "tool_use.jinja").write_text("evil"),
    ),
    "an old buffer": tensors(
        WEIGHTS, lambda t: t | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(16)}
    ),
    "results as tuples": config(return_dict=False),
    "an image encoder": tensors(WEIGHTS, lambda t: t | {"vision.patch.weight": torch.ones(4)}),
}

REFUSED_ADAPTERS = {
    "no configuration": (delete("adapter_config.json"), "adapter_config.json: is missing"),
    "configuration cut": (cut("adapter_config.json", 50), "adapter_config.json: is not JSON"),
    "another base": (
        adapter(base_model_name_or_path="meta-llama/Llama-2-7b-hf"),
        "was trained on meta-llama/Llama-2-7b-hf, not on mini; .* base_model_name_or_path",
    ),
    "another base, by hash": (
        write("base_model.json", json.dumps({"model": "mini", "model_sha256": "0" * 16})),
        "was trained on other weights: those of mini had the hash 0000000000000000, mini has",
    ),
    "unknown method": (adapter(peft_type="EVIL"), "peft_type is 'EVIL'; only LORA"),
    "another method": (adapter(peft_type="IA3"), "peft_type is 'IA3'; only LORA"),
    "another rank": (adapter(r=8), "r is 8, but .* has rank 4"),
    "rank 10**9": (adapter(r=10**9), "lora_alpha 8 at r 1000000000|r is 1000000000"),
    "rank 0": (adapter(r=0), "r is 0, not a whole number above 0"),
    "alpha 10**9": (adapter(lora_alpha=10**9), "lora_alpha is 1000000000, not a number"),
    "alpha 10**5": (
        adapter(lora_alpha=10**5),
        "at r 4 would scale the update of .*q_proj by 25000",
    ),
    "alpha 0": (adapter(lora_alpha=0), "lora_alpha is 0, not a number above 0"),
    "alpha NaN": (adapter(lora_alpha=float("nan")), "adapter_config.json: is not JSON .it has NaN"),
    "rank pattern is a text": (adapter(rank_pattern="evil"), "rank_pattern is 'evil', not a mapp"),
    "rank pattern that takes forever": (
        adapter(rank_pattern={NEVER_ENDS: 4}),
        "rank_pattern: .* is too complex",
    ),
    "alpha pattern that takes forever": (
        adapter(alpha_pattern={NEVER_ENDS: 4}),
        "alpha_pattern: .* is too complex",
    ),
    "alternatives that take forever": (
        adapter(rank_pattern={"(.|.)" * 35 + "!": 4}),
        "rank_pattern: .* is too complex",
    ),
    "optional parts that take forever": (
        adapter(alpha_pattern={".?" * 60 + "!": 4}),
        "alpha_pattern: .* is too complex",
    ),
    "layers that take forever": (
        adapter(layers_to_transform=[0], layers_pattern=NEVER_ENDS),
        "layers_pattern: .* is too complex",
    ),
    "saved modules that take forever": (
        adapter(modules_to_save=[NEVER_ENDS]),
        "modules_to_save: .* is too complex",
    ),
    "pattern of no language": (
        adapter(rank_pattern={"*q_proj": 4}),
        r"rank_pattern: '\*q_proj' is not a pattern .nothing to repeat",
    ),
    "rank pattern that fits no layer": (
        adapter(rank_pattern={"q_projj": 8}),
        "rank_pattern: q_projj fits no layer of the adapter; delete it",
    ),
    "alpha pattern that fits no layer": (
        adapter(alpha_pattern={"layers.9.*": 8}),
        r"alpha_pattern: layers.9.\* fits no layer",
    ),
    "rank pattern against the matrices": (
        adapter(rank_pattern={"q_proj": 8}),
        r"r is 8, but \S+q_proj.lora_A.weight has rank 4",
    ),
    "rank of a layer is no whole number": (
        adapter(rank_pattern={"q_proj": 4.5}),
        "rank_pattern: q_proj is 4.5, not a whole number above 0",
    ),
    "alpha 0 for all layers": (
        adapter(alpha_pattern={"q_proj": 0, "v_proj": 0}),
        "alpha_pattern: q_proj is 0",
    ),
    "alpha 10**5 for a layer": (
        adapter(alpha_pattern={"v_proj": 10**5}),
        "lora_alpha 100000 at r 4 would scale the update of .*v_proj by 25000",
    ),
    "biases of the base": (adapter(bias="all"), "bias is not supported"),
    "fewer layers": (adapter(target_modules=["q_proj"]), "v_proj.* does not describe"),
    "more layers": (adapter(target_modules=["q_proj", "v_proj", "o_proj"]), "lacks .*o_proj"),
    "layers of no model": (adapter(target_modules=["evil"]), "building the adapter failed"),
    "layer_replication": (adapter(layer_replication=[[0, 4], [2, 4]]), "layer_replication is n"),
    "DoRA without its vectors": (adapter(use_dora=True), "lacks .*magnitude"),
    "code of Megatron": (adapter(megatron_config={"a": 1}, megatron_core="os"), "megatron_conf"),
    "PiSSA": (adapter(init_lora_weights="pissa"), "init_lora_weights 'pissa' changes the base"),
    "weights cut": (cut(ADAPTER, 5000), "adapter_model.safetensors: is cut or damaged"),
    "another tokenizer": (token_beyond_the_embedding, "more tokens than the model"),
    "tokens swapped": (swap_two_tokens, "its tokenizer gives .* the id 30[01], the base model"),
    "template nested loops": (template(NESTED + MESSAGES), "needs more than 2 s"),
    "NaN": (tensors(ADAPTER, set_first(torch.nan)), "contains NaN or infinity; train again"),
    "wide": (
        tensors(
            ADAPTER, lambda t: {k: torch.ones(4, 256) if "_A" in k else v for k, v in t.items()}
        ),
        "q_proj is 128 wide, not 256",
    ),
    "rank of one matrix": (
        tensors(ADAPTER, lambda t: t | {max(t): torch.ones(128, 9)}),
        "has rank 9",
    ),
    "half of the layers": (
        tensors(ADAPTER, lambda t: without("layers.1.")(without("layers.2.")(t))),
        "lacks base_model.model.model.layers.1",
    ),
    "only A": (tensors(ADAPTER, without("lora_B")), "has no LoRA matrix .*changes nothing"),
    "B of zeros": (
        tensors(ADAPTER, lambda t: {k: v * ("lora_A" in k) for k, v in t.items()}),
        "every lora_B is zero: it learned nothing; train again with a higher",
    ),
    "other names": (tensors(ADAPTER, renamed("q_proj", "qq_proj")), "this one has no .*qq_proj"),
    "integers": (tensors(ADAPTER, to(torch.int8)), "numbers of type I8"),
    "an embedding of its own": (
        tensors(
            ADAPTER, lambda t: t | {"base_model.model.model.embed_tokens.weight": torch.ones(1)}
        ),
        "does not describe: it would replace the base's; save it with save_embedding_layers=False",
    ),
}

ACCEPTED_ADAPTERS = {
    "the rank of a layer": adapter(
        r=8,
        lora_alpha=16,
        rank_pattern={r".*\.(q|v)_proj": 4},
        alpha_pattern={r"layers\.[0-9]+\.self_attn.*": 8},
    ),
    "a head of its own that equals the base's": lambda f: (
        adapter(modules_to_save=["lm_head"])(f),
        tensors(
            ADAPTER,
            lambda t: (
                t
                | {
                    "base_model.model.lm_head.weight": load_file(
                        Path(models.locate("mini")) / WEIGHTS
                    )["model.embed_tokens.weight"]
                }
            ),
        )(f),
    ),
    "moved base": adapter(base_model_name_or_path="/elsewhere/of/mini"),
    "base not recorded": adapter(base_model_name_or_path=None),
    "code that PEFT does not run": adapter(
        auto_mapping={"base_model_class": "system", "parent_library": "os"}
    ),
    "an option of a later PEFT": adapter(option_of_2030=1),
    "an exclusion that takes forever": adapter(exclude_modules=NEVER_ENDS),
    "a pattern that takes forever": adapter(target_modules=f"{NEVER_ENDS}|.*[qv]_proj"),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The shipped base, and an adapter of it with its tokenizer."""
    folder = tmp_path_factory.mktemp("adapter")
    base = Path(models.locate("mini"))
    make_adapter(base, folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(base / name, folder)
    return base, folder


@pytest.fixture
def copies(sources, project):
    """Copies of both in a project folder, to be damaged."""
    for source, name in zip(sources, ("base", "adapter"), strict=True):
        shutil.copytree(source, project.root / name)
    return project.root / "base", project.root / "adapter"


def write_text(llm) -> str:
    prompt = models.render_chat(llm.tokenizer, make_messages("What treats gout?"))
    options = {"token_budget": 1000, "seed": 0}
    return next(models.generate(llm, [prompt], models.Decoding(8), **options))[1]


@pytest.fixture(scope="module")
def expected(sources):
    return write_text(models.load("mini", {"base": ""})["base"])


@pytest.mark.parametrize("name", REFUSED_MODELS)
def test_a_damaged_model_is_refused_in_our_words(name, copies):
    damage, message = REFUSED_MODELS[name]
    damage(copies[0])
    with pytest.raises(models.ModelError, match=message):
        models.load("base", {"base": ""})


STORED = {  # a model that is stored quantized: how, the damage, quantize, the message
    "again": ("nf4", config(), "nf4", 'quantize: nf4, but base is stored quantized .*; write ""'),
    "8 bits in 4": ("int8", config(), "nf4", "quantize: nf4, but base is stored quantized"),
    "unknown method": (
        "nf4",
        quantization(quant_method="evil", **NO_BITS),
        "",
        "cannot read quant",
    ),
    "no number type": (
        "nf4",
        quantization(bnb_4bit_compute_dtype="load"),
        "",
        "compute_dtype must",
    ),
    "other number of bits": (
        "nf4",
        quantization(**NO_BITS | {"load_in_8bit": True}),
        "",
        "q_proj: its scales do not fit its weights",
    ),
    "pattern that takes forever": (
        "nf4",
        quantization(llm_int8_skip_modules=[NEVER_ENDS]),
        "",
        "quantization_config: llm_int8_skip_modules: .* is too complex",
    ),
    "NaN": ("int8", quantization(llm_int8_threshold=float("nan")), "", "it has NaN"),
    "scales of 4 bits cut": ("nf4", tensors(WEIGHTS, shortened("q_proj.weight.absmax")), "", "fit"),
    "scales of 8 bits cut": ("int8", tensors(WEIGHTS, shortened("q_proj.SCB")), "", "do not fit"),
    "scales lost": ("nf4", tensors(WEIGHTS, without("layers.1.mlp.up_proj.weight.absmax")), "", ""),
    "a package that is not installed": (
        "nf4",
        quantization(quant_method="compressed-tensors", **NO_BITS),
        "",
        "needs a package that is not installed; pip install compressed-tensors",
    ),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The shipped base, stored in 4 bits and in 8 bits."""
    folder = tmp_path_factory.mktemp("stored")
    for kind in ("nf4", "int8"):
        shutil.copytree(models.locate("mini"), folder / kind)
        models.load_base("mini", kind).save_pretrained(folder / kind)
    return folder


@pytest.mark.parametrize("name", STORED)
def test_a_quantization_that_cannot_be_used_is_refused_in_our_words(name, stored, project):
    kind, damage, quantize, message = STORED[name]
    shutil.copytree(stored / kind, project.root / "base")
    damage(project.root / "base")
    with pytest.raises(models.ModelError, match=message):
        models.load("base", {"base": ""}, quantize)


@pytest.mark.parametrize("name", ACCEPTED_MODELS)
def test_what_does_not_concern_the_model_changes_no_text(name, copies, expected):
    ACCEPTED_MODELS[name](copies[0])
    assert write_text(models.load("base", {"base": ""})["base"]) == expected


@pytest.mark.parametrize("name", REFUSED_ADAPTERS)
def test_a_damaged_adapter_is_refused_before_weights_are_read(name, copies, monkeypatch):
    monkeypatch.setattr(models.loading, "load_base", lambda *_: pytest.fail("the base was loaded"))
    damage, message = REFUSED_ADAPTERS[name]
    damage(copies[1])
    with pytest.raises(models.ModelError, match=message):
        models.load("mini", {"tuned": "adapter"})


@pytest.fixture(scope="module")
def tuned_text(sources, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(sources[1], root / "adapter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLINICAL_CAMEL_ROOT", str(root))
        return write_text(models.load("mini", {"tuned": "adapter"})["tuned"])


@pytest.mark.parametrize("name", ACCEPTED_ADAPTERS)
def test_what_does_not_concern_the_adapter_changes_no_text(name, copies, tuned_text, expected):
    ACCEPTED_ADAPTERS[name](copies[1])
    llms = models.load("mini", {"tuned": "adapter", "base": ""})
    assert write_text(llms["tuned"]) == tuned_text != expected
    assert write_text(llms["base"]) == expected


@pytest.mark.parametrize(
    "damage",
    [
        [config(quantization_config={"quant_method": "gptq"}), tensors(WEIGHTS, to(torch.int32))],
        [config(num_hidden_layers=3, num_nextn_predict_layers=1)],  # a layer of other programs
        [tensors(WEIGHTS, to(torch.float16))],
        [config(num_local_experts=0, n_shared_experts=0)],  # Granite 4 without experts
        [tensors(WEIGHTS, lambda t: t | {"visual.blocks.31.norm.weight": torch.ones(4)})],
    ],
    ids=[
        "integers of a quantized model",
        "a layer for the next token but one",
        "float16",
        "no experts",
        "an image encoder with more layers",
    ],
)
def test_the_gate_accepts_what_real_models_have(damage, copies):
    for change in damage:
        change(copies[0])
    assert list(models.check_model_folder(copies[0])) == []
