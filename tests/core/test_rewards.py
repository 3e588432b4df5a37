"""Whether reward hacking explains a fall of the gold reward: gold per nat, beside a control."""

import subprocess
import sys

import pandas as pd

from clinical_camel.core.rewards import describe_cause

NAMES = {"ppo": "PPO", "rloo": "RLOO", "dpo": "DPO"}


def describe(rows, verdicts):
    """`rows`: method, KL, change of the gold reward; each interval is 0.04 wide."""
    table = pd.DataFrame(rows, columns=["method", "kl", "change"]).assign(measure="gold")
    table["low"], table["high"] = table["change"] - 0.02, table["change"] + 0.02
    return " ".join(describe_cause(table, verdicts, NAMES))


def test_a_fall_as_large_per_nat_as_without_the_reward_model_is_no_reward_hacking():
    text = describe([("ppo", 2.0, -0.2), ("dpo", 0.5, -0.05)], {"ppo": "hacking"})
    assert "in nats): PPO -0.100 [-0.110, -0.090] (KL 2.0); DPO -0.1" in text
    assert "does not fall clearly more with PPO than with DPO" in text
    assert "reward hacking is not shown" in text


def test_a_larger_fall_per_nat_is_reward_hacking():
    rows = [("ppo", 1.0, -0.5), ("rloo", 1.0, -0.1), ("dpo", 1.0, -0.1)]
    text = describe(rows, {"ppo": "hacking", "rloo": "hacking", "dpo": "only the gold fell"})
    assert "falls more with PPO than with DPO, which never sees the reward model. Rew" in text
    assert "not fall clearly more with RLOO" in text


def test_without_a_control_at_a_similar_kl_the_cause_is_open():
    for rows in ([("ppo", 1.0, -0.5)], [("ppo", 1.0, -0.5), ("dpo", 0.01, -0.1)]):
        assert (
            "We cannot tell whether this is reward hacking: no method trained without"
            in describe(rows, {"ppo": "hacking"})
        )


def test_nothing_is_said_where_no_gold_reward_fell():
    assert describe([("ppo", 1.0, 0.2), ("dpo", 1.0, -0.1)], {"ppo": "both rose"}) == ""
    only_control = describe([("ppo", 1.0, 0.2), ("dpo", 1.0, -0.1)], {"dpo": "only the gold fell"})
    assert "DPO -0.100" in only_control
    assert "reward hacking" not in only_control


def test_the_settings_of_step_07_do_not_load_pandas():
    """The runner and `plan` read them."""
    code = "import sys, clinical_camel.reward_and_rl.settings; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
