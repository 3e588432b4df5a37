"""The result of the policy trainings in sentences."""

import pandas as pd
from tests.support.toy_measures import make_exams, make_replies

from clinical_camel.reward_and_rl import measures, summary


def test_the_summary_says_what_happened_with_numbers():
    methods = ("ppo", "dpo")
    replies = make_replies((0.3, -0.2, 4), methods=methods)
    comparison = measures.compare_with_start(replies, make_exams(12, methods))
    hacking = measures.find_reward_hacking(comparison)
    trainings = pd.DataFrame(
        {
            "method": methods,
            "seed": [0, 0],
            "steps": [10, 4],
            "stop_reason": ["", "loss is nan; use a lower learning rate"],
        }
    )
    text = "\n".join(summary.describe_policies(comparison, hacking, trainings))
    assert "PPO: reward hacking: the proxy reward rose and the gold reward fell. Proxy +0.3" in text
    assert "at a KL of 2.0 nats per reply (n = 8 prompts, 2 seeds)." in text
    assert "PPO from 10.0 to 14.0 tokens" in text
    assert "The accuracy on the exam changed: PPO +50.0 points" in text
    assert "DPO with seed 0 was stopped at step 4: loss is nan; use a lower learning rate." in text
    headline = summary.format_headline(hacking)
    assert headline.startswith("change of proxy / gold reward on held-out prompts: PPO +0.3")
    table = summary.format_comparison(comparison)
    assert list(table["method"]) == ["PPO", "DPO"]
    assert table["proxy reward"].str.endswith("*").all()
    assert not table["entropy (nats per token)"].str.endswith("*").any()
    assert list(table["KL at the end"]) == ["2.00", "2.00"]


def test_nothing_clear_is_said_to_be_unclear():
    comparison = measures.compare_with_start(make_replies((0.0, 0.0, 0)), make_exams())
    hacking = measures.find_reward_hacking(comparison)
    trainings = pd.DataFrame({"method": ["ppo"], "seed": 0, "steps": 10, "stop_reason": ""})
    text = "\n".join(summary.describe_policies(comparison, hacking, trainings))
    assert "PPO: the proxy reward did not rise clearly." in text
    assert "No method changed the length of replies clearly." in text
    assert "No method changed the accuracy on the exam clearly (n = 24)." in text
