"""Tests of models.generation: batches, end tokens, sampling."""

import pytest
import torch
from tests.support.project import make_messages

from clinical_camel import models
from clinical_camel.models.generation import _Gumbel

TEXTS = ("What is 3 plus 4?", "What is the opposite of hot? I really want to know.")


@pytest.fixture(scope="module")
def prompts(llm):
    return [models.render_chat(llm.tokenizer, make_messages(text)) for text in TEXTS]


def generate_first(llm, prompts, decoding, seed=0):
    return next(models.generate(llm, prompts[:1], decoding, token_budget=1000, seed=seed))


@pytest.mark.parametrize(
    "decoding",
    [models.Decoding(12), models.Decoding(12, temperature=1.2, top_k=50, top_p=0.9)],
    ids=["greedy", "sampled"],
)
def test_batched_generation_equals_generation_one_by_one(llm, prompts, decoding):
    batched, single = (
        sorted(models.generate(llm, prompts, decoding, token_budget=budget, seed=3))
        for budget in (100_000, 1)
    )
    assert batched == single
    assert all(text for _, text, _ in batched)


def test_a_text_truncated_at_the_limit_has_not_ended(llm, prompts):
    ended = [generate_first(llm, prompts, models.Decoding(n))[2] for n in (2, 200)]
    assert ended == [False, True]


def test_sampling_depends_on_the_seed_only(llm, prompts):
    decoding = models.Decoding(20, temperature=1.5)
    first, again, other = (generate_first(llm, prompts, decoding, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_samples_follow_the_probabilities():
    expected = torch.tensor([0.5, 0.3, 0.2])
    samples = _Gumbel(range(4000))(None, expected.log().repeat(4000, 1)).argmax(-1)
    shares = torch.bincount(samples, minlength=3) / 4000
    assert shares.tolist() == pytest.approx(expected.tolist(), abs=0.03)  # four standard errors
