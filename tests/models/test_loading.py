"""Tests of models.loading: what is rejected before weights are read, quantization, adapters."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.support.hostile_models import edit, edit_text, make_adapter, set_first, tensors
from tests.support.project import make_messages
from transformers import BloomConfig, Gemma3Config, GPT2Config, MptConfig

from clinical_camel import models
from clinical_camel.models import compute

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


@pytest.mark.parametrize(("quantize", "kind"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")])
def test_quantized_weights_are_quantized(quantize, kind):
    layer = models.load_base("mini", quantize).model.layers[0].self_attn.q_proj
    assert type(layer).__name__ == kind
    if quantize == "nf4":
        assert layer.weight.quant_state.quant_type == "nf4"
        assert layer.weight.quant_state.nested


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_a_model_that_is_stored_quantized_is_loaded_as_it_is(quantize, copy_of_mini):
    base = models.load_base("mini", quantize)
    base.save_pretrained(copy_of_mini)
    loaded = models.load("my_model", {"base": ""})["base"].activate()
    ids = torch.tensor([[1, 40, 55, 300, 7, 9]])
    assert torch.equal(loaded(input_ids=ids).logits, base.eval()(input_ids=ids).logits)


def test_the_context_length_is_found_under_every_name():
    shapes = [MptConfig(max_seq_len=256), GPT2Config(n_positions=512), BloomConfig()]
    shapes.append(Gemma3Config(text_config={"max_position_embeddings": 128}))
    assert list(map(models.find_context_length, shapes)) == [256, 512, 2048, 128]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no such folder, and neither mini nor smollm2_135m nor mini_0.3m nor"),
        ("outputs/mini_camel/base", "no such folder"),
        ("weights", "has no .safetensors; other weight files are not opened"),
    ],
)
def test_a_missing_or_pickled_model_is_rejected_by_name(name, message, project):
    project.file("weights/pytorch_model.bin", "")
    with pytest.raises(models.ModelError, match=f"{name}: {message}"):
        models.locate(name)


@pytest.mark.parametrize(
    ("folder", "remedy"),
    [
        ("my_adapter", "other weight files are not opened"),
        (
            "outputs/mini_camel/02_sft_qlora/adapter",
            "make it: python -m clinical_camel run mini_camel 02",
        ),
        (
            "outputs/many/raw_d0_t1/02_sft_qlora/adapter",
            "make it: python -m clinical_camel run many/raw_d0_t1 02",
        ),
    ],
)
def test_a_missing_adapter_is_rejected_with_the_way_to_make_it(folder, remedy, project, no_weights):
    with pytest.raises(models.ModelError, match=f"adapters: tuned: {folder}: has no .*; {remedy}"):
        models.load("mini", {"base": "", "tuned": folder})


@pytest.mark.parametrize(
    "name", ["tuned_v1.1", "forward", "weight", "0.6B", "step.500", "lora_A", "tuned v2", "é/2"]
)
def test_an_adapter_may_have_any_name(name, project):
    """PEFT takes a name for a module: `a.b` and `forward` are errors there."""
    make_adapter(Path(models.locate("mini")), project.root / "adapter")
    llms = models.load("mini", {"base": "", name: "adapter", f"{name}2": "adapter"})
    pairs = [models.tokenize_pair(llms["base"].tokenizer, "Answer:", " x")]
    scores = [dict(models.score_pairs(llm, pairs, 1000))[0] for llm in llms.values()]
    assert list(llms) == ["base", name, f"{name}2"]
    assert scores[1] == scores[2] != scores[0]


def test_the_source_names_everything_that_decides_an_output(copy_of_mini, project):
    """Journals are keyed by it: a changed template must not continue the answers of the old one."""
    before = models.load("my_model", {"base": ""})["base"].source
    changes = {
        "config_sha256": lambda: edit("config.json", rms_norm_eps=1e-5),
        "template_sha256": lambda: edit_text("chat_template.jinja", "<|end|>", "<|end|> "),
        "tokenizer_sha256": lambda: edit_text(
            "tokenizer.json", '"lstrip": false', '"lstrip": true'
        ),
        "model_sha256": lambda: tensors("model.safetensors", set_first(0.5)),
    }
    for key, change in changes.items():
        change()(copy_of_mini)
        after = models.load("my_model", {"base": ""})["base"].source
        assert {k for k in before if before[k] != after[k]} == {key}
        before = after
    (copy_of_mini / "generation_config.json").unlink()  # has no influence on outputs
    assert models.load("my_model", {"base": ""})["base"].source == before


def test_a_model_without_a_template_is_rejected_with_the_choices(copy_of_mini, no_weights):
    (copy_of_mini / "chat_template.jinja").unlink()
    with pytest.raises(models.ModelError, match="my_model: has no chat template; .*: mini"):
        models.load("my_model", {"base": ""})
    assert models.load_tokenizer("my_model", "mini").chat_template == models.TEMPLATES["mini"]


def test_remote_code_is_refused_wherever_a_model_is_loaded(copy_of_mini):
    edit("config.json", model_type="camel", auto_map=REMOTE_CODE)(copy_of_mini)
    for load in (models.load_tokenizer, models.load_base, lambda m: models.load(m, {"base": ""})):
        with pytest.raises(models.ModelError, match="my_model: config.json needs remote code"):
            load("my_model")


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


def test_the_head_of_a_large_model_gets_rows_that_torch_multiplies_at_once(monkeypatch):
    """A slice of hidden states is not contiguous; torch would copy the head for each row of it."""
    prompts, decoding = ["one two", "three four five", "six"], models.Decoding(3)
    texts = {}
    for limit in (0, 10**12):
        monkeypatch.setattr(compute, "LARGE", limit)
        llm, inputs = models.load("mini", {"base": ""})["base"], []
        llm.model.get_output_embeddings().register_forward_pre_hook(
            lambda _, args, inputs=inputs: inputs.append(args[0])
        )
        texts[limit] = sorted(models.generate(llm, prompts, decoding, token_budget=999, seed=0))
        assert inputs[0].shape[:2] == (3, 1)
        assert inputs[0].is_contiguous() == (limit == 0)
    assert texts[0] == texts[10**12]
