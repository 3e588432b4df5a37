"""PPO: a two-step example computed by hand, and the gradient of TRL's RLOO."""

import copy
import types

import pytest
import torch
from datasets import Dataset
from tests.support.toy_policies import toy_material, toy_settings
from trl import RLOOConfig, RLOOTrainer

from clinical_camel.reward_and_rl import ppo
from clinical_camel.reward_and_rl.guards import StoppedTraining
from clinical_camel.reward_and_rl.rollouts import open_policy, predict

TWO = torch.tensor([[True, True]])


def row(*numbers: float) -> torch.Tensor:
    return torch.tensor([numbers], dtype=torch.float32)


def test_the_two_step_example_that_was_computed_by_hand():
    """Score 1, beta 0.1, lambda 0.5, clip range 0.2.

    Rewards: -0.1 * (-1.0 + 1.5) = -0.05, and -0.1 * (-2.0 + 1.0) + 1 = 1.1.
    delta_2 = 1.1 - 0.25 = 0.85, delta_1 = -0.05 + 0.25 - 0.5 = -0.3.
    A_2 = 0.85, A_1 = -0.3 + 0.5 * 0.85 = 0.125; returns 0.625 and 1.1.
    Ratios exp(0.1) = 1.10517, exp(-0.5) = 0.60653; the loss is the larger one of each token:
    -0.125 * 1.10517 = -0.13815; max(-0.85 * 0.60653, -0.85 * 0.8) = -0.51555. Their sum: -0.65370.
    Values 0.6 and 0.3: (0.025^2 + 0.8^2) / 2 = 0.3203125.
    """
    rewards = ppo.shape_rewards(torch.tensor([1.0]), row(-1, -2), row(-1.5, -1), TWO, 0.1)
    torch.testing.assert_close(rewards, row(-0.05, 1.1))
    advantages, returns = ppo.estimate_advantages(rewards, row(0.5, 0.25), TWO, 0.5)
    torch.testing.assert_close(advantages, row(0.125, 0.85))
    torch.testing.assert_close(returns, row(0.625, 1.1))
    loss, clipped = ppo.compute_policy_loss(row(-0.9, -2.5), row(-1, -2), advantages, TWO, 0.2)
    assert loss.item() == pytest.approx(-0.65370, abs=1e-5)
    assert clipped == 0
    assert ppo.compute_value_loss(row(0.6, 0.3), returns, TWO).item() == pytest.approx(0.3203125)


def test_a_ratio_that_moved_too_far_in_the_right_direction_has_no_gradient():
    """exp(0.5) is above 1.2 with a positive advantage, exp(-0.5) below 0.8 with a negative one."""
    log_probs = row(-0.5, -2.5).requires_grad_()
    loss, clipped = ppo.compute_policy_loss(log_probs, row(-1, -2), row(1, -1), TWO, 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(-1.2 + 0.8)
    assert log_probs.grad.tolist() == [[0, 0]]
    assert clipped == 2


def test_padding_after_a_reply_changes_nothing():
    mask = torch.tensor([[True, True, False]])
    rewards = ppo.shape_rewards(torch.tensor([1.0]), row(-1, -2, -9), row(-1.5, -1, -3), mask, 0.1)
    advantages, returns = ppo.estimate_advantages(rewards, row(0.5, 0.25, 7), mask, 0.5)
    torch.testing.assert_close(rewards, row(-0.05, 1.1, 0))
    torch.testing.assert_close(advantages, row(0.125, 0.85, 0))
    torch.testing.assert_close(returns, row(0.625, 1.1, 0))
    normal = ppo.normalise_advantages(advantages, mask)
    torch.testing.assert_close(normal, row(-1, 1, 0))


def test_lambda_one_gives_returns_without_bootstrapping():
    rewards = row(-0.05, 0.2, 1.1)
    three = torch.ones(1, 3, dtype=torch.bool)
    _, returns = ppo.estimate_advantages(rewards, row(0.5, -3, 0.25), three, 1.0)
    torch.testing.assert_close(returns, row(1.25, 1.3, 1.1))


@pytest.fixture
def prepared(sft):
    """A policy, its rollouts of one step with equal prompts in groups, and settings."""
    settings = toy_settings(num_generations=3, kl_coefficient=0.0, gae_lambda=1.0, ppo_epochs=1)
    with open_policy(sft) as policy:
        yield policy, ppo.sample_step(policy, toy_material(), settings, 0, 1), settings


def collect_gradient(policy) -> torch.Tensor:
    weights = policy.list_weights().values()
    gradient = torch.cat([weight.grad.flatten() for weight in weights]).clone()
    for weight in weights:
        weight.grad = None
    return gradient


def test_with_lambda_1_and_the_mean_of_the_others_as_value_the_gradient_is_that_of_trl_s_rloo(
    prepared, tmp_path
):
    """TRL sums over tokens and averages over replies, PPO averages over the tokens of a batch."""
    policy, rollouts, settings = prepared
    scores = torch.tensor([1.0, 0.0, 0.5, 2.0, -1.0, 0.0])
    groups = scores.view(-1, 3)
    others = ((groups.sum(1, keepdim=True) - groups) / 2).flatten()
    mask, model = rollouts.reply_mask, policy.llm.activate()
    values = others[:, None].expand(mask.shape)
    now = predict(model, rollouts, 1.0).log_probs(rollouts)
    rewards = ppo.shape_rewards(scores, now.detach(), now.detach(), mask, 0.0)
    advantages, _ = ppo.estimate_advantages(rewards, values, mask, 1.0)
    loss, _ = ppo.compute_policy_loss(now, now.detach(), advantages, mask, 0.2)
    loss.backward()
    ours = collect_gradient(policy)

    config = RLOOConfig(
        *(str(tmp_path),), num_generations=3, per_device_train_batch_size=6, use_cpu=True,
        bf16=False, report_to="none", max_completion_length=6, activation_checkpointing=False,
        disable_dropout=True, beta=0.0,
    )  # fmt: skip
    trainer = RLOOTrainer(
        model=model,
        args=config,
        reward_funcs=lambda **_: [0.0],
        train_dataset=Dataset.from_list([{"prompt": "x"}]),
        processing_class=copy.deepcopy(policy.llm.tokenizer),
    )
    width = mask.shape[1]
    inputs = {
        "prompt_ids": rollouts.tokens[:, :-width],
        "prompt_mask": rollouts.mask[:, :-width],
        "completion_ids": rollouts.tokens[:, -width:],
        "completion_mask": mask.long(),
        "old_logps": (now.detach() * mask).sum(1),
        "advantages": scores - others,
    }
    trainer._compute_loss(trainer.model, inputs).backward()
    theirs = collect_gradient(policy) * len(rollouts)
    assert ours.norm() > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * ours.abs().max().item())


def test_a_batch_in_parts_gives_the_gradient_of_the_complete_batch(prepared):
    policy, rollouts, settings = prepared
    learner = ppo.make_learner(policy, settings)
    scores = torch.arange(6.0)
    targets, _ = ppo.prepare_targets(learner, rollouts, scores, settings)
    learner.optimizer.step = lambda: None
    learner.optimizer.zero_grad = lambda **_: None
    gradients = []
    for budget in (16384, 64):
        part = settings.model_copy(update={"token_budget": budget})
        figures = ppo.update(learner, rollouts, targets, part)
        gradients.append((collect_gradient(policy), figures["loss"]))
    assert len(list(rollouts.split(64))) > 1
    torch.testing.assert_close(gradients[0][0], gradients[1][0], rtol=1e-3, atol=1e-6)
    assert gradients[0][1] == pytest.approx(gradients[1][1], abs=1e-6)


def test_replies_are_sampled_in_batches_of_their_own_budget(prepared, monkeypatch):
    policy, rollouts, settings = prepared
    budgets = []
    monkeypatch.setattr(
        ppo, "sample_rollouts", lambda *_, token_budget, **__: budgets.append(token_budget)
    )
    changed = settings.model_copy(update={"token_budget": 256, "sampling_token_budget": 777})
    material = types.SimpleNamespace(training=[reply.prompt for reply in rollouts.replies])
    ppo.sample_step(policy, material, changed, seed=0, step=1)
    assert budgets == [777]


def test_the_value_loss_does_not_move_the_policy(prepared):
    policy, rollouts, settings = prepared
    learner = ppo.make_learner(policy, settings)
    states = predict(policy.llm.activate(), rollouts, 1.0).states
    mask = rollouts.reply_mask
    returns = torch.ones(mask.shape)
    ppo.compute_value_loss(learner.values(states), returns, mask).backward()
    assert all(weight.grad is None for weight in policy.list_weights().values())
    assert learner.head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("part", "key"), [("policy", "learning_rates.ppo"), ("head", "value_learning_rate")]
)
def test_a_gradient_that_is_no_number_names_the_learning_rate_to_lower(part, key, prepared):
    policy, rollouts, settings = prepared
    learner = ppo.make_learner(policy, settings)
    targets, _ = ppo.prepare_targets(learner, rollouts, torch.ones(len(rollouts)), settings)
    field = targets.advantages if part == "policy" else targets.returns
    field.fill_(float("nan"))
    with pytest.raises(StoppedTraining, match=f"norm of the gradient is nan; use a lower {key}$"):
        ppo.update(learner, rollouts, targets, settings)
    learner.optimizer.zero_grad(set_to_none=True)
