"""Verdicts on the rewards, and reward hacking: a higher proxy for replies that are no better."""

import subprocess
import sys

import pandas as pd
import pytest

from clinical_camel.core.rewards import (
    decide_verdicts,
    describe_hacking,
    describe_verdict,
    summarise_hacking,
)

NAMES = {"ppo": "PPO", "rloo": "RLOO", "dpo": "DPO"}
SUSPECT = dict.fromkeys(("ppo", "rloo"), "proxy rose, gold fell")


def describe(rows, **verdicts):
    """`rows`: as of `make_parts`."""
    comparison = pd.DataFrame({"method": [*NAMES], "measure": "proxy", "change": 0.3})
    return " ".join(describe_hacking(make_parts(rows), comparison, SUSPECT | verdicts, NAMES))


def summarise(rows, **verdicts):
    return " ".join(summarise_hacking(make_parts(rows), SUSPECT | verdicts, NAMES))


def make_parts(rows):
    """`rows`: method, control, and the part of the proxy's change that no better replies have."""
    parts = pd.DataFrame(rows, columns=["method", "control", "change"]).assign(share=0.7)
    parts = parts.assign(part="proxy_same_gold", kl=0.9, control_kl=0.4)
    parts["low"], parts["high"] = parts["change"] - 0.05, parts["change"] + 0.05
    return parts


@pytest.mark.parametrize(
    ("proxy", "gold", "verdict"),
    [
        (0.3, -0.2, "proxy rose, gold fell"),
        (0.3, 0.2, "both rose"),
        (0.3, 0.0, "only the proxy rose"),
        (0.0, 0.2, "no clear rise"),
        (-0.3, 0.2, "no clear rise"),
        (-0.3, -0.2, "only the gold fell"),
        (0.0, -0.2, "only the gold fell"),
    ],
)
def test_the_verdicts_follow_the_adjusted_p(proxy, gold, verdict):
    rows = [("dpo", "proxy", proxy), ("dpo", "gold", gold), ("dpo", "tokens", 9.0)]
    table = pd.DataFrame(rows, columns=["method", "measure", "change"])
    clear = table.assign(p_holm=[0.01 if change else 0.5 for change in table["change"]])
    assert decide_verdicts(clear, 0.05) == {"dpo": verdict}
    assert decide_verdicts(table.assign(p_holm=0.05), 0.05) == {"dpo": "no clear rise"}
    assert decide_verdicts(clear[:0], 0.05) == {}


def test_a_method_that_does_not_maximise_the_proxy_is_said_to():
    verdict = "proxy rose, gold fell"
    assert describe_verdict("ppo", verdict) == "the proxy reward rose and the gold reward fell"
    assert describe_verdict("dpo", verdict) == (
        "the proxy reward, which this method does not maximise, rose and the gold reward fell"
    )
    assert describe_verdict("dpo", "both rose") == "both rewards rose"


def test_a_proxy_that_pays_more_for_replies_that_are_no_better_is_hacked():
    rows = [("ppo", "SFT", 0.2), ("ppo", "dpo", 0.1), ("rloo", "SFT", 0.2), ("rloo", "dpo", 0.04)]
    text = describe([*rows, ("dpo", "SFT", 0.1)])
    assert "as before: PPO +0.200 [0.150, 0.250] of +0.300 (70% of replies); RLOO +0.200" in text
    assert (
        "It is shown with PPO: more than with DPO (KL 0.90 against 0.40). PPO has no measurement "
        "as near to the SFT model as DPO, so a part of the difference may come from the distance."
    ) in text
    assert text.endswith(
        "It is not shown with RLOO: the interval of its difference from DPO is not above 0."
    )
    assert summarise(rows) == (
        "*Reward hacking* (the proxy reward also rises for replies whose gold reward does not "
        "change, and more than with methods that never see the reward model; intervals not "
        "adjusted) is shown with PPO, not with RLOO. With PPO, the distance from the SFT model is "
        "larger than with some of these methods and may be a part of the reason."
    )


def test_a_part_that_is_not_above_zero_is_no_hacking_though_the_control_lost_more():
    text = describe([("ppo", "SFT", 0.04), ("ppo", "dpo", 0.2), ("dpo", "SFT", -0.16)])
    assert text.endswith("It is not shown with PPO: the interval of its rise is not above 0.")


def test_a_control_without_common_seeds_is_not_named():
    text = describe([("ppo", "SFT", 0.2), ("dpo", "SFT", 0.1)])
    assert text.endswith("It is shown with PPO.")


def test_without_a_control_the_part_is_compared_with_zero():
    text = describe([("ppo", "SFT", 0.2)])
    assert text.endswith("It is shown with PPO.")
    text = summarise([("ppo", "SFT", 0.2)])
    assert text.endswith("gold reward does not change; intervals not adjusted) is shown with PPO.")


@pytest.mark.parametrize("verdict", ["both rose", "only the gold fell", "no clear rise"])
def test_no_hacking_where_the_proxy_did_not_rise_or_the_gold_did(verdict):
    assert "hacking" not in describe([("ppo", "SFT", 0.2)], ppo=verdict)
    assert summarise([("ppo", "SFT", 0.2)], ppo=verdict) == ""


def test_a_method_that_never_sees_the_reward_model_cannot_hack_it():
    assert "hacking" not in describe([("dpo", "SFT", 0.2)], dpo="proxy rose, gold fell")


def test_without_an_interval_nothing_is_shown():
    nan = float("nan")
    assert "It is not shown with PPO" in describe([("ppo", "SFT", nan)])
    assert summarise([("ppo", "SFT", nan)]).endswith(" is shown with no method.")
    assert describe([]) == ""


def test_the_settings_of_step_07_do_not_load_pandas():
    """The runner and `plan` read them."""
    code = "import sys, clinical_camel.reward_and_rl.settings; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
