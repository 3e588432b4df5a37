"""Templates, encodings and likelihoods, on the shipped base."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from clinical_camel import models
from clinical_camel.models import generation

TURNS = [
    {"role": "user", "content": "What treats gout?"},
    {"role": "assistant", "content": "Naproxen."},
    {"role": "user", "content": "And then?"},
    {"role": "assistant", "content": "Rest."},
]


@pytest.fixture(scope="module")
def llm():
    return models.load("mini", {"base": ""})["base"]


def test_the_chat_has_one_bos_and_an_end_after_each_assistant_turn(llm):
    ids = models.encode(llm.tokenizer, models.render_chat(llm.tokenizer, TURNS, generation=False))
    assert ids.count(llm.tokenizer.bos_token_id) == 1
    assert ids.count(llm.tokenizer.eos_token_id) == 2


def test_plain_text_gets_one_bos(llm):
    ids = models.encode(llm.tokenizer, "Question: why?")
    assert ids[0] == llm.tokenizer.bos_token_id
    assert ids.count(llm.tokenizer.bos_token_id) == 1


def test_answer_letters_are_single_tokens(llm):
    for letter in "ABCD":
        pair = models.encode_pair(llm.tokenizer, "Answer:", f" {letter}")
        assert len(pair.continuation) == 1


@pytest.mark.parametrize(
    ("reply", "call", "lead"),
    [
        (" {{ m['content'] }} {{ eos_token }}", "", " "),  # Llama 2
        ("<|im_start|>assistant\n{{ m['content'] }}<|im_end|>", "<|im_start|>assistant\n", ""),
        (" ASSISTANT: {{ m['content'] }}</s>", " ASSISTANT:", " "),  # Vicuna
        ("{{ m['content'] }}", "", ""),
    ],
)
def test_the_space_before_a_reply_is_the_one_of_the_template(reply, call, lead):
    tokenizer = models.load_tokenizer("mini")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
        f"{{% else %}}{reply}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{call}{{% endif %}}"
    )
    assert models.reply_lead(tokenizer) == lead


def test_only_assistant_turns_with_their_end_tokens_carry_loss(llm):
    row = models.encode_dialogue(llm.tokenizer, TURNS, "assistant")
    trained = [i for i in row["labels"] if i != models.IGNORE]
    assert llm.tokenizer.decode(trained) == "Naproxen.</s>Rest.</s>"


def test_loss_on_all_trains_every_token(llm):
    row = models.encode_dialogue(llm.tokenizer, TURNS, "all")
    assert row["labels"] == row["input_ids"]


def test_a_template_without_generation_marks_is_refused(llm):
    tokenizer = models.load_tokenizer("mini")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(models.ModelError, match="generation"):
        models.encode_dialogue(tokenizer, TURNS, "assistant")


def test_batched_generation_writes_what_one_by_one_writes(llm):
    prompts = [
        models.render_chat(llm.tokenizer, [{"role": "user", "content": text}])
        for text in ("What is 3 plus 4?", "What is the opposite of hot? I really want to know.")
    ]
    settings = {"max_new_tokens": 12, "seed": 0}
    together = sorted(models.generate(llm, prompts, token_budget=100_000, **settings))
    alone = sorted(models.generate(llm, prompts, token_budget=1, **settings))
    assert together == alone
    assert all(text for _, text, _ in together)


def test_a_text_cut_at_the_limit_has_not_ended(llm):
    prompt = models.render_chat(llm.tokenizer, [{"role": "user", "content": "What is 3 plus 4?"}])
    settings = {"token_budget": 1000, "seed": 0}
    (_, _, cut), (_, _, whole) = (
        next(models.generate(llm, [prompt], max_new_tokens=n, **settings)) for n in (2, 200)
    )
    assert (cut, whole) == (False, True)


def test_sampling_with_one_seed_repeats_itself(llm):
    prompt = models.render_chat(llm.tokenizer, TURNS[:1])
    settings = {"max_new_tokens": 20, "token_budget": 1000, "temperature": 1.5}
    draws = [next(models.generate(llm, [prompt], seed=s, **settings))[1] for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_a_drawn_text_does_not_depend_on_its_neighbours(llm):
    texts = ("What is 3 plus 4?", "What is the opposite of hot? I really want to know.")
    prompts = [models.render_chat(llm.tokenizer, [{"role": "user", "content": t}]) for t in texts]
    settings = {"max_new_tokens": 12, "seed": 3, "temperature": 1.2, "top_k": 50, "top_p": 0.9}
    together = sorted(models.generate(llm, prompts, token_budget=100_000, **settings))
    assert together == sorted(models.generate(llm, prompts, token_budget=1, **settings))


def test_draws_follow_the_probabilities():
    wanted = torch.tensor([0.5, 0.3, 0.2])
    draw = generation._Gumbel(range(4000))
    drawn = draw(None, wanted.log().repeat(4000, 1)).argmax(-1)
    found = torch.bincount(drawn, minlength=3) / 4000
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=0.03)  # four standard errors


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_quantised_weights_are_quantised(quantize):
    base = models.load_base("mini", quantize)
    kind = {"nf4": "Linear4bit", "int8": "Linear8bitLt"}[quantize]
    layer = base.model.layers[0].self_attn.q_proj
    assert type(layer).__name__ == kind
    if quantize == "nf4":
        assert layer.weight.quant_state.quant_type == "nf4"
        assert layer.weight.quant_state.nested


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "neither 'mini' nor a hub id"),
        ("outputs/mini_camel/base", "no such folder"),
    ],
)
def test_a_model_that_is_nowhere_is_refused_by_name(name, message):
    with pytest.raises(models.ModelError, match=message):
        models.locate(name)


def test_a_folder_with_pickled_weights_only_is_refused(project):
    project.file("weights/pytorch_model.bin", "")
    with pytest.raises(models.ModelError, match="no .safetensors"):
        models.locate("weights")


def test_an_unknown_quantisation_is_refused_with_the_choices():
    with pytest.raises(
        models.ModelError, match="is not one of '', 'nf4', 'nf4_dequantized', 'int8'"
    ):
        models.quantization("nf5")


def test_a_missing_adapter_is_refused_by_name():
    with pytest.raises(models.ModelError, match="tuned: .* holds no adapter_model.safetensors"):
        models.load("mini", {"tuned": "outputs/nowhere/adapter"})


def matrices(width=128, layer=0):
    """The two matrices of one adapted layer, for a base that is this wide."""
    name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
    return {
        f"{name}.lora_A.weight": torch.zeros(4, width),
        f"{name}.lora_B.weight": torch.zeros(width, 4),
    }


@pytest.fixture
def weightless(monkeypatch):
    """Fails where base weights are read."""
    monkeypatch.setattr(models.loading, "load_base", lambda *_: pytest.fail("the base was loaded"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (matrices(width=64), "was made for another base: .*q_proj is 128 wide, not 64"),
        (matrices(layer=99), "was made for another base: this one has no model.layers.99"),
        ({}, "is damaged"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_before_weights_are_read(
    content, message, project, weightless
):
    folder = project.root / "adapter"
    folder.mkdir()
    save_file(content, folder / "adapter_model.safetensors")
    if not content:
        (folder / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(models.ModelError, match=f"adapters: tuned: adapter {message}"):
        models.load("mini", {"base": "", "tuned": "adapter"})


def test_an_adapter_of_the_base_itself_fits(project, weightless):
    (project.root / "adapter").mkdir()
    save_file(matrices(), project.root / "adapter" / "adapter_model.safetensors")
    with pytest.raises(pytest.fail.Exception, match="the base was loaded"):
        models.load("mini", {"tuned": "adapter"})


def test_an_adapter_folder_with_pickled_weights_only_is_refused(project, weightless):
    project.file("adapter/adapter_model.bin", "")
    with pytest.raises(models.ModelError, match="other weight files are not opened"):
        models.load("mini", {"tuned": "adapter"})


@pytest.fixture
def copy_of_mini(project):
    folder = project.root / "my_model"
    shutil.copytree(models.locate("mini"), folder)
    return folder


def test_a_model_without_a_template_is_refused_with_the_choices(copy_of_mini, weightless):
    (copy_of_mini / "chat_template.jinja").unlink()
    with pytest.raises(models.ModelError, match="my_model: has no chat template; .*: mini"):
        models.load("my_model", {"base": ""})
    assert models.load_tokenizer("my_model", "mini").chat_template == models.TEMPLATES["mini"]


def test_a_tokenizer_larger_than_the_embedding_is_refused(copy_of_mini, weightless):
    tokenizer = models.load_tokenizer("my_model")
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(copy_of_mini)
    with pytest.raises(models.ModelError, match="more than embeddings"):
        models.load("my_model", {"base": ""})


OWN = {"AutoConfig": "configuration_camel.CamelConfig"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "camel", "architectures": ["CamelLM"]}, "asks for CamelLM, no language"),
        ({"model_type": "camel", "auto_map": OWN}, "needs code of its own .auto_map."),
        ({"architectures": ["CamelLM"], "auto_map": OWN}, "needs code of its own .*CamelLM"),
        ({"model_type": "t5", "architectures": ["T5Model"]}, "asks for T5Model, no language model"),
    ],
)
def test_a_base_that_needs_code_of_its_own_is_refused(change, message, copy_of_mini):
    file = copy_of_mini / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    loaders = [
        models.load_tokenizer,
        models.load_base,
        lambda name: models.load(name, {"base": ""}),
    ]
    for load in loaders:
        with pytest.raises(models.ModelError, match=f"my_model: config.json {message}"):
            load("my_model")


def test_a_base_of_a_known_class_is_taken_without_its_code(copy_of_mini):
    """Many repositories carry the code from before transformers had the class."""
    file = copy_of_mini / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"auto_map": OWN}))
    assert type(models.load_base("my_model")).__name__ == "LlamaForCausalLM"


def test_a_tokenizer_that_needs_code_of_its_own_is_refused(copy_of_mini):
    file = copy_of_mini / "tokenizer_config.json"
    own = {"tokenizer_class": "CamelTokenizer", "auto_map": {"AutoTokenizer": ["a.B", None]}}
    file.write_text(json.dumps(json.loads(file.read_text()) | own))
    with pytest.raises(models.ModelError, match="tokenizer_config.json .*CamelTokenizer"):
        models.load_tokenizer("my_model")


def test_an_adapter_without_a_matrix_is_refused(project, weightless):
    """PEFT loads such a file with a warning, and the base is scored as the tuned model."""
    (project.root / "adapter").mkdir()
    save_file({"x": torch.zeros(1)}, project.root / "adapter" / "adapter_model.safetensors")
    with pytest.raises(models.ModelError, match=r"tuned: adapter holds no LoRA matrix \(\d+ bytes"):
        models.load("mini", {"tuned": "adapter"})


def test_padding_with_the_end_token_changes_no_score_and_no_text(llm, copy_of_mini):
    twin = models.LLM("twin", llm.model, models.load_tokenizer("my_model"), llm.max_length)
    twin.tokenizer.pad_token = twin.tokenizer.eos_token
    pairs = [models.encode_pair(llm.tokenizer, "Answer:", t) for t in (" x", " a long answer")]
    prompts = [f"{models.render_chat(llm.tokenizer, TURNS[:n])}" for n in (1, 3)]
    settings = {"max_new_tokens": 8, "token_budget": 10_000, "seed": 0}
    for first, second in [
        (models.score(llm, pairs, 10_000), models.score(twin, pairs, 10_000)),
        (models.generate(llm, prompts, **settings), models.generate(twin, prompts, **settings)),
    ]:
        assert sorted(first) == sorted(second)


@pytest.mark.parametrize(
    ("given", "seen"),
    [({}, "0"), ({"CUDA_VISIBLE_DEVICES": "1"}, "1"), ({"LOCAL_RANK": "1"}, "every one")],
)
def test_one_gpu_is_used_unless_the_user_or_a_launcher_says_otherwise(given, seen):
    ours = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "LOCAL_RANK")}
    code = "import os, clinical_camel; print(os.environ.get('CUDA_VISIBLE_DEVICES', 'every one'))"
    shown = subprocess.run([sys.executable, "-c", code], env=ours | given, capture_output=True)
    assert shown.stdout.decode().strip() == seen
