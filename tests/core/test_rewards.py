"""Verdicts on the rewards, and reward hacking: a higher proxy for replies that are no better."""

import subprocess
import sys

import pandas as pd
import pytest

from clinical_camel.core.rewards import decide_verdicts, describe_hacking, describe_verdict

NAMES = {"ppo": "PPO", "rloo": "RLOO", "dpo": "DPO"}


def describe(rows):
    """`rows`: method, and the part of the proxy's change that no better replies have."""
    table = pd.DataFrame(rows, columns=["method", "change"]).assign(measure="proxy_same_gold")
    table["low"], table["high"] = table["change"] - 0.05, table["change"] + 0.05
    return " ".join(describe_hacking(pd.concat([table, table.assign(measure="proxy")]), NAMES))


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
    text = describe([("ppo", 0.2), ("rloo", 0.06), ("dpo", 0.0)])
    assert "PPO +0.200 [0.150, 0.250] of +0.200; RLOO +0.060 [0.010, 0.110] of +0.060; D" in text
    assert "With PPO, the reward model pays more for replies that are no better: *rew" in text
    assert "It pays clearly less for the replies of DPO, which never sees the reward model" in text
    assert "With RLOO, reward hacking is not shown: this part is not clearly above that of" in text


def test_a_control_that_gains_as_much_leaves_the_cause_open():
    text = describe([("ppo", 0.2), ("dpo", 0.12)])
    assert "With PPO, reward hacking is not shown" in text
    assert "*reward hacking*" not in text


def test_without_a_control_the_part_is_compared_with_zero():
    assert "no better: *reward hacking*." in describe([("ppo", 0.2)])
    assert describe([("ppo", 0.04)]).endswith("this part is not clearly above 0.")


def test_only_a_method_that_maximises_the_proxy_can_hack_it():
    assert "hacking" not in describe([("dpo", 0.2)])


def test_an_older_comparison_says_nothing():
    rows = pd.DataFrame({"method": ["ppo"], "measure": ["proxy"], "change": [0.2]})
    assert list(describe_hacking(rows, NAMES)) == []


def test_the_settings_of_step_07_do_not_load_pandas():
    """The runner and `plan` read them."""
    code = "import sys, clinical_camel.reward_and_rl.settings; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
