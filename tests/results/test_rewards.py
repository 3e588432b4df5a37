"""Training with rewards on the page: no reward without the accuracy of its model."""

from types import SimpleNamespace

import pandas as pd
import pytest
from tests.support import toy_results

from clinical_camel.results import rewards


def test_training_with_rewards_has_its_verdicts(project, settings):
    assert not any(finding.is_run for finding in rewards.assess_rewards(settings))
    toy_results.save_rewards(project)
    finding, real = rewards.assess_rewards(settings)
    assert real.headline == "training with rewards (`clinicalgpt_smollm2`)"
    assert not real.is_run
    assert finding.headline == (
        "Training with rewards: the proxy reward rises significantly with `ppo`, trained on it; "
        "the gold reward falls significantly with `ppo`"
    )
    assert (
        "`ppo`: the proxy reward rose and the gold reward fell (n = 60 prompts, trainings: 5)"
        in finding.sentences[0]
    )
    assert "of the proxy reward: `ppo` 0.30 [0.25, 0.35] and `dpo` 0.10 [0.05" in finding.lead
    assert "Change of the gold reward: `ppo` -0.20 [-0.25, -0.15] and `dpo` 0.10 [" in finding.brief
    assert "(before: 0.40)" in finding.brief
    assert "(60 held-out prompts, 5 trainings each; significant: p below 0.05" in finding.lead
    assert "the *gold* reward (a rule; 0: wrong, 1: the fact and nothing else)." in finding.brief
    assert (
        "fell with 1 of 1 methods in 12 steps of 32 replies, significantly with 1" in finding.lead
    )
    text = "*Reward hacking* is shown if the proxy reward also rises for re"
    assert finding.lead.count(text) == 1
    assert "It is shown with `ppo`: more than with `dpo` (KL 0.90 against 0.40)." in finding.lead
    assert "is shown with `ppo`. With `ppo`, the distance from the SFT model is" in finding.brief
    assert finding.brief.endswith("The criterion was chosen after seeing these replies.")
    assert finding.brief.startswith(
        "The *proxy* reward is that of a reward model: PPO is trained on"
    )


def test_a_real_language_model_is_named(project, settings):
    toy_results.save_rewards(project, study="clinicalgpt_smollm2")
    finding = rewards.assess_rewards(settings)[1]
    assert finding.headline.startswith("SmolLM2-135M: training with rewards: the proxy reward r")


def test_a_step_without_methods_counts_as_missing(project, settings):
    empty = pd.DataFrame(columns=["method", "measure", "change", "p_holm"])
    toy_results.save(project, "clinicalgpt_mini", "07_reward_and_rl", comparison=empty)
    assert not rewards.assess_rewards(settings)[0].is_run


@pytest.mark.parametrize(("accuracy", "is_coin"), [(0.7, False), (0.55, True)])
def test_a_reward_model_that_is_a_coin_is_named(project, settings, accuracy, is_coin):
    toy_results.save_rewards(project, accuracy)
    lead = rewards.assess_rewards(settings)[0].lead
    assert f"in {100 * accuracy:.1f} % [" in lead
    assert "of 90 pairs (a coin: 50 %)" in lead
    assert ("means little there" in lead) == is_coin


def test_a_significant_fall_is_no_significant_rise():
    rows = [("ppo", 0.02, 0.5), ("rloo", -0.1, 0.001), ("grpo", -0.1, 0.001)]
    table = pd.DataFrame(rows, columns=["method", "change", "p_holm"]).assign(measure="objective")
    params = {"rl_steps": 12, "prompts_per_step": 8, "num_generations": 4}
    result = SimpleNamespace(read=lambda _: table, record={"params": params})
    (sentence,) = rewards._describe_objective(result)
    assert "rose with 1 of 3 methods" in sentence
    assert sentence.endswith("significantly with none.")
