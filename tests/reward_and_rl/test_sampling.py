"""Replies of a policy: independent of other prompts, and never generated twice."""

import pytest
from tests.support.project import Memory
from tests.support.toy_rewards import FACTS, make_prompt

from clinical_camel import models
from clinical_camel.models import Decoding, ModelError
from clinical_camel.reward_and_rl import RewardAndRl, sampling

PROMPTS = [make_prompt(subject) for subject in list(FACTS)[:3]]
DECODING = Decoding(6, temperature=1.0)


@pytest.fixture(scope="module")
def llm():
    return models.load("mini", {"base": ""})["base"]


def sample(llm, prompts=PROMPTS, journal=None):
    return sampling.sample_replies(
        llm, prompts, 2, DECODING, token_budget=512, seed=0, journal=journal
    )


def test_replies_come_by_prompt_differ_and_depend_on_their_prompt_alone(llm, capsys):
    replies = sample(llm)
    assert [r.prompt.id for r in replies] == [p.id for p in PROMPTS for _ in range(2)]
    assert len({reply.text for reply in replies}) > 3
    assert sample(llm, PROMPTS[1:2]) == replies[2:4]
    assert "replies: 2 of 2 to 3 prompts" in capsys.readouterr().out


def test_replies_in_the_journal_are_not_generated_again(llm, monkeypatch):
    journal = Memory()
    replies = sample(llm, journal=journal)
    assert len(journal.done) == 6
    skipped = []

    def generate(*_, skip, **__):
        skipped.append(skip)
        return iter(())

    monkeypatch.setattr(models, "generate", generate)
    assert sample(llm, journal=journal) == replies
    assert skipped == [{0, 1, 2}] * 2


def test_the_key_changes_with_whatever_changes_the_replies(llm):
    def key(**changes):
        options = {"token_budget": 512, "seed": 0} | changes
        return sampling.make_sampling_key(llm, PROMPTS, 2, DECODING, **options)

    assert key() == key()
    assert key() != key(seed=1)
    assert key() != key(token_budget=300)


def test_replies_are_sampled_in_their_own_token_budget():
    settings = RewardAndRl(token_budget=500, sampling_token_budget=900)
    assert sampling.choose_sampling(settings)["token_budget"] == 900


def test_a_prompt_that_is_too_long_is_named(llm):
    def limits(most):
        return RewardAndRl.model_construct(max_prompt_tokens=most, max_new_tokens=8)

    sampling.require_fitting_prompts(llm, PROMPTS, limits(64))
    with pytest.raises(ModelError, match="max_prompt_tokens: prompt .* tokens, more than 4; write"):
        sampling.require_fitting_prompts(llm, PROMPTS, limits(4))
    with pytest.raises(ModelError, match="leave no room"):
        sampling.require_fitting_prompts(llm, PROMPTS, limits(4096))
