"""The reward model: every architecture, exact after a reload, the same tokens as in step 02."""

import json
import shutil

import pytest
import torch
from tests.support.hostile_models import tensors
from tests.support.project import make_dialogue
from tests.support.toy_models import KINDS
from tests.support.toy_rewards import FACTS, make_prompt, make_reply
from tests.support.toy_training import toy_recipe, train

from clinical_camel import models, sft_qlora
from clinical_camel.core.base_models import find_folder
from clinical_camel.models import ModelError, adapters
from clinical_camel.reward_and_rl import reward_model

SCALE = {"mean": 2.5, "std": 0.5}
REPLIES = [
    make_reply(subject, text)
    for subject in list(FACTS)[:3]
    for text in ("Rest.", make_prompt(subject).reference)
]


@pytest.fixture(autouse=True)
def _root(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))


def make_base(kind, folder):
    """Write a small random base with the tokenizer of the shipped one."""
    torch.manual_seed(0)
    model = KINDS[kind]()
    model.resize_token_embeddings(2056)  # the tokenizer of Qwen adds a token
    model.save_pretrained(folder)
    for file in find_folder("mini").glob("*"):
        if file.name.startswith(("tokenizer", "chat_template", "special")):
            shutil.copyfile(file, folder / file.name)


def score(toy, token_budget=4096):
    return reward_model.score_replies(toy, REPLIES, token_budget)


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen", "bloom"])
def test_every_architecture_scores_saves_and_reloads_exactly(kind, tmp_path):
    make_base(kind, tmp_path / "base")
    toy = reward_model.build_reward_model("base", rank=4)
    trained = {n for n, p in toy.model.named_parameters() if p.requires_grad}
    assert any("score.modules_to_save" in name for name in trained)
    assert (
        sum("lora_B" in name for name in trained) == sum("lora_A" in name for name in trained) > 0
    )
    with torch.no_grad():
        for parameter in toy.model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    before = score(toy)
    assert before.dtype == torch.float32
    assert before.isfinite().all()
    assert before.std() > 0
    reward_model.save_reward_model(toy, tmp_path / "reward", "base", SCALE)
    loaded, scale = reward_model.load_reward_model("reward", "base")
    assert (score(loaded) - before).abs().max() <= 1e-6
    assert scale == SCALE


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen", "bloom"])
def test_a_score_does_not_depend_on_the_batch(kind, tmp_path):
    make_base(kind, tmp_path / "base")
    toy = reward_model.build_reward_model("base", rank=4)
    assert torch.allclose(score(toy), score(toy, token_budget=1), atol=1e-5)


def test_head_and_lora_are_float32_on_a_base_in_4_bits(tmp_path):
    toy = reward_model.build_reward_model("mini", rank=4, quantize="nf4")
    types = {p.dtype for p in toy.model.parameters() if p.requires_grad}
    assert types == {torch.float32}
    before = score(toy)
    reward_model.save_reward_model(toy, tmp_path / "reward", "mini", SCALE)
    after, scale = reward_model.load_reward_model("reward", "mini", quantize="nf4")
    assert (score(after) - before).abs().max() <= 1e-6
    rewards = [
        reward_model.make_reward_function(model, 4096, scale)(REPLIES) for model in (toy, after)
    ]
    assert (rewards[0] - rewards[1]).abs().max() <= 1e-5


def test_a_folder_that_is_no_reward_model_or_has_another_base_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty lacks reward_model.json or adapter_model"):
        reward_model.load_reward_model("empty", "mini")
    toy = reward_model.build_reward_model("mini", rank=4)
    reward_model.save_reward_model(toy, tmp_path / "reward", "mini", SCALE)
    make_base("llama", tmp_path / "base")
    with pytest.raises(ModelError, match="reward was trained on other weights"):
        reward_model.load_reward_model("reward", "base")


def test_a_reward_model_saved_without_its_head_is_rejected(tmp_path):
    toy = reward_model.build_reward_model("mini", rank=4)
    reward_model.save_reward_model(toy, tmp_path, "mini", SCALE)
    file = tmp_path / "adapter_model.safetensors"
    tensors(file.name, lambda saved: {k: v for k, v in saved.items() if "score" not in k})(tmp_path)
    with pytest.raises(models.TrainingError, match=r"lacks 1 of .*score\.weight"):
        adapters.require_saved(toy.model, file)


def test_the_head_computes_in_float32_after_a_base_in_bfloat16():
    toy = reward_model.build_reward_model("mini", rank=4, compute_dtype="bfloat16")
    assert score(toy).isfinite().all()
    assert toy.model.get_base_model().score.weight.dtype == torch.float32


@pytest.fixture(scope="module")
def sft_folder(tmp_path_factory):
    """An adapter of step 02 on the shipped base, in a folder of its own."""
    tokenizer = models.load_tokenizer("mini")
    rows = {"toy": [make_dialogue(f"case {i}", exchanges=1) for i in range(4)]}
    tokenized = sft_qlora.tokenize_mixture(tokenizer, rows, "assistant", 256)
    folder = tmp_path_factory.mktemp("sft")
    recipe = toy_recipe(lora_rank=2, lora_alpha=6, lora_dropout=0.0, num_epochs=4.0)
    model, _ = train(tokenized, recipe, folder, quantize="")
    sft_qlora.save_adapter(model, tokenizer, folder / "adapter", "mini")
    return folder / "adapter"


def test_a_reward_model_starts_as_the_sft_model(sft_folder, tmp_path):
    shutil.copytree(sft_folder, tmp_path / "sft")
    toy = reward_model.build_reward_model("mini", "sft", rank=3)
    policy = models.load("mini", {"sft": "sft"})["sft"].activate()
    ids = torch.tensor([reward_model.tokenize_reply(toy.tokenizer, *args(REPLIES[1]))])
    with torch.no_grad():
        ours = toy.model.get_base_model().model(input_ids=ids).last_hidden_state
        theirs = policy.get_base_model().model(input_ids=ids).last_hidden_state
        plain = models.load("mini", {"base": ""})["base"].activate().model(input_ids=ids)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, plain.last_hidden_state, atol=1e-3)
    assert toy.model.peft_config["default"].r == 5


def args(reply):
    return reply.prompt.messages, reply.text


def test_the_tokens_are_those_of_step_02_with_the_end_token():
    tokenizer = models.load_tokenizer("mini")
    prompt = make_prompt("gout")
    messages = [*prompt.messages, {"role": "assistant", "content": prompt.reference}]
    trained = models.tokenize_dialogue(tokenizer, messages, "assistant")["input_ids"]
    scored = reward_model.tokenize_reply(tokenizer, prompt.messages, prompt.reference)
    assert scored == trained
    assert scored[-1] == tokenizer.eos_token_id
    generated = models.tokenize_text(tokenizer, models.render_chat(tokenizer, prompt.messages))
    assert scored[: len(generated)] == generated


def test_an_adapter_with_several_ranks_is_refused(sft_folder, tmp_path):
    shutil.copytree(sft_folder, tmp_path / "sft")
    file = tmp_path / "sft" / "adapter_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"alpha_pattern": {"q_proj": 3}}))
    with pytest.raises(ModelError, match="adapter: sft has alpha_pattern; a reward model starts"):
        reward_model.build_reward_model("mini", "sft", rank=3)


def test_a_conversation_beyond_the_context_and_nan_are_errors():
    toy = reward_model.build_reward_model("mini", rank=2)
    with pytest.raises(ModelError, match="5000 tokens is longer than the context of the reward"):
        reward_model.score_tokens(toy, [[5] * 5000], 8192)
    toy.model.get_base_model().score.weight.data.fill_(float("nan"))
    toy.model.get_base_model().score.modules_to_save["default"].weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="NaN or infinity"):
        score(toy)


def test_the_reward_function_has_one_number_per_reply_in_order():
    toy = reward_model.build_reward_model("mini", rank=2)
    function = reward_model.make_reward_function(toy, 512, {"mean": 0.0, "std": 1.0})
    assert torch.allclose(function(REPLIES), score(toy), atol=1e-5)
    scaled = reward_model.make_reward_function(toy, 512, {"mean": 2.0, "std": 0.5})
    assert torch.allclose(scaled(REPLIES), (score(toy) - 2) / 0.5, atol=1e-5)
    assert torch.allclose(function(REPLIES[::-1]), score(toy).flip(0), atol=1e-5)
    assert function([]).shape == (0,)
