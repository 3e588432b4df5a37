"""Tests of models.generation: batches, end tokens, sampling."""

from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch
from tests.support.project import Memory, make_messages
from tests.support.toy_models import KINDS, random_model
from transformers import CompileConfig, GenerationConfig

from clinical_camel import models
from clinical_camel.models import compute, generation
from clinical_camel.models.generation import _Gumbel

TEXTS = ("What is 3 plus 4?", "What is the opposite of hot? I really want to know.")


@pytest.fixture(scope="module")
def prompts(llm):
    return [models.render_chat(llm.tokenizer, make_messages(text)) for text in TEXTS]


@pytest.fixture
def graphs(monkeypatch):
    """The graphs that are compiled from now on; on a CPU, too, and without kernels."""
    traced = []

    def trace(graph, inputs):
        traced.append(graph)
        return graph.forward

    on_cpu = CompileConfig(backend=trace, mode=None)
    on_cpu._compile_all_devices = True
    monkeypatch.setattr(generation, "COMPILE", on_cpu)
    return traced


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_of_fixed_size_gives_the_texts_of_one_that_grows(kind, monkeypatch):
    llm = random_model(kind)
    if not llm.model._supports_default_dynamic_cache():
        pytest.skip("a recurrent model, whose rows cannot be padded")
    prompts = [f"{text} " * 3 for text in TEXTS]
    texts = []
    for least in (compute.LARGE, 0):
        monkeypatch.setattr(compute, "LARGE", least)
        texts.append(
            list(models.generate(llm, prompts, models.Decoding(9), token_budget=500, seed=0))
        )
    assert texts[0] == texts[1]
    fits = generation._make_cache(llm.model, 8) is not None
    assert fits == (kind in ("llama", "qwen"))


@pytest.mark.parametrize("kind", ["mistral, short window", "falcon with ALiBi"])
def test_what_cannot_be_compiled_is_an_error_with_the_setting(kind):
    work = models.generate(
        random_model(kind), TEXTS, models.Decoding(9), token_budget=500, seed=0, compiled=True
    )
    with pytest.raises(models.ModelError, match="compile_generation: .* cannot have a cache of fi"):
        next(work)


@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_a_compiled_step_gives_the_same_texts(temperature, graphs):
    llm, decoding = random_model("llama"), models.Decoding(9, temperature=temperature)
    plain, compiled = (
        sorted(
            models.generate(llm, TEXTS, decoding, token_budget=500, seed=0, compiled=is_compiled)
        )
        for is_compiled in (False, True)
    )
    assert plain == compiled
    assert graphs  # the step of a token, not the prompt


def test_a_compiled_step_follows_the_adapter(graphs):
    """A graph that was traced with another adapter would give that adapter's texts."""
    adapters = {"base": "", "tuned": "outputs/mini_camel/02_sft_qlora/adapter"}
    llms = models.load("mini", adapters, compute_dtype="float32")
    prompts = [models.render_chat(llms["base"].tokenizer, make_messages(text)) for text in TEXTS]

    def write(name, compiled):
        options = {"token_budget": 2000, "seed": 0, "compiled": compiled}
        return sorted(models.generate(llms[name], prompts, models.Decoding(12), **options))

    compiled = [write(name, True) for name in ("base", "tuned", "base")]
    assert compiled == [write(name, False) for name in ("base", "tuned", "base")]
    assert compiled[0] != compiled[1]
    assert graphs


def test_a_gpu_gets_a_cache_of_fixed_size(monkeypatch):
    llm = random_model("llama")
    monkeypatch.setattr(compute, "LARGE", 0)
    monkeypatch.setattr(type(llm.model), "device", torch.device("cuda"))
    assert generation._make_cache(llm.model, 300).layers[0].max_cache_len == 300
    assert generation._make_cache(llm.model, 300, compiled=True).layers[0].max_cache_len == 512


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


def test_noise_is_drawn_by_generators_on_the_device_of_the_scores(monkeypatch):
    devices, sampler = [], _Gumbel((1, 2))

    class Generator:
        def __init__(self, device="cpu") -> None:
            devices.append(torch.device(device))

        def manual_seed(self, seed):
            return self

    def draw(size, generator, device="cpu"):
        devices.append(torch.device(device))
        return torch.empty(size, device=device)

    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(torch, "rand", draw)
    for _ in range(2):
        assert sampler(None, torch.empty(2, 5, device="meta")).device.type == "meta"
    assert devices == [torch.device("meta")] * 6  # two generators, and two rows at two tokens


def test_each_row_has_the_noise_of_its_own_generator_on_a_cpu():
    sampler, scores = _Gumbel((1, 2)), torch.zeros(2, 5)
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    for _ in range(2):
        uniform = torch.stack([torch.rand(5, generator=g) for g in generators])
        assert torch.equal(sampler(None, scores), -torch.log(-torch.log(uniform)))


def test_the_generation_settings_of_a_model_have_no_influence(llm, prompts, monkeypatch):
    own = GenerationConfig(min_length=40, num_beams=3, suppress_tokens=[300, 301], do_sample=True)
    decodings = (models.Decoding(12), models.Decoding(12, temperature=1.0, top_k=5))
    expected = [generate_first(llm, prompts, decoding) for decoding in decodings]
    monkeypatch.setattr(llm.model, "generation_config", own)
    assert [generate_first(llm, prompts, decoding) for decoding in decodings] == expected


def test_nan_logits_are_an_error_and_not_an_empty_text(llm, prompts, monkeypatch):
    weight = llm.model.model.norm.weight
    with torch.no_grad():
        before = weight[0].item()
        weight[0] = torch.nan
        try:
            with pytest.raises(models.ModelError, match="NaN"):
                generate_first(llm, prompts, models.Decoding(4))
        finally:
            weight[0] = before


def test_new_tokens_beyond_the_context_are_an_error(llm, prompts):
    with pytest.raises(models.ModelError, match="max_new_tokens: a prompt of .* context of 4096"):
        generate_first(llm, prompts, models.Decoding(llm.max_length))
    with pytest.raises(models.ModelError, match="max_new_tokens: 4096 new tokens leave no room"):
        models.require_room(llm, llm.max_length)
    models.require_room(llm, llm.max_length - 1)


def test_a_text_in_the_journal_is_not_generated_again(llm, prompts):
    journal = Memory()
    journal.append("a", {"text": "Seven.", "ended": True})
    settings = SimpleNamespace(**asdict(models.Decoding(4)), token_budget=1000, seed=0)
    by_id = dict(zip("ab", prompts, strict=True))
    models.generate_to_journal(llm, by_id, settings, journal, description="texts", unit="text")
    text, ended = generate_first(llm, prompts[1:], models.Decoding(4))[1:]
    assert list(journal.done) == ["a", "b"]
    assert journal.done["a"]["text"] == "Seven."
    assert journal.done["b"] == {"text": text, "ended": ended}
