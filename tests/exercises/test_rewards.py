"""Exercises of step 07: right answers, and typical wrong ones with their reasons."""

import re

import numpy as np
import pytest

from clinical_camel.exercises import rewards
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG
from clinical_camel.reward_and_rl.rule import score_by_rule
from clinical_camel.reward_and_rl.shapes import Reply


@pytest.mark.parametrize(
    ("answers", "verdict", "part"),
    [
        (("higher", "lower"), RIGHT, "reward hacking"),
        (("lower", "lower"), WRONG, "Beta is the price of distance"),
        (("higher", "higher"), WRONG, "rates a wrong reply highest"),
        (("same", "same"), WRONG, "KL is higher, not same"),
        (("more", "less"), WRONG, "'more' is not one of"),
        (("", ""), OPEN, "for both first"),
    ],
)
def test_a_smaller_beta(answers, verdict, part):
    result = rewards.grade_beta(*answers)
    assert result.verdict == verdict
    assert part in result.reason


def test_the_policy_is_the_best_of_many_others():
    policy = rewards.solve_policy(0.5)
    rng = np.random.default_rng(0)
    for p in rng.dirichlet(np.ones(4), 2000):
        value = p @ rewards.PROXY - 0.5 * np.sum(p * np.log(p / rewards.SFT))
        assert value <= policy.proxy - 0.5 * policy.kl + 1e-9


def clip_ratio(ratio, clip):
    return min(max(ratio, 1 - clip), 1 + clip)


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (lambda r, a, c: min(r * a, clip_ratio(r, c) * a), RIGHT, "the gradient is zero"),
        (lambda r, a, c: max(r * a, clip_ratio(r, c) * a), WRONG, "not the larger"),
        (lambda r, a, c: r * a, WRONG, "not clipped at all"),
        (lambda r, a, c: clip_ratio(r, c) * a, WRONG, "Clip is not enough"),
        (lambda r, a, c: -min(r * a, clip_ratio(r, c) * a), WRONG, "Reversed sign"),
        (lambda r, a, c: min(max(r * a, 1 - c), 1 + c), WRONG, "Clip the ratio"),
        (lambda r, a, c: 9.0, WRONG, "Multiply ratio"),
        (lambda r, a, c: ..., OPEN, "returns nothing yet"),
    ],
)
def test_the_clipped_objective(function, verdict, part):
    result = rewards.grade_clipped_objective(function)
    assert result.verdict == verdict
    assert part in result.reason


def split(text):
    return set(re.findall(r"[a-z0-9]+", text.lower()))


def f1(reply, question, reference):
    fact, written = split(reference) - split(question), split(reply) - split(question)
    return 2 * len(fact & written) / (len(fact) + len(written))


def recall(reply, question, reference):
    fact = split(reference) - split(question)
    return len(fact & split(reply)) / len(fact)


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (f1, RIGHT, "there is none"),
        (rewards.biased_reward, WRONG, "padding must not pay"),
        (recall, WRONG, "second, wrong fact"),
        (lambda reply, q, r: -len(reply), WRONG, "prefers a wrong fact"),
        (lambda reply, q, r: None, OPEN, "returns nothing yet"),
    ],
)
def test_a_repaired_reward(function, verdict, part):
    result = rewards.grade_repaired_reward(function)
    assert result.verdict == verdict
    assert part in result.reason


def test_of_the_candidates_one_states_the_fact_alone():
    for prompt, replies in rewards.list_candidates():
        scores = sorted(score_by_rule(Reply(prompt, reply, True)) for reply in replies)
        assert scores[-1] == 1.0
        assert scores[-2] < 1.0
