"""Every ranker of the settings applied to the same replies."""

import pytest
from tests.support.toy_policies import toy_settings
from tests.support.toy_rewards import ToyJudge, make_reply

from clinical_camel.reward_and_rl import rankers

GOOD, WRONG = "Inhaled salbutamol.", "Rest."


def test_every_ranker_ranks_the_replies_that_ended(tmp_path):
    cut = make_reply("asthma", f"{GOOD} {GOOD} and", complete=False)
    replies = [make_reply("asthma", GOOD), cut, make_reply("asthma", WRONG)]
    settings = toy_settings(rankers=["rule", "judge"], prompts={"mini_triples": 0.1})
    ranked, counts = rankers.rank_replies(replies, [], settings, tmp_path / "judge")
    assert list(ranked) == ["rule", "judge"]
    for rows in ranked.values():
        assert {row.reply: row.rank for row in rows} == {GOOD: 1, WRONG: 2}
    assert counts is None  # the overlap judge is a rule: it has no order


@pytest.mark.parametrize("is_rule", [True, False])
def test_the_verdicts_of_a_language_model_are_counted(is_rule, tmp_path, monkeypatch):
    judge = ToyJudge(len)
    judge.is_rule = is_rule
    monkeypatch.setattr("clinical_camel.teachers.judge.load_judge", lambda *_: judge)
    replies = [make_reply("asthma", text) for text in (GOOD, WRONG)]
    settings = toy_settings(rankers=["judge"], prompts={"mini_triples": 0.1})
    _, counts = rankers.rank_replies(replies, [], settings, tmp_path / "judge")
    assert (counts is None) == is_rule
