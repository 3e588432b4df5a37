"""Tests of models.generation: batches, end tokens, sampling."""

import pytest
import torch

from clinical_camel import models
from clinical_camel.models.generation import _Gumbel

TEXTS = ("What is 3 plus 4?", "What is the opposite of hot? I really want to know.")


@pytest.fixture(scope="module")
def llm():
    return models.load("mini", {"base": ""})["base"]


@pytest.fixture(scope="module")
def prompts(llm):
    return [models.render_chat(llm.tokenizer, [{"role": "user", "content": t}]) for t in TEXTS]


def test_batched_generation_equals_generation_one_by_one(llm, prompts):
    decoding = models.Decoding(12)
    batched = sorted(models.generate(llm, prompts, decoding, token_budget=100_000, seed=0))
    single = sorted(models.generate(llm, prompts, decoding, token_budget=1, seed=0))
    assert batched == single
    assert all(text for _, text, _ in batched)


def test_a_text_truncated_at_the_limit_has_not_ended(llm, prompts):
    settings = {"token_budget": 1000, "seed": 0}
    (_, _, truncated), (_, _, complete) = (
        next(models.generate(llm, prompts[:1], models.Decoding(n), **settings)) for n in (2, 200)
    )
    assert (truncated, complete) == (False, True)


def test_sampling_depends_on_the_seed_only(llm):
    prompt = models.render_chat(llm.tokenizer, [{"role": "user", "content": "What treats gout?"}])
    decoding = models.Decoding(20, temperature=1.5)
    texts = [
        next(models.generate(llm, [prompt], decoding, token_budget=1000, seed=s))[1]
        for s in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_a_sampled_text_does_not_depend_on_its_batch(llm, prompts):
    decoding = models.Decoding(12, temperature=1.2, top_k=50, top_p=0.9)
    batched = sorted(models.generate(llm, prompts, decoding, token_budget=100_000, seed=3))
    assert batched == sorted(models.generate(llm, prompts, decoding, token_budget=1, seed=3))


def test_samples_follow_the_probabilities():
    expected = torch.tensor([0.5, 0.3, 0.2])
    samples = _Gumbel(range(4000))(None, expected.log().repeat(4000, 1)).argmax(-1)
    shares = torch.bincount(samples, minlength=3) / 4000
    assert shares.tolist() == pytest.approx(expected.tolist(), abs=0.03)  # four standard errors
