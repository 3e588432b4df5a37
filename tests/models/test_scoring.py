"""Log-likelihoods: the same as one forward for each pair, for less work, on several kinds of model.

The second half of `models`: tests/test_models.py has the first.
"""

import logging
import math

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE, Unigram
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from clinical_camel import models
from clinical_camel.models import scoring

SIZES = {
    "vocab_size": 2048,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
GROUPED = SIZES | {"intermediate_size": 48, "num_key_value_heads": 2, "initializer_range": 0.3}
KINDS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**GROUPED)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**GROUPED, sliding_window=4096)),
    "mistral, short window": lambda: MistralForCausalLM(
        MistralConfig(**GROUPED, sliding_window=16)
    ),
    "qwen": lambda: Qwen2ForCausalLM(Qwen2Config(**GROUPED)),
    "bloom": lambda: BloomForCausalLM(
        BloomConfig(vocab_size=2048, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3)
    ),
    "capped logits": lambda: Gemma2ForCausalLM(
        Gemma2Config(**GROUPED, head_dim=8, final_logit_softcapping=5.0, sliding_window=4096)
    ),
}


def built(kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer made here: bytes (as GPT-2, Qwen, Llama 3) or SentencePiece (as Llama 2)."""
    if kind == "bytes":
        made = Tokenizer(BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=["<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
    else:
        made = Tokenizer(Unigram() if kind == "unigram" else BPE(unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        made.decoder = decoders.Metaspace(prepend_scheme="first")
        kinds = {"unigram": trainers.UnigramTrainer, "pieces": trainers.BpeTrainer}
        more = {"unk_token": "<unk>"} if kind == "unigram" else {}
        special = ["<unk>", "<s>", "</s>"]
        trainer = kinds[kind](vocab_size=600, special_tokens=special, **more)
    letters = " ".join("ABCDEFGHIJ")
    made.train_from_iterator(
        [SHOTS, letters, f"[INST] {letters} [/INST]\n\n", *OPTIONS] * 4, trainer
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


SHOTS = "Question: What is 1?\nAnswer: one\n\nQuestion: What is 2?\nAnswer: two\n\n"
OPTIONS = ("naproxen", "rest", "a much longer answer with several words", "A")


@pytest.fixture(scope="module", params=["bytes", "pieces", "unigram"])
def tokenizer(request):
    return built(request.param)


ENDS = ("Answer:", "Answer: ", "[INST] Which? [/INST]", "[INST] Which? [/INST]\n\n")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("space", ["", " "])
def test_letters_are_told_apart_whatever_the_tokenizer_makes_of_the_space_before(
    tokenizer, end, space
):
    context = SHOTS + end
    pairs = [models.encode_pair(tokenizer, context, space + letter) for letter in "ABCD"]
    for letter, pair in zip("ABCD", pairs, strict=True):
        whole = tokenizer.encode(context + space + letter)
        assert [*pair.context, *pair.continuation] == whole  # as a model would read it in one
        assert tokenizer.decode(pair.continuation).strip() == letter
    assert len({pair.continuation for pair in pairs}) == 4
    assert len({pair.context for pair in pairs}) == 1


def test_other_tokenizers_score_as_one_forward_for_each_pair(tokenizer):
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(**GROUPED)).eval()
    llm = models.LLM("llama", model, tokenizer, 512)
    asks = [(SHOTS + end, f"{space}{o}") for end in ENDS for space in ("", " ") for o in OPTIONS]
    pairs = [models.encode_pair(tokenizer, *ask) for ask in asks]
    found = dict(models.score(llm, pairs, 1000))
    for i, pair in enumerate(pairs):
        assert found[i] == pytest.approx(literal_score(llm, pair), abs=1e-4)


@pytest.fixture(scope="module")
def llm():
    return models.load("mini", {"base": ""})["base"]


def tiny(kind: str) -> models.LLM:
    torch.manual_seed(1)
    model = KINDS[kind]().eval()
    return models.LLM(kind, model, models.load_tokenizer("mini"), 512)


def literal_score(llm, pair):
    """The slow way: one forward for one pair, all logits, no cache."""
    ids = torch.tensor([[*pair.context, *pair.continuation]])
    with torch.inference_mode():
        logs = llm.model(input_ids=ids).logits[0].double().log_softmax(-1)
    start = len(pair.context) - 1
    return sum(logs[start + i, token].item() for i, token in enumerate(pair.continuation))


def asked(llm, shots=SHOTS, names=("gout", "a very long condition"), options=OPTIONS):
    texts = [
        (f"{shots}Question: What treats {name}?\nAnswer:", f" {option}")
        for name in names
        for option in options
    ]
    return [models.encode_pair(llm.tokenizer, *text) for text in texts]


@pytest.mark.parametrize("token_budget", [1, 100_000])  # one row a batch, and all in one batch
@pytest.mark.parametrize("shots", ["", SHOTS])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_one_forward_for_each_pair(kind, shots, token_budget):
    llm = tiny(kind)
    pairs = asked(llm, shots)
    found = dict(models.score(llm, pairs, token_budget))
    assert [found[i] for i in range(len(pairs))] == pytest.approx(
        [literal_score(llm, pair) for pair in pairs], abs=1e-4
    )


def test_the_shipped_base_scores_the_same_with_eager_attention(llm):
    pairs = asked(llm)
    expected = [literal_score(llm, pair) for pair in pairs]
    llm.model.set_attn_implementation("eager")
    try:
        found = dict(models.score(llm, pairs, 1000))
    finally:
        llm.model.set_attn_implementation("sdpa")
    assert [found[i] for i in range(len(pairs))] == pytest.approx(expected, abs=1e-4)


def test_a_4_bit_base_with_an_adapter_scores_the_same(llm, tmp_path):
    from peft import LoraConfig, get_peft_model

    base = models.load_base("mini", "nf4")
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    tuned = models.LLM("tuned", get_peft_model(base, config), llm.tokenizer, 512, "default")
    pairs = asked(tuned)
    found = dict(models.score(tuned, pairs, 100_000))
    assert [found[i] for i in range(len(pairs))] == pytest.approx(
        [literal_score(tuned, pair) for pair in pairs], abs=0.1
    )  # bitsandbytes multiplies few rows and many rows by different kernels on some CPUs


# ------------------------------------------------------------------------- what is computed


def test_letters_cost_one_short_row_and_one_head_row_a_question(llm):
    llm.counts.clear()
    pairs = asked(llm, names=("gout", "mumps"), options="ABCD")
    list(models.score(llm, pairs, 100_000))
    contexts = {pair.context for pair in pairs}
    shared = scoring.common_prefix(list(contexts))
    assert llm.counts["prefix_tokens"] == shared
    assert llm.counts["row_tokens"] == sum(len(c) - shared for c in contexts)
    assert llm.counts["head_rows"] == 2


def test_options_of_several_tokens_branch_from_one_row(llm):
    llm.counts.clear()
    pairs = asked(llm, names=("gout",))
    list(models.score(llm, pairs, 100_000))
    read = sum(len(pair.continuation) - 1 for pair in pairs)
    prefix, trunk = llm.counts["prefix_tokens"], len(pairs[0].context)
    assert llm.counts["row_tokens"] == trunk - prefix + read
    assert llm.counts["head_rows"] == 1 + read  # the last word of the context is read once for all


def test_two_options_that_begin_alike_are_told_apart(llm):
    pairs = asked(llm, options=("naproxen and rest", "naproxen and colchicine", "naproxen"))
    found = dict(models.score(llm, pairs, 100_000))
    assert found[0] == pytest.approx(literal_score(llm, pairs[0]), abs=1e-4)
    assert found[0] != found[1]


def test_the_prefix_is_the_same_after_many_batches(llm):
    pairs = asked(llm, names=[f"condition {i}" for i in range(12)])
    assert dict(models.score(llm, pairs, 1)) == pytest.approx(
        dict(models.score(llm, pairs, 100_000)), abs=1e-4
    )


# --------------------------------------------------------------------------- when memory ends


def test_out_of_memory_halves_the_batch_and_every_pair_is_scored(llm, monkeypatch, caplog):
    pairs = asked(llm, names=[f"condition {i}" for i in range(8)])
    expected = dict(models.score(llm, pairs, 100_000))
    sizes, read = [], scoring._read

    def small(llm, model, prefix, shared, batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return read(llm, model, prefix, shared, batch)

    monkeypatch.setattr(scoring, "_read", small)
    with caplog.at_level(logging.WARNING):
        assert dict(models.score(llm, pairs, 100_000)) == pytest.approx(expected, abs=1e-4)
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert "out of memory with 8 rows" in caplog.text


def test_a_row_that_does_not_fit_alone_is_an_error(llm, monkeypatch):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(scoring, "_read", full)
    with pytest.raises(RuntimeError, match="allocate"):
        list(models.score(llm, asked(llm, names=("gout",)), 100_000))


def test_another_error_is_not_taken_for_lack_of_memory(llm, monkeypatch):
    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(scoring, "_read", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        list(models.score(llm, asked(llm), 100_000))


# ------------------------------------------------------------------------------- what is refused


def test_a_pair_longer_than_the_context_is_refused(llm):
    pair = models.Pair(tuple([5] * llm.max_length), (5,))
    with pytest.raises(models.ModelError, match=str(llm.max_length + 1)):
        list(models.score(llm, [pair], 1000))


def test_nan_logits_are_an_error_and_not_an_answer(llm, monkeypatch):
    monkeypatch.setattr(scoring, "_log_probabilities", lambda _, steps: [math.nan] * len(steps))
    with pytest.raises(models.ModelError, match="NaN"):
        list(models.score(llm, asked(llm), 1000))


def test_nothing_to_score_asks_no_model():
    assert list(models.score(None, [], 1000)) == []
