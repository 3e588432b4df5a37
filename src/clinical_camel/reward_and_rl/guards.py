"""When the training of a policy stops: its reward, its KL or its replies show that it has failed.

A trainer continues in all these cases, and except for NaN its loss looks normal.
"""

import math
from collections.abc import Mapping, Sequence

from clinical_camel.models.checkpoints import TrainingError
from clinical_camel.reward_and_rl.settings import RewardAndRl

KL_STEPS = 3  # batches in a row above kl_cap: the KL of one batch is noisy
LENGTH_STEPS = 3  # batches in a row with collapsed replies
COLLAPSED = 0.1  # share of the first length
SHORT = 3.0  # tokens: replies that were twice as long and are this short have collapsed, too
EQUAL_STEPS = 5  # batches in a row in which no prompt has two replies of different reward
# standard deviation of such rewards: identical replies, scored in other batches, differ by rounding
EQUAL_STD = 1e-5
FIGURES = ("loss", "value_loss", "reward", "reward_std", "kl", "entropy", "grad_norm")
Step = Mapping[str, float]


class StoppedTraining(TrainingError):
    """A training of a policy that was stopped; the message is the reason."""


def check_steps(steps: Sequence[Step], settings: RewardAndRl) -> str:
    """Return why a training must stop after its last step, with a remedy; "" if it may continue.

    `steps`: the figures of all steps so far. A figure that a method does not have is not checked.
    """
    last = steps[-1]
    for name in FIGURES:
        if not math.isfinite(last.get(name, 0.0)):
            return f"{name} is {last[name]}; use a lower learning rate"
    kls = [step["kl"] for step in steps[-KL_STEPS:] if "kl" in step]
    if len(kls) == KL_STEPS and min(kls) > settings.kl_cap:
        return describe_kl(kls[-1], settings.kl_cap)
    return _check_length(steps) or _check_equal_rewards(steps)


def describe_kl(kl: float, kl_cap: float) -> str:
    """Return the reason of a training whose KL exceeded its cap."""
    return (
        f"the KL to the SFT model is {kl:.1f} nats per reply, above kl_cap, {kl_cap:g}; use a "
        "higher kl_coefficient or a lower learning rate"
    )


def _check_length(steps: Sequence[Step]) -> str:
    lengths = [step["length"] for step in steps if "length" in step]
    if len(lengths) < 2 * LENGTH_STEPS:
        return ""
    first = sum(lengths[:LENGTH_STEPS]) / LENGTH_STEPS
    return check_collapse(first, max(lengths[-LENGTH_STEPS:]))


def check_collapse(first: float, last: float) -> str:
    """Return that replies have collapsed from a mean length to another, in tokens; "" if not.

    A method that writes no replies while it trains (DPO) is checked at its measurements.
    """
    if last > max(SHORT if first > 2 * SHORT else 1.0, COLLAPSED * first):
        return ""
    return (
        f"replies collapsed from {first:.1f} to {last:.1f} tokens; check that the reward does not "
        "prefer empty replies, or use a higher kl_coefficient"
    )


def _check_equal_rewards(steps: Sequence[Step]) -> str:
    stds = [step["reward_std"] for step in steps[-EQUAL_STEPS:] if "reward_std" in step]
    if len(stds) < EQUAL_STEPS or max(stds) > EQUAL_STD:
        return ""
    return (
        f"in {EQUAL_STEPS} batches in a row, all replies to a prompt had the same reward, so there "
        "is nothing to learn from; use a higher temperature, more num_generations, or a finer "
        "reward"
    )
