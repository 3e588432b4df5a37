"""Tests of models.scoring: shared computation gives the scores of one forward pass per pair."""

import logging
import math

import pytest
import torch
from tests.support.toy_models import GROUPED, KINDS, random_model
from tests.support.toy_tokenizers import FAMILIES
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from clinical_camel import models
from clinical_camel.models import scoring
from clinical_camel.models.tokenization import count_shared_tokens

SHOTS = "Question: What is 1?\nAnswer: one\n\nQuestion: What is 2?\nAnswer: two\n\n"
OPTIONS = ("naproxen", "naproxen and rest", "a much longer answer with several words", "A")


@pytest.fixture(scope="module", params=FAMILIES)
def tokenizer(request):
    train, special, _ = FAMILIES[request.param]
    return PreTrainedTokenizerFast(tokenizer_object=train(), **special)


ENDS = ("Answer:", "Answer: ", "[INST] Which? [/INST]", "[INST] Which? [/INST]\n\n")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("space", ["", " "])
def test_letters_differ_with_every_tokenizer_and_every_space_before_them(tokenizer, end, space):
    context = SHOTS + end
    pairs = [models.tokenize_pair(tokenizer, context, space + letter) for letter in "ABCD"]
    for letter, pair in zip("ABCD", pairs, strict=True):
        ids = tokenizer.encode(context + space + letter)
        assert [*pair.context, *pair.continuation] == ids  # as one text
        assert tokenizer.decode(pair.continuation).strip() == letter
    assert len({pair.continuation for pair in pairs}) == 4
    assert len({pair.context for pair in pairs}) == 1


def test_scores_of_other_tokenizers_equal_one_forward_per_pair(tokenizer):
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(**GROUPED)).eval()
    llm = models.LLM("llama", model, tokenizer, 512)
    texts = [(SHOTS + end, f"{space}{o}") for end in ENDS for space in ("", " ") for o in OPTIONS]
    pairs = [models.tokenize_pair(tokenizer, *text) for text in texts]
    scores = dict(models.score_pairs(llm, pairs, 1000))
    for i, pair in enumerate(pairs):
        assert scores[i] == pytest.approx(reference_score(llm, pair), abs=1e-4)


def reference_score(llm, pair):
    """Compute the reference: one forward per pair, all logits, no cache."""
    ids = torch.tensor([[*pair.context, *pair.continuation]])
    with torch.inference_mode():
        log_probs = llm.model(input_ids=ids).logits[0].double().log_softmax(-1)
    start = len(pair.context) - 1
    return sum(log_probs[start + i, token].item() for i, token in enumerate(pair.continuation))


def make_pairs(llm, shots=SHOTS, names=("gout", "a very long condition"), options=OPTIONS):
    texts = [
        (f"{shots}Question: What treats {name}?\nAnswer:", f" {option}")
        for name in names
        for option in options
    ]
    return [models.tokenize_pair(llm.tokenizer, *text) for text in texts]


@pytest.mark.parametrize("token_budget", [1, 100_000])  # one row per batch, all in one batch
@pytest.mark.parametrize("shots", ["", SHOTS])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_one_forward_per_pair(kind, shots, token_budget):
    llm = random_model(kind)
    pairs = make_pairs(llm, shots)
    scores = dict(models.score_pairs(llm, pairs, token_budget))
    assert [scores[i] for i in range(len(pairs))] == pytest.approx(
        [reference_score(llm, pair) for pair in pairs], abs=1e-4
    )


def test_scores_do_not_depend_on_the_attention_implementation(llm):
    pairs = make_pairs(llm)
    expected = [reference_score(llm, pair) for pair in pairs]
    llm.model.set_attn_implementation("eager")
    try:
        scores = dict(models.score_pairs(llm, pairs, 1000))
    finally:
        llm.model.set_attn_implementation("sdpa")
    assert [scores[i] for i in range(len(pairs))] == pytest.approx(expected, abs=1e-4)


def test_scores_of_a_4_bit_base_with_an_adapter_equal_one_forward_per_pair(llm, tmp_path):
    from peft import LoraConfig, get_peft_model

    base = models.load_base("mini", "nf4")
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    tuned = models.LLM("tuned", get_peft_model(base, config), llm.tokenizer, 512, "default")
    pairs = make_pairs(tuned)
    scores = dict(models.score_pairs(tuned, pairs, 100_000))
    assert [scores[i] for i in range(len(pairs))] == pytest.approx(
        [reference_score(tuned, pair) for pair in pairs], abs=0.1
    )  # bitsandbytes uses different kernels for few and for many rows on some CPUs


def test_letters_cost_one_short_row_and_one_head_row_per_question(llm):
    llm.counts.clear()
    pairs = make_pairs(llm, names=("gout", "mumps"), options="ABCD")
    list(models.score_pairs(llm, pairs, 100_000))
    contexts = {pair.context for pair in pairs}
    shared = count_shared_tokens(list(contexts))
    assert llm.counts["prefix_tokens"] == shared
    assert llm.counts["row_tokens"] == sum(len(c) - shared for c in contexts)
    assert llm.counts["head_rows"] == 2


def test_options_of_several_tokens_branch_from_one_row(llm):
    llm.counts.clear()
    pairs = make_pairs(llm, names=("gout",))
    list(models.score_pairs(llm, pairs, 100_000))
    tails = sum(len(pair.continuation) - 1 for pair in pairs)
    prefix, trunk = llm.counts["prefix_tokens"], len(pairs[0].context)
    assert llm.counts["row_tokens"] == trunk - prefix + tails
    # the last token of the context is used once for all
    assert llm.counts["head_rows"] == 1 + tails


def test_out_of_memory_halves_the_batch_and_every_pair_is_scored(llm, monkeypatch, caplog):
    pairs = make_pairs(llm, names=[f"condition {i}" for i in range(8)])
    expected = dict(models.score_pairs(llm, pairs, 100_000))
    sizes, score_batch = [], scoring._score_batch

    def small(*args):
        sizes.append(len(args[-1]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score_batch(*args)

    monkeypatch.setattr(scoring, "_score_batch", small)
    with caplog.at_level(logging.WARNING):
        assert dict(models.score_pairs(llm, pairs, 100_000)) == pytest.approx(expected, abs=1e-4)
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert "out of memory with 8 rows" in caplog.text


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("DefaultCPUAllocator: can't allocate memory", ("gout",)),  # a single row
        ("mat1 and mat2 shapes cannot be multiplied", ("gout", "mumps")),
    ],
)
def test_a_single_row_that_does_not_fit_and_other_errors_end_the_scoring(
    llm, monkeypatch, message, names
):
    def fail(*_):
        raise RuntimeError(message)

    monkeypatch.setattr(scoring, "_score_batch", fail)
    with pytest.raises(RuntimeError, match=message):
        list(models.score_pairs(llm, make_pairs(llm, names=names), 100_000))


def test_a_pair_longer_than_the_context_is_rejected(llm):
    pair = models.Pair(tuple([5] * llm.max_length), (5,))
    with pytest.raises(models.ModelError, match=str(llm.max_length + 1)):
        list(models.score_pairs(llm, [pair], 1000))


def test_nan_logits_are_an_error(llm, monkeypatch):
    monkeypatch.setattr(scoring, "_log_probabilities", lambda _, steps: [math.nan] * len(steps))
    with pytest.raises(models.ModelError, match="NaN"):
        list(models.score_pairs(llm, make_pairs(llm), 1000))


def test_no_pairs_need_no_model():
    assert list(models.score_pairs(None, [], 1000)) == []
