"""When the training of a policy stops."""

import math

import pytest
from tests.support.toy_policies import toy_settings

from clinical_camel.reward_and_rl import guards

GOOD = {"loss": -0.1, "reward": 0.5, "reward_std": 0.2, "kl": 1.0, "length": 20.0}


def check(*steps):
    return guards.check_steps([GOOD | step for step in steps], toy_settings(kl_cap=5.0))


def test_a_normal_training_goes_on():
    assert check(*[{}] * 20) == ""
    assert guards.check_steps([{"loss": 0.7}] * 20, toy_settings()) == ""  # DPO has no rewards


@pytest.mark.parametrize("name", ["loss", "reward", "kl", "grad_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_that_is_no_number_stops_at_once(name, value):
    assert check({}, {name: value}) == f"{name} is {value}; use a lower learning rate"


def test_a_kl_above_its_cap_stops_after_three_batches():
    assert check({"kl": 6.0}, {"kl": 7.0}) == ""
    assert check({"kl": 6.0}, {"kl": 4.0}, {"kl": 7.0}) == ""
    reason = check({"kl": 6.0}, {"kl": 7.0}, {"kl": 8.0})
    assert reason.startswith("the KL to the SFT model is 8.0 nats per reply, above kl_cap, 5; use")


def test_collapsed_replies_stop_a_training():
    short = [{"length": 2.0}] * 3
    assert check(*[{}] * 3, *short).startswith("replies collapsed from 20.0 to 2.0 tokens")
    assert check(*[{}] * 3, *short[:2], {"length": 3.1}) == ""
    assert check(*[{"length": 1.0}] * 6).startswith("replies collapsed from 1.0 to 1.0")
    assert check(*[{"length": 12.0}] * 3, *short).startswith("replies collapsed from 12.0 to 2.0")
    assert check(*[{"length": 5.0}] * 3, *short) == ""  # short replies may be right


def test_equal_rewards_stop_a_training_after_five_batches():
    equal = {"reward_std": 0.0}
    assert check(*[equal] * 4) == ""
    rounding = {"reward_std": 1.5e-8}
    assert check(*[rounding] * 5).startswith("in 5 batches in a row, all replies to a prompt had")
    assert check(*[equal] * 4, {"reward_std": 0.01}, *[equal] * 4) == ""
    assert check({}, *[equal] * 5).startswith("in 5 batches in a row, all replies to a prompt had")
