"""A real language model, where it was fetched: its tokenizer, training, scores and generation.

The tokenizer has two traps. Its pad token is its end token, and its BOS is the token that starts
each turn of a conversation.
"""

import functools
import math

import pytest
import torch
from peft.tuners.lora import LoraLayer
from tests.support.toy_policies import save_sft
from tests.support.toy_training import toy_recipe
from transformers import DataCollatorForSeq2Seq

from clinical_camel import data, models, sft_qlora
from clinical_camel.core.base_models import PACKAGED, check_fetched
from clinical_camel.estimate import doctor
from clinical_camel.estimate.shapes import SHAPES
from clinical_camel.models import packaged
from clinical_camel.models.fused_lora import unfuse_lora

NAME = "smollm2_135m"
pytestmark = pytest.mark.skipif(bool(check_fetched(NAME)), reason=check_fetched(NAME))
START, END, NEWLINE = 1, 2, 198  # ids of <|im_start|>, <|im_end|> and a line break
EXAM = [  # stem, options
    ("What is the treatment of gout?", ("allopurinol", "insulin", "a cast", "vitamin C")),
    ("BP is 120/80 mmHg; the dose is 2.5 mg.\n\n1. The pressure is", ("normal", "very high")),
]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Do not let this large model change the number of threads, for itself and for later tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CLINICAL_CAMEL_THREADS", raising=False)
        yield


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer(NAME, "chatml")


@pytest.fixture(scope="module")
def llm():
    options = {"chat_template": "chatml", "compute_dtype": "float32"}
    return models.load(NAME, {"base": ""}, **options)["base"]


@pytest.fixture(scope="module")
def dialogues():
    return data.load_dialogues("mini_chat")


def test_the_fetched_model_is_the_recorded_one():
    packaged.require_unchanged(PACKAGED[NAME])
    assert models.build_skeleton(NAME).config.num_hidden_layers == 30
    config = packaged.read_json(PACKAGED[NAME].folder / "config.json")
    assert {key: config[key] for key in SHAPES[NAME]} == SHAPES[NAME]  # `plan` needs no fetch
    record = packaged.read_json(PACKAGED[NAME].folder / packaged.PROVENANCE)
    assert record["gguf"]["parameters"] == 134_515_008
    assert record["files"][packaged.WEIGHTS] == PACKAGED[NAME].weights_sha256


# ------------------------------------------------------------------------------------ tokenizer


def test_a_conversation_is_rendered_as_the_model_was_trained(tokenizer):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Gout?"},
        {"role": "assistant", "content": "Allopurinol."},
    ]
    own = models.load_tokenizer(NAME)
    expected = own.apply_chat_template(messages, tokenize=False)
    assert models.render_chat(tokenizer, messages, generation=False) == expected
    assert expected.count("<|im_start|>") == 3


def test_every_word_of_every_reply_and_its_end_token_is_a_target(tokenizer, dialogues):
    """Nothing else is: the targets are cut out of the token ids without the template's marks."""
    for dialogue in dialogues:
        row = models.tokenize_dialogue(tokenizer, dialogue.messages, "assistant")
        ids, expected, role = row["input_ids"], [], None
        for i, token in enumerate(ids):
            if token == START:
                role, content = tokenizer.decode(ids[i + 1 : ids.index(NEWLINE, i)]), False
            expected.append(token if role == "assistant" and content else models.IGNORE_INDEX)
            content |= token == NEWLINE
            if token == END:
                role = None
        assert row["labels"] == expected
        replies = [m["content"].strip() for m in dialogue.messages if m["role"] == "assistant"]
        targets = [i for i in expected if i != models.IGNORE_INDEX]
        assert tokenizer.decode(targets).split("<|im_end|>") == [*replies, ""]


def test_padding_has_no_loss_although_the_pad_token_is_the_end_token(tokenizer, dialogues):
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == END
    rows = [
        models.tokenize_dialogue(tokenizer, d.messages[: 2 * n], "assistant")
        for n, d in enumerate(dialogues[:2], start=1)
    ]
    batch = DataCollatorForSeq2Seq(tokenizer)([{**row} for row in rows])
    for row, labels in zip(rows, batch["labels"].tolist(), strict=True):
        length = len(row["labels"])
        assert labels[:length] == row["labels"]
        assert set(labels[length:]) <= {models.IGNORE_INDEX}
        replies = sum(label == END for label in labels)
        assert replies == row["labels"].count(END) > 0
    row = models.tokenize_dialogue(tokenizer, doctor.DIALOGUE, "assistant")
    assert list(doctor.check_loss_mask(tokenizer, row)) == []


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("120/80", ["1", "2", "0", "/", "8", "0"]),
        ("2.5 mg", ["2", ".", "5", "Ġmg"]),
        (" 1000", ["Ġ", "1", "0", "0", "0"]),
        ("Plan:\n\n1. Rest", ["Plan", ":", "ĊĊ", "1", ".", "ĠRest"]),
        ("a  5", ["a", "ĠĠ", "5"]),  # without the step for digits: "Ġ", "Ġ"
    ],
)
def test_numbers_are_split_into_digits_as_in_the_published_tokenizer(text, tokens, tokenizer):
    """Its tokenizer.json has Sequence[Digits(individual_digits), ByteLevel]; GGUF says `smollm`."""
    assert tokenizer.tokenize(text) == tokens
    assert not [t for t in tokenizer.get_vocab() if sum(map(str.isdigit, t)) > 1]


def test_the_models_own_template_is_refused_for_training():
    """It marks no reply, and adds a system prompt."""
    with pytest.raises(
        ValueError, match='chat_template: "" is the template of smollm2_135m, which'
    ):
        toy_recipe(model=NAME)
    with pytest.raises(models.ModelError, match="set chat_template to one of ours, such as chatml"):
        models.tokenize_dialogue(models.load_tokenizer(NAME), doctor.DIALOGUE, "assistant")


# ------------------------------------------------------------------------------------- training


def test_a_4_bit_base_with_lora_learns_from_real_dialogues(tokenizer, dialogues, tmp_path):
    rows = sorted(dialogues, key=lambda d: sum(len(m["content"]) for m in d.messages))[:2]
    tokenized = sft_qlora.tokenize_mixture(tokenizer, {"chat": rows}, "assistant", 96)
    recipe = toy_recipe(
        model=NAME,
        chat_template="chatml",
        compute_dtype="float32",
        max_length=96,
        learning_rate=2e-3,
        num_epochs=4.0,
        lora_dropout=0.0,
        batch_size=2,
    )
    base = models.load_base(NAME, "nf4", compute_dtype="float32")
    assert type(base.model.layers[0].self_attn.q_proj).__name__ == "Linear4bit"
    torch.manual_seed(0)
    _, log = sft_qlora.train(base, tokenizer, tokenized, recipe, folder=tmp_path)
    losses = log["loss"].tolist()
    assert all(map(math.isfinite, losses))
    assert len(losses) == 4  # each with both rows
    assert losses[-1] < 0.8 * losses[0]


# ------------------------------------------------------------------------ scores and generation


def score_alone(llm, pair) -> float:
    """Compute the reference: one forward per pair, all logits, no cache."""
    ids = torch.tensor([[*pair.context, *pair.continuation]])
    with torch.inference_mode():
        log_probs = llm.activate()(input_ids=ids).logits[0].double().log_softmax(-1)
    start = len(pair.context) - 1
    return sum(log_probs[start + i, token].item() for i, token in enumerate(pair.continuation))


def make_pairs(tokenizer, protocol: str) -> list[models.Pair]:
    pairs = []
    for stem, options in EXAM:
        text, space = f"Question: {stem}\nAnswer:", " "
        if protocol == "conversation":
            text = models.render_chat(tokenizer, [{"role": "user", "content": stem}])
            space = models.find_reply_prefix(tokenizer)
        pairs += [models.tokenize_pair(tokenizer, text, f"{space}{o}") for o in options]
    return pairs


def score_all(llm, pairs) -> list[float]:
    scores = dict(models.score_pairs(llm, pairs, 10_000))
    return [scores[i] for i in range(len(pairs))]


@pytest.mark.parametrize("protocol", ["text", "conversation"])
def test_scores_equal_one_forward_per_pair(protocol, llm):
    """In float32; the tolerance is that of another order of additions."""
    pairs = make_pairs(llm.tokenizer, protocol)
    expected = [score_alone(llm, pair) for pair in pairs]
    assert score_all(llm, pairs) == pytest.approx(expected, abs=1e-3)


def test_an_adapter_scores_as_with_peft_s_own_layers(tmp_path):
    """The settings of the study: NF4 values as floats, LoRA in one pass; float32, then bfloat16."""
    folder = str(save_sft(tmp_path / "adapter", NAME, "chatml", deviation=0.3))
    load = functools.partial(
        models.load, NAME, {"base": "", "tuned": folder}, "nf4_dequantized", "chatml"
    )
    llms = load("float32")
    pairs = make_pairs(llms["tuned"].tokenizer, "conversation")
    scores = {name: score_all(llm, pairs) for name, llm in llms.items()}
    unfuse_lora([m for m in llms["tuned"].model.modules() if isinstance(m, LoraLayer)])
    expected = {name: [score_alone(llm, pair) for pair in pairs] for name, llm in llms.items()}
    assert scores["base"] == pytest.approx(expected["base"], abs=1e-3)
    assert scores["tuned"] == pytest.approx(expected["tuned"], abs=1e-3)
    assert max(abs(t - b) for b, t in zip(*expected.values(), strict=True)) > 1.0
    for name, llm in load("bfloat16").items():
        assert score_all(llm, pairs) == pytest.approx(expected[name], rel=0.1)


def test_generation_stops_at_the_end_token_in_a_padded_batch(llm):
    questions = ["What is the capital of France?", "Hi, I am Tom."]
    prompts = [
        models.render_chat(llm.tokenizer, [{"role": "user", "content": q}]) for q in questions
    ]
    decoding = models.Decoding(max_new_tokens=60)
    replies = {}
    for budget in (10_000, 1):  # both in one batch, the shorter one padded; each alone
        options = {"token_budget": budget, "seed": 0}
        replies[budget] = sorted(models.generate(llm, prompts, decoding, **options))
    assert replies[1] == replies[10_000]
    assert [ended for _, _, ended in replies[1]] == [True, True]
    assert "Paris" in replies[1][0][1]
    assert not any("<|im" in text for _, text, _ in replies[1])
    (cut,) = models.generate(llm, prompts[:1], models.Decoding(1), token_budget=100, seed=0)
    assert cut[2] is False


def test_the_context_has_8192_tokens(llm):
    assert llm.max_length == 8192
    prompt = "word " * 8000
    length = len(models.tokenize_text(llm.tokenizer, prompt))
    decoding = models.Decoding(max_new_tokens=8193 - length)
    with pytest.raises(models.ModelError, match="are 8193, more than the context of 8192"):
        next(models.generate(llm, [prompt], decoding, token_budget=10_000, seed=0))
    pair = models.tokenize_pair(llm.tokenizer, prompt, " word" * (8193 - length))
    with pytest.raises(models.ModelError, match="8192"):
        next(models.score_pairs(llm, [pair], 10_000))
