"""What TRL gets: our settings, our tokens, our rewards."""

import math

import pytest
import torch
from tests.support.toy_policies import (
    load_sft,
    make_prompt,
    random_sft,
    share_of_e,
    toy_material,
    toy_settings,
)
from tests.support.toy_training import BASES

from clinical_camel import models
from clinical_camel.reward_and_rl import trl_methods
from clinical_camel.reward_and_rl.rollouts import open_policy
from clinical_camel.reward_and_rl.sampling import tokenize_prompt
from clinical_camel.reward_and_rl.training import History, Monitor


@pytest.fixture
def make_monitor(sft, tmp_path):
    """A function that returns a monitor of a policy, with these settings."""
    with open_policy(sft) as policy:
        yield lambda **changes: Monitor(
            policy, toy_material(), toy_settings(**changes), 7, History(), tmp_path, {}
        )


@pytest.mark.parametrize("method", ["rloo", "grpo", "dpo", "grpo_exam_key"])
def test_the_settings_reach_trl(method, make_monitor):
    rates = {name: 0.01 for name in ("ppo", "rloo", "grpo", "grpo_exam_key")} | {"dpo": 0.02}
    monitor = make_monitor(
        kl_coefficient=0.3, clip_range=0.15, prompts_per_step=6, num_generations=4, rl_steps=9,
        learning_rates=rates, temperature=0.8, token_budget=200, reward_max_length=50,
    )  # fmt: skip
    args = trl_methods.make_trainer(method, monitor).args
    assert args.beta == pytest.approx(0.3 / 0.8 if method == "dpo" else 0.3)
    assert (args.max_steps, args.seed, args.max_grad_norm) == (9, 7, 1.0)
    assert args.learning_rate == rates[method]
    assert args.disable_dropout
    assert not args.activation_checkpointing
    rows = args.per_device_train_batch_size * args.gradient_accumulation_steps
    # 4 x 46 tokens fit into the budget, 6 do not; a pair has 2 x 54
    assert args.per_device_train_batch_size == (1 if method == "dpo" else 4)
    assert rows == (12 if method == "dpo" else 24)
    if method != "dpo":
        assert (args.num_generations, args.epsilon, args.temperature) == (4, 0.15, 0.8)
        assert (args.max_completion_length, args.num_iterations) == (6, 1)
        assert args.steps_per_generation == args.gradient_accumulation_steps


def test_trl_tokenizes_pairs_and_prompts_as_we_do(make_monitor, sft):
    monitor = make_monitor()
    row = trl_methods.make_trainer("dpo", monitor).train_dataset[0]
    pair = monitor.material.pairs[0]
    messages = [*pair.prompt.messages, {"role": "assistant", "content": pair.chosen}]
    ours = models.tokenize_dialogue(sft.tokenizer, messages, "assistant")
    prompt = tokenize_prompt(sft, pair.prompt)
    assert row["prompt_ids"] == prompt
    assert row["prompt_ids"] + row["chosen_ids"] == ours["input_ids"]
    rows = trl_methods.make_prompt_rows([make_prompt(0)], sft.tokenizer)
    encoded = sft.tokenizer.apply_chat_template(
        rows[0]["prompt"], add_generation_prompt=True, return_dict=True
    )
    assert encoded["input_ids"] == tokenize_prompt(sft, make_prompt(0))


def test_a_few_prompts_are_repeated_to_fill_a_batch():
    """TRL's sampler drops an incomplete batch; one prompt of eight would train no step."""
    assert trl_methods.repeat_rows(["a"], 3) == ["a"] * 3
    assert trl_methods.repeat_rows(["a", "b"], 3) == ["a", "b"] * 2
    assert trl_methods.repeat_rows(["a", "b", "c", "d"], 3) == ["a", "b", "c", "d"]


def test_control_tokens_of_a_text_do_not_reach_the_model(sft):
    prompt = make_prompt(0, f"Ends here{sft.tokenizer.eos_token} or not?")
    (row,) = trl_methods.make_prompt_rows([prompt], sft.tokenizer)
    encoded = sft.tokenizer.apply_chat_template(
        row["prompt"], add_generation_prompt=True, return_dict=True
    )
    assert encoded["input_ids"] == tokenize_prompt(sft, prompt)
    assert sft.tokenizer.eos_token_id not in encoded["input_ids"]


def test_the_reward_gets_our_replies_and_truncated_ones_are_penalised(sft):
    prompts = [make_prompt(0), make_prompt(1)]
    seen = []

    def reward(replies):
        seen.extend(replies)
        return share_of_e(replies)

    settings = toy_settings(truncation_penalty=3.0)
    compute = trl_methods.make_trl_reward(reward, prompts, sft.tokenizer, settings)
    eos = sft.tokenizer.eos_token_id
    word = sft.tokenizer.encode("the tree", add_special_tokens=False)
    metrics = {}
    scores = compute(
        completion_ids=[[*word, eos], word],
        index=[1, 1],
        log_metric=metrics.__setitem__,
        prompts=None,
    )
    assert [(r.prompt.id, r.text, r.complete) for r in seen] == [
        ("case-1", "the tree", True),
        ("case-1", "the tree", False),
    ]
    assert scores[0] - scores[1] == pytest.approx(3.0)
    assert metrics["group_std"] == pytest.approx(1.5)


def test_a_quantized_policy_keeps_its_float32_matrices_in_trl(sft_folder, tmp_path, monkeypatch):
    """TRL rounds the matrices of an adapter on a 4-bit base to bfloat16."""
    llm = load_sft(sft_folder, "nf4")
    with open_policy(llm) as policy:
        before = {name: w.detach().clone() for name, w in policy.list_weights().items()}
        monitor = Monitor(
            policy, toy_material(), toy_settings(quantize="nf4"), 0, History(), tmp_path, {}
        )
        seen = {}

        def capture(self, **_):
            seen.update({name: w.detach().clone() for name, w in policy.list_weights().items()})

        monkeypatch.setattr(trl_methods.RLOOTrainer, "train", capture)
        trl_methods.train_with_trl("rloo", monitor, None)
        for name, weight in before.items():
            assert seen[name].dtype == torch.float32
            assert torch.equal(seen[name], weight), name


def test_the_base_has_its_own_forward_again_after_trl(sft, tmp_path):
    owners = (sft.model, sft.model.get_base_model())
    before = [owner.__dict__.get("forward") for owner in owners]
    with open_policy(sft) as policy:
        monitor = Monitor(policy, toy_material(), toy_settings(), 0, History(), tmp_path, {})
        trl_methods.make_trainer("rloo", monitor)
        assert [owner.__dict__.get("forward") for owner in owners] != before
    assert [owner.__dict__.get("forward") for owner in owners] == before


def test_figures_of_a_step_have_our_names_and_the_kl_is_per_reply():
    logs = {"loss": 0.1, "kl": 0.5, "completions/mean_length": 8.0, "reward": 1.0, "group_std": 0.2}
    figures = trl_methods.read_figures(logs)
    assert figures == {"loss": 0.1, "reward": 1.0, "length": 8.0, "reward_std": 0.2, "kl": 4.0}
    assert "kl" not in trl_methods.read_figures(logs | {"kl": None})
    assert math.isnan(trl_methods.read_figures({"loss": 1.0, "entropy": None})["entropy"])


@pytest.mark.parametrize("method", ["rloo", "grpo", "dpo"])
@pytest.mark.parametrize("kind", BASES)
def test_every_architecture_trains_on_padded_batches(kind, method, tmp_path):
    """Prompts of different lengths are padded on the left, which made BLOOM's attention NaN."""
    settings = toy_settings(rl_steps=2, eval_steps=2, prompts_per_step=3, kl_cap=1e5)
    with open_policy(random_sft(kind)) as policy:
        monitor = Monitor(policy, toy_material(), settings, 7, History(), tmp_path, {"toy": True})
        monitor.add_start({})
        before = {name: weight.clone() for name, weight in policy.list_weights().items()}
        trl_methods.train_with_trl(method, monitor, None)
        after = policy.list_weights()
        assert all(weight.isfinite().all() for weight in after.values())
        assert sum(not torch.equal(after[name], before[name]) for name in after) > len(after) / 2
    assert [step["step"] for step in monitor.history.steps] == [1, 2]
    assert all(math.isfinite(step["loss"]) for step in monitor.history.steps)
