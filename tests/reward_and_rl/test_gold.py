"""The gold reward: by the rule, or by wins against the SFT model."""

import pytest
from tests.support.toy_judge import make_settings
from tests.support.toy_policies import toy_settings
from tests.support.toy_rewards import ToyJudge, make_prompt, make_reply

from clinical_camel.data import DataError
from clinical_camel.reward_and_rl import gold
from clinical_camel.reward_and_rl.rule import rule_reward
from clinical_camel.reward_and_rl.shapes import Reply

PROMPT = make_prompt("asthma")
REFERENCE = PROMPT.reference


def replies(*texts: str, complete: bool = True) -> list[Reply]:
    return [make_reply("asthma", text, complete=complete) for text in texts]


def test_by_default_the_gold_reward_is_the_rule(tmp_path):
    with gold.open_gold(toy_settings(), [], tmp_path / "judge") as parts:
        assert parts == {"gold": rule_reward, "gold_key": "rule"}


def test_a_judge_compares_with_the_first_reply_of_the_sft_model(tmp_path):
    settings = toy_settings(gold="judge", prompts={"mini_triples": 0.1})
    sft = replies("Rest.", REFERENCE)
    with gold.open_gold(settings, sft, tmp_path / "judge") as parts:
        wins = parts["gold"](replies(REFERENCE, "Rest.", "Sleep."))
    assert wins.tolist() == [1.0, 0.5, 0.5]
    with gold.open_gold(settings, sft[::-1], tmp_path / "judge") as other:
        assert other["gold"](replies("Rest.")).tolist() == [0.0]
    assert other["gold_key"] != parts["gold_key"]


def test_a_higher_cap_on_the_money_of_the_judge_repeats_no_training(tmp_path):
    prompts = {"mini_triples": 0.1}
    keys = []
    for cap in (1.0, 5.0):
        judge = make_settings("http://127.0.0.1:9/v1", money_cap=cap)
        settings = toy_settings(gold="judge", prompts=prompts, judge=judge)
        with gold.open_gold(settings, replies("Rest."), tmp_path / "judge") as parts:
            keys.append(parts["gold_key"])
    assert keys[0] == keys[1]


def test_a_reply_that_did_not_end_loses_without_the_judge():
    judge = ToyJudge(len)
    reward = gold.make_judge_reward(judge, {PROMPT.id: replies("Rest.")[0]})
    longer = replies("Rest and water", complete=False)
    assert reward([*longer, *replies("Rest and water.", "No.")]).tolist() == [0.0, 1.0, 0.0]
    assert len(judge.questions) == 2
    assert judge.questions[0].reference == REFERENCE
    reward = gold.make_judge_reward(judge, {PROMPT.id: longer[0]})
    assert reward(replies("No.")).tolist() == [1.0]


def test_no_verdict_is_a_tie_and_too_many_are_an_error():
    judge = ToyJudge(lambda text: None if text == "Maybe." else len(text))
    reward = gold.make_judge_reward(judge, {PROMPT.id: replies("Rest.")[0]})
    assert reward(replies("Maybe.", "Rest and water.")).tolist() == [0.5, 1.0]
    with pytest.raises(DataError, match="^gold: judge toy gave no verdict in 1 of 1 .*no JSON"):
        reward(replies("Maybe."))
