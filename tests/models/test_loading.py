"""Tests of models.loading: what is rejected before weights are read, quantization, adapters."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from tests.support.project import make_messages

from clinical_camel import models

REMOTE_CODE = {"AutoConfig": "configuration_camel.CamelConfig"}


@pytest.fixture
def no_weights(monkeypatch):
    """Fail if base weights are read."""
    monkeypatch.setattr(models.loading, "load_base", lambda *_: pytest.fail("the base was loaded"))


@pytest.fixture
def copy_of_mini(project):
    folder = project.root / "my_model"
    shutil.copytree(models.locate("mini"), folder)
    return folder


def lora_matrices(width=128, layer=0):
    """The two matrices of one adapted layer, for a base of this width."""
    name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
    return {
        f"{name}.lora_A.weight": torch.zeros(4, width),
        f"{name}.lora_B.weight": torch.zeros(width, 4),
    }


@pytest.mark.parametrize(("quantize", "kind"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")])
def test_quantized_weights_are_quantized(quantize, kind):
    layer = models.load_base("mini", quantize).model.layers[0].self_attn.q_proj
    assert type(layer).__name__ == kind
    if quantize == "nf4":
        assert layer.weight.quant_state.quant_type == "nf4"
        assert layer.weight.quant_state.nested


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no such folder, and neither 'mini' nor a hub id"),
        ("outputs/mini_camel/base", "no such folder"),
        ("weights", "has no .safetensors; other weight files are not opened"),
    ],
)
def test_a_missing_or_pickled_model_is_rejected_by_name(name, message, project):
    project.file("weights/pytorch_model.bin", "")
    with pytest.raises(models.ModelError, match=f"{name}: {message}"):
        models.locate(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no adapter_model.safetensors; other weight files are not opened"),
        (b"torn", "is damaged"),
        (lora_matrices(width=64), "was made for another base: .*q_proj is 128 wide, not 64"),
        (lora_matrices(layer=99), "was made for another base: this one has no model.layers.99"),
        # PEFT loads such a file with a warning, and the base is scored as the tuned model
        ({"x": torch.zeros(1)}, r"has no LoRA matrix \(\d+ bytes"),
    ],
)
def test_an_adapter_that_does_not_fit_is_rejected_before_weights_are_read(
    content, message, project, no_weights
):
    file = project.file("adapter/adapter_model.bin", "").with_suffix(".safetensors")
    if isinstance(content, dict):
        save_file(content, file)
    elif content:
        file.write_bytes(content)
    with pytest.raises(models.ModelError, match=f"adapters: tuned: adapter {message}"):
        models.load("mini", {"base": "", "tuned": "adapter"})


def test_an_adapter_of_the_base_itself_fits(project, no_weights):
    (project.root / "adapter").mkdir()
    save_file(lora_matrices(), project.root / "adapter" / "adapter_model.safetensors")
    with pytest.raises(pytest.fail.Exception, match="the base was loaded"):
        models.load("mini", {"tuned": "adapter"})


def test_a_model_without_a_template_is_rejected_with_the_choices(copy_of_mini, no_weights):
    (copy_of_mini / "chat_template.jinja").unlink()
    with pytest.raises(models.ModelError, match="my_model: has no chat template; .*: mini"):
        models.load("my_model", {"base": ""})
    assert models.load_tokenizer("my_model", "mini").chat_template == models.TEMPLATES["mini"]


def test_a_tokenizer_larger_than_the_embedding_is_rejected(copy_of_mini, no_weights):
    tokenizer = models.load_tokenizer("my_model")
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(copy_of_mini)
    with pytest.raises(models.ModelError, match="more tokens than the model has embeddings"):
        models.load("my_model", {"base": ""})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "camel", "architectures": ["CamelLM"]}, "names CamelLM, which is not a"),
        ({"model_type": "camel", "auto_map": REMOTE_CODE}, "needs remote code .auto_map."),
        ({"architectures": ["CamelLM"], "auto_map": REMOTE_CODE}, "needs remote code .*CamelLM"),
        ({"model_type": "t5", "architectures": ["T5Model"]}, "names T5Model, which is not a lang"),
    ],
)
def test_a_base_that_needs_remote_code_is_rejected(change, message, copy_of_mini):
    file = copy_of_mini / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    for load in (models.load_tokenizer, models.load_base, lambda m: models.load(m, {"base": ""})):
        with pytest.raises(models.ModelError, match=f"my_model: config.json {message}"):
            load("my_model")


def test_a_base_of_a_supported_class_is_loaded_without_its_code(copy_of_mini):
    """Many repositories still contain code from before transformers had the class."""
    file = copy_of_mini / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"auto_map": REMOTE_CODE}))
    assert type(models.load_base("my_model")).__name__ == "LlamaForCausalLM"


def test_a_tokenizer_that_needs_remote_code_is_rejected(copy_of_mini):
    file = copy_of_mini / "tokenizer_config.json"
    remote = {"tokenizer_class": "CamelTokenizer", "auto_map": {"AutoTokenizer": ["a.B", None]}}
    file.write_text(json.dumps(json.loads(file.read_text()) | remote))
    with pytest.raises(models.ModelError, match="tokenizer_config.json .*CamelTokenizer"):
        models.load_tokenizer("my_model")


def test_padding_with_the_end_token_changes_no_score_and_no_text(copy_of_mini, llm):
    twin = models.LLM("twin", llm.model, models.load_tokenizer("my_model"), llm.max_length)
    twin.tokenizer.pad_token = twin.tokenizer.eos_token
    pairs = [models.tokenize_pair(llm.tokenizer, "Answer:", t) for t in (" x", " a long answer")]
    messages = make_messages("What treats gout?", "Naproxen.", "And then?")
    prompts = [models.render_chat(llm.tokenizer, messages[:n]) for n in (1, 3)]
    options = {"token_budget": 10_000, "seed": 0}
    results = [
        (
            sorted(models.score_pairs(model, pairs, 10_000)),
            sorted(models.generate(model, prompts, models.Decoding(8), **options)),
        )
        for model in (llm, twin)
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("variables", "visible"),
    [({}, "0"), ({"CUDA_VISIBLE_DEVICES": "1"}, "1"), ({"LOCAL_RANK": "1"}, "all")],
)
def test_one_gpu_is_used_unless_the_user_or_a_launcher_selects_others(variables, visible):
    removed = ("CUDA_VISIBLE_DEVICES", "LOCAL_RANK")
    environment = {k: v for k, v in os.environ.items() if k not in removed} | variables
    code = "import os, clinical_camel; print(os.environ.get('CUDA_VISIBLE_DEVICES', 'all'))"
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert shown.stdout.decode().strip() == visible
