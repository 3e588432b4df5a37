"""PPO as ClinicalGPT publishes it: reward - beta * log(policy / SFT), value head, GAE, clipping.

Sources: Schulman et al. 2017, arXiv:1707.06347 (clipped ratio), 2016, arXiv:1506.02438 (GAE);
Ziegler et al. 2019, arXiv:1909.08593 (the reward of a language model). A token is an action; the
discount is 1. The KL term is a reward at each token, the reward of the reply comes at its last one.

The value head is linear in float32 on the policy's last hidden state. Its gradient stops there, so
that a wrong value cannot move the policy. With lambda 1, beta 0, one epoch, a head replaced by the
mean reward of a prompt's other replies and advantages that are not normalised, the gradient is that
of RLOO; a test compares it with TRL's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from clinical_camel.models import Decoding
from clinical_camel.reward_and_rl.guards import StoppedTraining
from clinical_camel.reward_and_rl.material import (
    Material,
    choose_batch,
    compute_group_std,
    compute_rewards,
)
from clinical_camel.reward_and_rl.rollouts import Policy, Rollouts, predict, sample_rollouts
from clinical_camel.reward_and_rl.settings import PPO, RewardAndRl

STATE = "ppo.safetensors"  # in a checkpoint: policy, value head, optimizer
MAX_GRAD_NORM = 1.0
SEED_STEP = 1_000_003  # between steps; a prime, so that the seeds of two steps do not coincide


def shape_rewards(
    scores: torch.Tensor,
    log_probs: torch.Tensor,
    reference: torch.Tensor,
    mask: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    """Return the reward of each token, [replies, tokens].

    -beta * (log_probs - reference) everywhere, plus the score of the reply at its last token.
    `scores` [replies]; the others [replies, tokens], `mask` true for tokens of the reply.
    """
    rewards = -beta * (log_probs - reference) * mask
    last = mask.long().sum(1) - 1
    rewards[torch.arange(len(scores)), last] += scores.to(rewards)
    return rewards


def estimate_advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gae_lambda: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return advantages and returns of each token, [replies, tokens] (GAE, discount 1).

    delta_t = r_t + V_{t+1} - V_t, A_t = delta_t + lambda A_{t+1}, and returns A_t + V_t; the value
    after the last token is 0.

    >>> rewards, values = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.25]])
    >>> mask = torch.tensor([[True, True]])
    >>> [x.tolist() for x in estimate_advantages(rewards, values, mask, 0.5)]
    [[[0.125, 0.75]], [[0.625, 1.0]]]
    """
    values = values * mask
    advantages = torch.zeros_like(values)
    following = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        after = values[:, t + 1] if t + 1 < values.shape[1] else torch.zeros_like(following)
        delta = rewards[:, t] + after - values[:, t]
        following = (delta + gae_lambda * following) * mask[:, t]
        advantages[:, t] = following
    return advantages, (advantages + values) * mask


def normalise_advantages(advantages: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return advantages with mean 0 and standard deviation 1 over the tokens of a batch."""
    real = advantages[mask]
    return (advantages - real.mean()) / (real.std(correction=0) + 1e-8) * mask


def compute_policy_loss(
    log_probs: torch.Tensor,
    old_log_probs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    clip_range: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the clipped loss, summed over tokens, and the number of clipped tokens."""
    ratio = ((log_probs - old_log_probs) * mask).exp()
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    losses = torch.maximum(-advantages * ratio, -advantages * clipped)
    is_clipped = (-advantages * clipped > -advantages * ratio) & mask
    return (losses * mask).sum(), is_clipped.sum()


def compute_value_loss(
    values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return half the squared error of the values, summed over tokens.

    Not clipped: a clipped value moves at most the range per batch, whatever the scale of the
    rewards (Andrychowicz et al. 2021, arXiv:2006.05990, find clipping harmful).
    """
    return 0.5 * ((values - returns) ** 2 * mask).sum()


@dataclass(slots=True)
class Learner:
    """What PPO trains: the policy's matrices and the value head, with their optimizer."""

    policy: Policy
    head: torch.nn.Linear
    optimizer: torch.optim.Optimizer

    def values(self, states: torch.Tensor) -> torch.Tensor:
        """Return the value before each token, float32 [replies, tokens]."""
        return self.head(states.detach().float()).squeeze(-1)

    def list_tensors(self) -> dict[str, torch.nn.Parameter]:
        """Return everything that is trained, by name."""
        head = {f"value_head.{name}": p for name, p in self.head.named_parameters()}
        return self.policy.list_weights() | head


def make_learner(policy: Policy, settings: RewardAndRl) -> Learner:
    """Return the learner before its first step; its value head is zero."""
    model = policy.llm.model
    width = model.get_output_embeddings().in_features
    head = torch.nn.Linear(width, 1, device=model.device, dtype=torch.float32)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    groups = [
        {"params": [*policy.list_weights().values()], "lr": settings.learning_rates[PPO]},
        {"params": [*head.parameters()], "lr": settings.value_learning_rate},
    ]
    return Learner(policy, head, torch.optim.AdamW(groups, weight_decay=0.0))


@dataclass(frozen=True, slots=True)
class Targets:
    """What the losses of a batch need, computed before its first update: [replies, tokens] each."""

    old_log_probs: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor

    def select(self, rows: Sequence[int], width: int) -> "Targets":
        """Return those of some replies, as many tokens of each as the longest of them has."""
        fields = (self.old_log_probs, self.advantages, self.returns)
        return Targets(*(field[rows, :width] for field in fields))


def train_ppo(
    policy: Policy,
    material: Material,
    settings: RewardAndRl,
    seed: int,
    *,
    checkpoint: Path | None,
    on_step: Callable[[int, dict[str, float], Callable[[Path], None]], None],
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Train a policy for `rl_steps` batches, from a checkpoint if there is one.

    After each step, `on_step` gets its number (from 1), its figures, and a function that writes a
    checkpoint into a folder. A step depends only on the weights, its number and `seed`, so a
    resumed training computes the same numbers. `on_step` may raise to stop. `on_start` is called
    with the weights of the checkpoint in place.
    """
    learner = make_learner(policy, settings)
    start = _load(learner, checkpoint) if checkpoint else 0
    on_start()
    for step in range(start + 1, settings.rl_steps + 1):
        rollouts = sample_step(policy, material, settings, seed, step)
        scores = compute_rewards(material.proxy, rollouts.replies, settings.truncation_penalty)
        targets, figures = prepare_targets(learner, rollouts, scores, settings)
        for _ in range(settings.ppo_epochs):
            figures |= update(learner, rollouts, targets, settings)
        on_step(step, figures, lambda folder, step=step: _save(learner, step, folder))


def sample_step(
    policy: Policy, material: Material, settings: RewardAndRl, seed: int, step: int
) -> Rollouts:
    """Return `num_generations` replies to each of the `prompts_per_step` prompts of a step."""
    prompts = choose_batch(material.training, settings.prompts_per_step, step - 1, seed)
    repeated = [prompt for prompt in prompts for _ in range(settings.num_generations)]
    first = (seed + 1) * SEED_STEP**2 + step * SEED_STEP
    return sample_rollouts(
        policy.llm,
        repeated,
        Decoding(settings.max_new_tokens, temperature=settings.temperature),
        token_budget=settings.sampling_token_budget,
        seeds=[(first + i) % 2**63 for i in range(len(repeated))],
    )


@torch.no_grad()
def prepare_targets(
    learner: Learner, rollouts: Rollouts, scores: torch.Tensor, settings: RewardAndRl
) -> tuple[Targets, dict[str, float]]:
    """Return the targets of a batch, and its figures: reward, kl, length, truncated, entropy."""
    mask = rollouts.reply_mask
    wholes = log_probs, reference, values, entropies = mask.new_zeros((4, *mask.shape)).float()
    model, temperature = learner.policy.llm.activate(), settings.temperature
    for rows, part in rollouts.split(settings.token_budget):
        now = predict(model, part, temperature)
        with learner.policy.use_reference() as sft:
            before = predict(sft, part, temperature).log_probs(part)
        parts = (now.log_probs(part), before, learner.values(now.states), now.entropies())
        for whole, values_of_part in zip(wholes, parts, strict=True):
            whole[rows, : before.shape[1]] = values_of_part
    rewards = shape_rewards(scores, log_probs, reference, mask, settings.kl_coefficient)
    advantages, returns = estimate_advantages(rewards, values, mask, settings.gae_lambda)
    figures = {
        "reward": scores.mean().item(),
        "reward_std": compute_group_std(scores, settings.num_generations),
        "kl": ((log_probs - reference) * mask).sum(1).mean().item(),
        "length": rollouts.count_tokens().mean().item(),
        "truncated": sum(not r.complete for r in rollouts.replies) / len(rollouts),
        "entropy": (entropies[mask].mean()).item(),
        "value": (values[mask].mean()).item(),
    }
    advantages = normalise_advantages(advantages, mask)
    return Targets(log_probs, advantages, returns), figures


def update(
    learner: Learner, rollouts: Rollouts, targets: Targets, settings: RewardAndRl
) -> dict[str, float]:
    """Take one optimizer step on a batch; return loss, value_loss, grad_norm and clipped.

    Losses are means over all tokens of the batch, also if it is computed in parts.
    """
    total = rollouts.reply_mask.sum()
    sums = torch.zeros(3)
    model = learner.policy.llm.activate()
    for rows, part in rollouts.split(settings.token_budget):
        mask = part.reply_mask
        of_part = targets.select(rows, mask.shape[1])
        now = predict(model, part, settings.temperature)
        loss, clipped = compute_policy_loss(
            now.log_probs(part),
            of_part.old_log_probs,
            of_part.advantages,
            mask,
            settings.clip_range,
        )
        value_loss = compute_value_loss(learner.values(now.states), of_part.returns, mask)
        ((loss + value_loss) / total).backward()
        sums += torch.stack([loss.detach(), value_loss.detach(), clipped]).cpu() / total.cpu()
    groups = [group["params"] for group in learner.optimizer.param_groups]
    norms = [torch.nn.utils.clip_grad_norm_(group, MAX_GRAD_NORM).item() for group in groups]
    for norm, key in zip(norms, (f"learning_rates.{PPO}", "value_learning_rate"), strict=True):
        if not math.isfinite(norm):
            raise StoppedTraining(f"the norm of the gradient is {norm}; use a lower {key}")
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    names = ("loss", "value_loss", "clipped")
    return dict(zip(names, sums.tolist(), strict=True)) | {"grad_norm": norms[0]}


def _save(learner: Learner, step: int, folder: Path) -> None:
    """Write everything that a resumed training needs; no pickle."""
    tensors: dict[str, Any] = {"step": torch.tensor(step)}
    for name, parameter in learner.list_tensors().items():
        tensors[f"weight/{name}"] = parameter.detach()
        for key, value in learner.optimizer.state[parameter].items():
            tensors[f"{key}/{name}"] = value
    save_file({name: t.cpu().contiguous() for name, t in tensors.items()}, folder / STATE)


def _load(learner: Learner, folder: Path) -> int:
    """Restore weights and optimizer; return the step that was saved."""
    tensors = load_file(folder / STATE)
    with torch.no_grad():
        for name, parameter in learner.list_tensors().items():
            parameter.copy_(tensors[f"weight/{name}"])
            state = {key: tensors[f"{key}/{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
            device = {key: parameter.device for key in ("exp_avg", "exp_avg_sq")}
            learner.optimizer.state[parameter] = {
                key: value.to(device.get(key, "cpu")) for key, value in state.items()
            }
    return int(tensors["step"])
