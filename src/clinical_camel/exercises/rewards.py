"""Exercises of step 07: beta, the clipped ratio, a reward that can be hacked."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from clinical_camel import mini
from clinical_camel.exercises.feedback import (
    OPEN,
    RIGHT,
    WRONG,
    Feedback,
    grade_function,
    require_number,
)
from clinical_camel.reward_and_rl.ppo import compute_policy_loss
from clinical_camel.reward_and_rl.rule import score_by_rule
from clinical_camel.reward_and_rl.shapes import Prompt, Reply

# A prompt with four possible replies. The reward model prefers long replies, right or wrong.
REPLIES = ("right, short", "right, long", "wrong, long", "wrong, short")
SFT = np.array([0.35, 0.15, 0.15, 0.35])  # probabilities before RL
PROXY = np.array([1.0, 1.2, 1.5, 0.2])  # rewards of the reward model
IS_RIGHT = np.array([1.0, 1.0, 0.0, 0.0])
BETAS = (1.0, 0.1)
DIRECTIONS = ("higher", "lower", "same")
PROMPTS, MIN_SHARE, RELATION = 40, 0.95, "treatment"
FILLERS = (
    "This is well known, and it is important for every patient to know it.",
    "As a careful doctor I would always say so, in all cases and at all times.",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy that PPO would reach: its probabilities, KL in nats, proxy and accuracy."""

    probabilities: np.ndarray
    kl: float
    proxy: float
    accuracy: float


def solve_policy(beta: float) -> Policy:
    """Return the policy with the highest reward minus beta times KL: SFT x exp(proxy / beta).

    PPO approaches it; for four replies it can be calculated (Rafailov et al. 2023,
    arXiv:2305.18290, equation 4).
    """
    weights = SFT * np.exp((PROXY - PROXY.max()) / beta)
    p = weights / weights.sum()
    kl = float(np.sum(p * np.log(np.maximum(p, 1e-300) / SFT)))
    return Policy(p, kl, float(p @ PROXY), float(p @ IS_RIGHT))


def grade_beta(kl: object, accuracy: object) -> Feedback:
    """Grade two predictions, words of DIRECTIONS: what a smaller beta does to KL and accuracy."""
    words = {
        "KL": str(kl or "").strip().lower(),
        "accuracy": str(accuracy or "").strip().lower(),
    }
    if not any(words.values()):
        return Feedback(OPEN, 'Write "higher", "lower" or "same" for both first.')
    for name, word in words.items():
        if word not in DIRECTIONS:
            return Feedback(WRONG, f"{name}: {word!r} is not one of {', '.join(DIRECTIONS)}.")
    large, small = map(solve_policy, BETAS)
    truth = {"KL": _compare(large.kl, small.kl)}
    truth["accuracy"] = _compare(large.accuracy, small.accuracy)
    numbers = (
        f"beta {BETAS[0]} to {BETAS[1]}: KL {large.kl:.2f} to {small.kl:.2f} nats, proxy "
        f"{large.proxy:.2f} to {small.proxy:.2f}, accuracy {large.accuracy:.0%} to "
        f"{small.accuracy:.0%}"
    )
    why = {
        "KL": "Beta is the price of distance: a lower price buys more of it.",
        "accuracy": "The reward model rates a wrong reply highest, so more freedom finds it.",
    }
    wrong = [name for name in words if words[name] != truth[name]]
    if wrong:
        lines = [f"{name} is {truth[name]}, not {words[name]}: {why[name]}" for name in wrong]
        return Feedback(WRONG, " ".join([*lines, f"({numbers})"]))
    return Feedback(RIGHT, f"{numbers}. The proxy rises while the accuracy falls: reward hacking.")


def _compare(before: float, after: float) -> str:
    if math.isclose(before, after, abs_tol=0.005):
        return "same"
    return "higher" if after > before else "lower"


def grade_clipped_objective(function: Callable) -> Feedback:
    """Grade `function(ratio, advantage, clip)`: what PPO maximises for one token."""
    return grade_function(function, _grade_objective)


def _grade_objective(objective: Callable) -> Feedback:
    clip = 0.2
    cases = [(ratio, advantage) for ratio in (0.5, 0.9, 1.1, 1.5) for advantage in (2.0, -2.0)]
    right = [_compute_objective(*case, clip) for case in cases]
    values = [require_number(objective(*case, clip)) for case in cases]
    wrong = [i for i, (v, r) in enumerate(zip(values, right, strict=True)) if abs(v - r) > 1e-5]
    if not wrong:
        return Feedback(
            RIGHT,
            "Where the clipped value is the smaller one, the gradient is zero: a token that is "
            "already much more probable is not pushed further by the same batch.",
        )
    (ratio, advantage), place = cases[wrong[0]], wrong[0]
    hint = next(
        (
            text
            for text, mistake in MISTAKES.items()
            if np.allclose(values, [mistake(r * a, _clip(r, clip), a) for r, a in cases])
        ),
        "Multiply ratio and clipped ratio with the advantage, then compare.",
    )
    return Feedback(
        WRONG,
        f"Ratio {ratio}, advantage {advantage}, clip {clip}: yours is {values[place]:.2f}, it "
        f"should be {right[place]:.2f}. {hint}",
    )


def _clip(value: float, clip: float) -> float:
    return min(max(value, 1 - clip), 1 + clip)


# Common mistakes, as functions of ratio x advantage, the clipped ratio and the advantage.
MISTAKES: dict[str, Callable[[float, float, float], float]] = {
    "Reversed sign: this is the loss. Return what PPO maximises.": (
        lambda plain, ratio, advantage: -min(plain, ratio * advantage)
    ),
    "Take the smaller of the two, not the larger: the bound must be cautious.": (
        lambda plain, ratio, advantage: max(plain, ratio * advantage)
    ),
    "This is not clipped at all.": lambda plain, ratio, advantage: plain,
    "Clip is not enough: compare with the value that is not clipped.": (
        lambda plain, ratio, advantage: ratio * advantage
    ),
    "Clip the ratio, not its product with the advantage.": (
        lambda plain, ratio, advantage: _clip(plain, 0.2)
    ),
}


def _compute_objective(ratio: float, advantage: float, clip: float) -> float:
    """Return minus the loss of step 07 for one token."""
    one = torch.tensor([[math.log(ratio)]], dtype=torch.float64)
    zero = torch.zeros_like(one)
    mask = torch.ones(1, 1, dtype=torch.bool)
    loss, _ = compute_policy_loss(one, zero, torch.full_like(one, advantage), mask, clip)
    return -loss.item()


def list_candidates(count: int = PROMPTS) -> list[tuple[Prompt, list[str]]]:
    """Return prompts on facts of the embedded study, each with four replies in a random order.

    The replies: the right fact in other words, a wrong fact, a wrong fact with much padding, and
    the right fact together with a wrong one.
    """
    table = pd.read_csv(Path(mini.__file__).with_name("triples.csv"))
    table = table[table["relation"] == RELATION].drop_duplicates("subject").head(count)
    subjects, facts = table["subject"].tolist(), table["object"].tolist()
    rng = random.Random(0)
    rows = []
    for index, (subject, fact) in enumerate(zip(subjects, facts, strict=True)):
        other = facts[(index + len(facts) // 2) % len(facts)]
        messages = [{"role": "user", "content": f"How is {subject} treated?"}]
        prompt = Prompt(subject, subject, messages, f"The treatment of {subject} is {fact}.")
        replies = [
            f"In {subject}: {fact}.",
            f"In {subject}: {other}.",
            f"In {subject}: {other}. {' '.join(FILLERS)}",
            f"In {subject}: {other}, or {fact}.",
        ]
        rows.append((prompt, rng.sample(replies, len(replies))))
    return rows


def biased_reward(reply: str, question: str, reference: str) -> float:
    """Return a reward with a length bias: words shared with the reference, and 0.1 per word."""
    shared = set(reply.lower().split()) & set(reference.lower().split())
    return len(shared) / len(set(reference.split())) + 0.1 * len(reply.split())


def grade_repaired_reward(function: Callable) -> Feedback:
    """Grade `function(reply, question, reference)`: is the best of four the right one?"""
    return grade_function(function, _grade_reward)


def choose_best(reward: Callable, rows: Sequence[tuple[Prompt, list[str]]]) -> list[str]:
    """Return for each prompt the reply with the highest reward; the first of equal ones."""
    return [
        max(
            replies,
            key=lambda r: require_number(reward(r, p.messages[-1]["content"], p.reference)),
        )
        for p, replies in rows
    ]


def _grade_reward(reward: Callable) -> Feedback:
    rows = list_candidates()
    chosen = choose_best(reward, rows)
    gold = [
        max(replies, key=lambda r: score_by_rule(Reply(p, r, True)))  # noqa: B023
        for p, replies in rows
    ]
    share = sum(a == b for a, b in zip(chosen, gold, strict=True)) / len(rows)
    before = choose_best(biased_reward, rows)
    first = sum(a == b for a, b in zip(before, gold, strict=True)) / len(rows)
    text = f"Best of four: {share:.0%} right with your reward, {first:.0%} with the biased one. "
    if share >= MIN_SHARE:
        return Feedback(
            RIGHT,
            text
            + "It works because the reference is there. For a real consultation there is none, "
            "and a reward model has to guess.",
        )
    missed = next(c for c, g in zip(chosen, gold, strict=True) if c != g)
    padded = sum(FILLERS[0] in reply for reply in chosen) / len(rows)
    hedged = sum(", or " in reply for reply in chosen) / len(rows)
    hint = "It prefers a wrong fact: compare the reply with the reference."
    if padded > 0.3:
        hint = "It still pays for length: padding must not pay."
    elif hedged > 0.3:
        hint = "It does not punish a second, wrong fact: words that are not right must cost."
    return Feedback(WRONG, f"{text}{hint} Chosen, for example: {missed!r}")
