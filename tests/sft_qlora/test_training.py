"""Step 02: the mask, the counts, and a run that was killed and resumed."""

import dataclasses
import json
import os

import pandas as pd
import pytest
import torch
from tests.support.project import dialogue
from tests.support.toy_training import SETTINGS
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from clinical_camel import data, models, sft_qlora
from clinical_camel.data import Article, Section
from clinical_camel.models import IGNORE
from clinical_camel.sft_qlora.tokenization import hold_out


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer("mini")


@pytest.fixture(scope="module")
def encoded(tokenizer):
    rows = [dialogue(f"case {i}", exchanges=1 + i % 3) for i in range(12)]
    return sft_qlora.encode_mixture(tokenizer, {"toy": rows}, "assistant", 256)


class Captured(Exception):
    """Raised in place of training, with the trainer in hand."""


def trainer_of(tokenizer, encoded, tmp_path, monkeypatch, quantize="nf4", **changes):
    """The trainer that `train` builds, caught before its first step."""
    caught = {}

    def stop(self, resume_from_checkpoint=None):
        caught["trainer"] = self
        raise Captured

    monkeypatch.setattr(sft_qlora.training.shortcuts.Trainer, "train", stop)
    base = models.load_base("mini", quantize)
    with pytest.raises(Captured):
        sft_qlora.train(base, tokenizer, encoded, folder=tmp_path, **SETTINGS | changes)
    return caught["trainer"]


def test_what_the_trainer_trains_on_is_every_assistant_turn_and_nothing_else(
    tokenizer, encoded, tmp_path, monkeypatch
):
    trainer = trainer_of(tokenizer, encoded, tmp_path, monkeypatch)
    row = trainer.train_dataset[2]
    trained = [label for label in row["labels"] if label != IGNORE]
    expected = "".join(f"Answer {i} on case 2.</s>" for i in range(3))
    assert tokenizer.decode(trained) == expected


def test_packing_keeps_every_mask(tokenizer, encoded, tmp_path, monkeypatch):
    trainer = trainer_of(tokenizer, encoded, tmp_path, monkeypatch, packing=True)
    packed = trainer.train_dataset
    assert len(packed) < len(encoded.rows)
    trained = sum(label != IGNORE for row in packed for label in row["labels"])
    assert trained == sum(label != IGNORE for row in encoded.rows for label in row["labels"])


def test_packed_dialogues_do_not_see_each_other(tokenizer, encoded, tmp_path, monkeypatch):
    """The summed loss of all trained tokens is that of each dialogue on its own.

    In float32: in 4 bits some CPUs multiply few rows and many by different kernels.
    """
    trainer = trainer_of(tokenizer, encoded, tmp_path, monkeypatch, quantize="", packing=True)
    packed, alone = packed_and_alone(trainer.model.eval(), trainer, encoded)
    assert packed == pytest.approx(alone, rel=1e-5)


SMALL = {"vocab_size": 2048, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
GATED = SMALL | {"intermediate_size": 96, "num_key_value_heads": 2, "initializer_range": 0.3}


@pytest.mark.parametrize(
    ("config", "apart"),
    [
        (LlamaConfig(**GATED), False),
        (MistralConfig(**GATED, sliding_window=4096), False),
        (Qwen3Config(**GATED, head_dim=16), False),
        (BloomConfig(vocab_size=2048, n_layer=2, n_head=4, initializer_range=0.3), True),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_packing_is_for_bases_that_take_positions_and_those_alone(
    config, apart, tokenizer, encoded, tmp_path, monkeypatch
):
    trainer = trainer_of(tokenizer, encoded, tmp_path, monkeypatch, quantize="", packing=True)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    packed, alone = packed_and_alone(model, trainer, encoded)
    assert models.takes_positions(model) is not apart
    assert (abs(packed / alone - 1) > 1e-5) is apart  # BLOOM: refused by `train`, and this is why


def packed_and_alone(model, trainer, encoded):
    """The summed loss of all trained tokens, packed as the trainer does and row by row."""
    packed, alone = 0.0, 0.0
    with torch.inference_mode():
        for row in trainer.train_dataset:
            batch = trainer.data_collator([row])
            labels = batch.pop("labels")
            batch.pop("seq_lengths", None)
            if not models.takes_positions(model):
                batch.pop("position_ids")
            logits = model(**batch, use_cache=False).logits
            packed += summed_loss(logits, labels)
        for row in encoded.rows:
            ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
            alone += summed_loss(model(input_ids=ids, use_cache=False).logits, labels)
    return packed, alone


def summed_loss(logits, labels):
    return torch.nn.functional.cross_entropy(
        logits[0, :-1].float(), labels[0, 1:], ignore_index=IGNORE, reduction="sum"
    ).item()


@pytest.mark.parametrize("packing", [False, True])
def test_padding_with_the_end_token_hides_no_end_token(packing, encoded, tmp_path, monkeypatch):
    """Many bases pad with their end token; masking all of those teaches a model not to stop."""
    tokenizer = models.load_tokenizer("mini")
    tokenizer.pad_token = tokenizer.eos_token
    trainer = trainer_of(tokenizer, encoded, tmp_path, monkeypatch, packing=packing)
    rows = list(trainer.train_dataset)
    batch = trainer.data_collator(rows)
    trained = batch["labels"][batch["labels"] != IGNORE]
    ends = sum(row["input_ids"].count(tokenizer.eos_token_id) for row in encoded.rows)
    assert int((trained == tokenizer.eos_token_id).sum()) == ends
    if not packing:  # a packed batch is one line without padding
        lengths = [len(row["input_ids"]) for row in rows]
        assert batch["attention_mask"].sum(dim=1).tolist() == lengths
        assert len(set(lengths)) > 1


def word_tokenizer(*words):
    """A tokenizer that knows these words and nothing else."""
    vocabulary = {word: i for i, word in enumerate(["<unk>", "</s>", *words])}
    words_only = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    words_only.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words_only, unk_token="<unk>", eos_token="</s>", pad_token="<unk>"
    )


def test_words_that_the_tokenizer_does_not_know_are_refused_with_the_first_row():
    rows = [
        Article(id=name, title="gout", sections=[Section(heading="", text=text)])
        for name, text in (("a", "it hurts"), ("b", "it hurts ω β"), ("c", "ω"))
    ]
    tokenizer = word_tokenizer("gout", "it", "hurts")
    with pytest.raises(ValueError, match="toy: .* a word of 2 of 3 rows, first of b: ω, β; take"):
        sft_qlora.encode_mixture(tokenizer, {"toy": rows}, "assistant", 64)
    assert len(sft_qlora.encode_mixture(tokenizer, {"toy": rows[:1]}, "assistant", 64).rows) == 1


def test_a_dialogue_with_an_unknown_word_is_refused_too():
    with pytest.raises(ValueError, match="1 of 1 rows, first of gout: Question"):
        sft_qlora.encode_mixture(
            word_tokenizer("on", "gout"), {"toy": [dialogue("gout", 1)]}, "all", 64
        )


def test_the_unknown_token_written_out_is_no_unknown_word():
    assert sft_qlora.unknown_words(word_tokenizer("the", "token"), "the token <unk>") == []


def test_a_tokenizer_of_bytes_knows_every_word(tokenizer):
    assert sft_qlora.unknown_words(tokenizer, "ω β 漢字 ☃") == []


def test_the_adapter_is_trained_in_float32_on_a_4_bit_base(
    tokenizer, encoded, tmp_path, monkeypatch
):
    trainer = trainer_of(tokenizer, encoded, tmp_path, monkeypatch)
    kinds = {p.dtype for p in trainer.model.parameters() if p.requires_grad}
    assert kinds == {torch.float32}
    layer = trainer.model.base_model.model.model.layers[0].self_attn.q_proj.base_layer
    assert type(layer).__name__ == "Linear4bit"


@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_a_resumed_run_is_the_undisturbed_run(validation, tokenizer, encoded, tmp_path):
    """To watch a validation loss changes a 4-bit base on some CPUs: see `models.steady`."""
    settings = SETTINGS | {"validation_fraction": validation}

    def run(folder):
        base = models.load_base("mini", "nf4")
        torch.manual_seed(0)
        model, log = sft_qlora.train(base, tokenizer, encoded, folder=folder, **settings)
        weights = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
        return log, weights

    log, weights = run(tmp_path / "whole")
    whole = next((tmp_path / "whole").glob("checkpoints-*"))
    # As if killed after step 8: the checkpoint of the last step is there and not whole.
    killed = tmp_path / "killed" / whole.name
    killed.parent.mkdir()
    whole.rename(killed)
    last = killed / f"checkpoint-{len(log)}"
    (last / "optimizer.pt").unlink()
    resumed_log, resumed_weights = run(tmp_path / "killed")
    assert list(resumed_log["loss"]) == list(log["loss"])
    assert list(resumed_log["tokens"]) == list(log["tokens"])
    for name, value in weights.items():
        assert torch.equal(value, resumed_weights[name]), name


def test_a_dialogue_that_is_too_long_loses_whole_exchanges_from_its_end(tokenizer):
    long = dialogue("case", exchanges=5)
    full = len(models.encode_dialogue(tokenizer, long.messages, "assistant")["input_ids"])
    encoded = sft_qlora.encode_mixture(tokenizer, {"toy": [long]}, "assistant", full - 1)
    trained = [label for label in encoded.rows[0]["labels"] if label != IGNORE]
    expected = "".join(f"Answer {i} on case.</s>" for i in range(4))
    assert tokenizer.decode(trained) == expected
    assert encoded.counts[["shortened", "dropped"]].to_numpy().tolist() == [[1, 0]]


def test_a_dialogue_whose_first_exchange_does_not_fit_is_dropped_and_counted(tokenizer):
    rows = [dialogue("a" * 400), dialogue("b")]
    encoded = sft_qlora.encode_mixture(tokenizer, {"toy": rows}, "assistant", 100)
    assert len(encoded.rows) == 1
    assert encoded.counts["dropped"].tolist() == [1]


def test_a_row_without_a_token_to_learn_from_is_dropped_and_counted(tokenizer, monkeypatch):
    """A system message and a question are no exchange; a template may mark no reply of one."""
    masked = {"input_ids": [1, 5, 6], "labels": [1, IGNORE, IGNORE]}  # the first predicts nothing
    whole = {"input_ids": [1, 5, 6], "labels": [IGNORE, 5, 6]}
    rows = iter([(masked, 0), (whole, 0)])
    monkeypatch.setattr(sft_qlora.encoding, "encode_within", lambda *_: next(rows))
    given = {"toy": [dialogue("a"), dialogue("b")]}
    encoded = sft_qlora.encode_mixture(tokenizer, given, "assistant", 100)
    assert encoded.rows == [whole]
    assert encoded.groups == ["b"]
    assert encoded.counts[["rows", "without_loss", "dropped"]].to_numpy().tolist() == [[2, 1, 0]]


def test_a_validation_part_shares_no_article_with_the_rest():
    groups = [f"article {i // 5}" for i in range(100)]
    held = hold_out(groups, 0.25, seed=0)
    learned = set(range(100)) - set(held)
    assert not {groups[i] for i in held} & {groups[i] for i in learned}
    assert len(held) == 25
    assert hold_out(groups, 0.25, seed=0) == held != hold_out(groups, 0.25, seed=1)
    with pytest.raises(ValueError, match="all rows are of one article"):
        hold_out(["gout"] * 9, 0.25, seed=0)


def test_dialogues_written_to_one_article_are_of_one_group(tokenizer):
    made = [dataclasses.replace(dialogue(f"gout/{i}"), source="article") for i in range(2)]
    alone = dataclasses.replace(dialogue("own"), source="article")
    rows = {"made": [*made, alone], "chat": [dialogue("chat/1"), dialogue("chat/2")]}
    encoded = sft_qlora.encode_mixture(tokenizer, rows, "assistant", 256)
    assert encoded.groups == ["gout", "gout", "own", "chat/1", "chat/2"]


def test_an_article_is_plain_text_with_every_token_trained(tokenizer):
    article = Article(
        id="a", title="Gout", sections=[Section(heading="Signs", text="It hurts. " * 50)]
    )
    encoded = sft_qlora.encode_mixture(tokenizer, {"toy": [article]}, "assistant", 64)
    assert all(row["labels"] == row["input_ids"] for row in encoded.rows)
    assert max(len(row["input_ids"]) for row in encoded.rows) == 64
    joined = [i for row in encoded.rows for i in row["input_ids"]]
    assert tokenizer.decode(joined, skip_special_tokens=True) == data.article_text(article)


def test_a_last_window_of_one_token_is_left_out_for_it_has_nothing_to_be_predicted_from(tokenizer):
    article = Article(id="a", title="Gout", sections=[Section(heading="", text="It hurts. " * 9)])
    ids = len(models.encode_text(tokenizer, data.article_text(article))["input_ids"])
    windows = sft_qlora.encode_windows(tokenizer, article, ids - 1)
    assert [len(window["input_ids"]) for window in windows] == [ids - 1]


def test_an_unknown_loss_on_is_refused_with_the_choices(tokenizer):
    with pytest.raises(ValueError, match="'user' is not one of assistant, all"):
        sft_qlora.encode_mixture(tokenizer, {"toy": [dialogue("a")]}, "user", 64)


def test_the_mask_is_shown_in_brackets(tokenizer):
    row = models.encode_dialogue(tokenizer, dialogue("x", 2).messages, "assistant")
    text = sft_qlora.show_mask(tokenizer, row).replace("\x1b[1;34m", "").replace("\x1b[0m", "")
    assert text == (
        "<s><|user|>Question 0 on x?<|end|><|assistant|>[[Answer 0 on x.</s>]]"
        "<|user|>Question 1 on x?<|end|><|assistant|>[[Answer 1 on x.</s>]]"
    )


def test_tokens_go_on_counting_after_a_resume():
    steps = [
        {"step": s, "loss": 1.0, "learning_rate": 0.1, "grad_norm": 1.0, "num_tokens": n}
        for s, n in ((1, 10.0), (2, 20.0), (3, 5.0))
    ]
    assert sft_qlora.training_log(steps)["tokens"].tolist() == [10, 20, 25]


def test_the_saved_adapter_holds_no_path_of_this_machine(tokenizer, encoded, tmp_path):
    base = models.load_base("mini", "")
    changes = {"num_epochs": 0.2, "lora_rank": 2}
    model, _ = sft_qlora.train(base, tokenizer, encoded, folder=tmp_path, **SETTINGS | changes)
    table = sft_qlora.save_adapter(model, tokenizer, tmp_path / "adapter", "mini")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "mini"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    assert not list(tmp_path.glob("checkpoints-*"))
    assert isinstance(table, pd.DataFrame)
    assert table.set_index("part")["parameters"]["adapter"] > 0


@pytest.mark.parametrize("tracker", [name for name in sft_qlora.REPORT_TO if name != "none"])
def test_what_a_tracker_writes_outlives_the_checkpoints_and_stays_out_of_the_results(
    tracker, tokenizer, encoded, tmp_path, monkeypatch
):
    """Left to themselves they write into the checkpoints, or into the folder that we stand in."""
    variable = sft_qlora.REPORT_TO[tracker]
    monkeypatch.setenv(variable, "")
    monkeypatch.delenv(variable)

    def trainer(**_):
        raise Captured

    monkeypatch.setattr(sft_qlora.training.shortcuts, "Trainer", trainer)
    folder = tmp_path / "my_study" / ".02_sft_qlora.partial"
    base, settings = models.load_base("mini"), SETTINGS | {"report_to": tracker}
    with pytest.raises(Captured):
        sft_qlora.train(base, tokenizer, encoded, folder=folder, **settings)
    assert os.environ[variable] == str(tmp_path / "my_study" / ".tracking")
    assert (tmp_path / "my_study" / ".tracking").is_dir()
