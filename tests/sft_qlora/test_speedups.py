"""Shortcuts in training change nothing but the time: loss and gradients are the trainer's own."""

import copy

import pandas as pd
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from tests.support.project import dialogue
from tests.support.toy_training import SETTINGS
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    FalconConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen3Config,
)
from trl import SFTConfig

from clinical_camel import data, models, sft_qlora
from clinical_camel.models import IGNORE
from clinical_camel.sft_qlora import speedups
from clinical_camel.sft_qlora.speedups import SPEEDUPS, Trainer

SMALL = {"vocab_size": 2048, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
GATED = SMALL | {"intermediate_size": 96, "num_key_value_heads": 2, "initializer_range": 0.1}
BASES = {
    "llama": LlamaConfig(**GATED),
    "mistral": MistralConfig(**GATED, sliding_window=4096),
    "qwen3": Qwen3Config(**GATED, head_dim=16),
    "bloom": BloomConfig(vocab_size=2048, n_layer=3, n_head=4, initializer_range=0.1),
}


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer("mini")


@pytest.fixture(scope="module")
def encoded(tokenizer):
    rows = [dialogue(f"case {i}", exchanges=1 + i % 3) for i in range(8)]
    return sft_qlora.encode_mixture(tokenizer, {"toy": rows}, "assistant", 256)


def a_trainer(base, tokenizer, encoded, folder, dropout=0.0, **settings):
    """Our trainer on a copy of `base`, with an adapter whose second matrices are not zero."""
    quiet = {"report_to": "none", "disable_tqdm": True, "save_strategy": "no", "use_cpu": True}
    quiet |= {"bf16": False, "activation_checkpointing": False, "seed": 0}
    torch.manual_seed(0)
    trainer = Trainer(
        model=copy.deepcopy(base),
        args=SFTConfig(output_dir=str(folder), max_length=256, **quiet | settings),
        train_dataset=Dataset.from_list(encoded.rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=4, lora_alpha=8, lora_dropout=dropout, target_modules="all-linear"
        ),
    )
    torch.manual_seed(1)
    for name, weight in trainer.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight.data, std=0.1)
        if weight.requires_grad:
            weight.data = weight.data.float()
    return trainer


def loss_and_gradients(trainer, names, batch):
    trainer.model.train()
    trainer.model.zero_grad()
    torch.manual_seed(2)  # of dropout
    with speedups.applied(trainer, names):
        loss = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=77)
        loss.backward()
    found = [p.grad for p in trainer.model.parameters() if p.grad is not None]
    assert found
    return loss.item(), torch.cat([grad.flatten() for grad in found])


def assert_parity(trainer, names, batch):
    loss, gradients = loss_and_gradients(trainer, [], batch)
    ours, our_gradients = loss_and_gradients(trainer, names, batch)
    assert ours == pytest.approx(loss, rel=1e-5)
    assert gradients.abs().max() > 1e-4
    torch.testing.assert_close(our_gradients, gradients, rtol=1e-3, atol=2e-6)


def batch_of(trainer, rows=3):
    return trainer.data_collator([trainer.train_dataset[i] for i in range(rows)])


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "names",
    [
        ["trained_head"],
        ["trained_head", "trained_tail"],
        ["trained_head", "causal_mask"],
        ["fused_lora"],
        list(SPEEDUPS),
    ],
)
def test_loss_and_gradients_are_those_of_the_stock_trainer(
    base, names, tokenizer, encoded, tmp_path
):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(BASES[base])
    trainer = a_trainer(model, tokenizer, encoded, tmp_path)
    assert_parity(trainer, names, batch_of(trainer))


def test_they_are_in_four_bits_with_dropout_and_in_a_packed_row(tokenizer, encoded, tmp_path):
    base = models.load_base("mini", "nf4")
    trainer = a_trainer(base, tokenizer, encoded, tmp_path, dropout=0.5)
    with models.steady(trainer.model):  # with the tail, dropout is drawn for fewer rows
        assert_parity(trainer, ["trained_head", "causal_mask", "fused_lora"], batch_of(trainer))
    packed = a_trainer(base, tokenizer, encoded, tmp_path, packing=True)
    with models.steady(packed.model):
        assert_parity(packed, SPEEDUPS, batch_of(packed, rows=1))


def test_they_are_when_layers_are_computed_again(tokenizer, encoded, tmp_path):
    trainer = a_trainer(models.load_base("mini"), tokenizer, encoded, tmp_path)
    batch = batch_of(trainer)
    plain = loss_and_gradients(trainer, SPEEDUPS, batch)
    speedups.recompute(trainer.model.get_base_model(), 2)
    again = loss_and_gradients(trainer, SPEEDUPS, batch)
    assert again[0] == plain[0]
    torch.testing.assert_close(again[1], plain[1])


@pytest.mark.parametrize(("asked", "twice"), [(0, 0), (1, 1), (2, 2), (-1, 4)])
def test_as_many_layers_as_asked_are_computed_again(asked, twice):
    model = models.load_base("mini").train()
    calls = []
    for layer in model.model.layers:
        layer.mlp.register_forward_pre_hook(lambda module, _: calls.append(module))
    speedups.recompute(model, asked)
    model.get_input_embeddings().weight.requires_grad_(True)
    model(input_ids=torch.tensor([[5, 6, 7]]), use_cache=False).logits.sum().backward()
    assert len(calls) == len(model.model.layers) + twice


def test_logits_are_computed_for_trained_tokens_only(tokenizer, encoded, tmp_path):
    trainer = a_trainer(models.load_base("mini"), tokenizer, encoded, tmp_path)
    batch, seen = batch_of(trainer), {}
    base = trainer.model.get_base_model()
    base.lm_head.register_forward_hook(lambda *at: seen.update(head=at[1][0].shape))
    trained = int((batch["labels"][:, 1:] != IGNORE).sum())
    loss_and_gradients(trainer, SPEEDUPS, batch)
    assert seen["head"][:2] == (1, trained)
    assert trained < batch["labels"].numel() / 2
    tail = base.model.layers[-1].mlp.register_forward_hook(
        lambda *at: seen.update(tail=at[1][0].shape)
    )
    loss_and_gradients(trainer, SPEEDUPS, batch)
    tail.remove()
    assert seen["tail"][0] == trained


def test_a_batch_without_a_trained_token_has_loss_zero_and_no_nan(tokenizer, encoded, tmp_path):
    trainer = a_trainer(models.load_base("mini"), tokenizer, encoded, tmp_path)
    batch = batch_of(trainer) | {"labels": torch.full((3, 4), IGNORE)}
    batch["input_ids"], batch["attention_mask"] = (
        batch["input_ids"][:, :4],
        batch["attention_mask"][:, :4],
    )
    loss, gradients = loss_and_gradients(trainer, SPEEDUPS, batch)
    assert loss == 0.0
    assert not gradients.any()


def test_afterwards_the_model_is_as_before(tokenizer, encoded, tmp_path):
    trainer = a_trainer(models.load_base("mini"), tokenizer, encoded, tmp_path)
    ids = torch.tensor([[5, 6, 7]])
    before = trainer.model(input_ids=ids).logits
    with pytest.raises(KeyboardInterrupt), speedups.applied(trainer, SPEEDUPS):
        raise KeyboardInterrupt
    assert torch.equal(trainer.model(input_ids=ids).logits, before)


def test_a_whole_training_has_the_losses_and_token_counts_of_the_stock_one(
    tokenizer, encoded, tmp_path
):
    """With accumulated batches, whose trained tokens are counted together, and a held-out part."""
    settings = SETTINGS | {"gradient_accumulation_steps": 2, "validation_fraction": 0.25}
    settings |= {"lora_dropout": 0.0}
    logs = []
    for names in ([], list(SPEEDUPS)):
        base = models.load_base("mini", "nf4")
        torch.manual_seed(0)
        _, log = sft_qlora.train(
            base,
            tokenizer,
            encoded,
            folder=tmp_path / str(len(names)),
            **settings | {"speedups": names},
        )
        logs.append(log)
    stock, ours = logs
    assert ours["loss"].tolist() == pytest.approx(stock["loss"].tolist(), rel=1e-4)
    assert ours["tokens"].tolist() == stock["tokens"].tolist()
    checked = [log["validation_loss"].dropna().tolist() for log in logs]
    assert checked[1] == pytest.approx(checked[0], rel=1e-4)
    assert checked[0]


def test_values_of_nf4_unpacked_once_give_the_same_model():
    packed, unpacked = (models.load_base("mini", kind) for kind in ("nf4", "nf4_dequantized"))
    layer = unpacked.model.layers[0].mlp.up_proj
    assert type(layer) is torch.nn.Linear
    assert not torch.equal(
        layer.weight, models.load_base("mini").model.layers[0].mlp.up_proj.weight
    )
    ids = torch.arange(5, 45)[None]
    with models.steady(packed):
        ours, theirs = packed.train()(input_ids=ids).logits, unpacked.train()(input_ids=ids).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_shortcuts_that_do_not_go_together_are_refused(tokenizer, encoded, tmp_path):
    with pytest.raises(ValueError, match="speedups: trained_tail: needs trained_head"):
        sft_qlora.train(
            models.load_base("mini"),
            tokenizer,
            encoded,
            folder=tmp_path,
            **SETTINGS | {"speedups": ["trained_tail"]},
        )


@pytest.mark.parametrize("config", [GPT2Config(n_layer=1), FalconConfig(num_hidden_layers=1)])
def test_a_base_is_known_to_have_what_the_tail_needs_or_refused(config):
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(config)
    has = hasattr(speedups.decoder_layers(base)[-1], "mlp")
    assert bool(speedups.problem(SPEEDUPS, base)) is not has


def test_a_row_padded_in_front_keeps_its_mask(tokenizer, encoded, tmp_path):
    trainer = a_trainer(models.load_base("mini"), tokenizer, encoded, tmp_path)
    behind = batch_of(trainer)
    seen = []
    trainer.model.get_base_model().register_forward_pre_hook(
        lambda _, args, kwargs: seen.append("attention_mask" in kwargs), with_kwargs=True
    )
    loss_and_gradients(trainer, SPEEDUPS, behind)
    in_front = {name: value.flip(1) for name, value in behind.items()}
    loss_and_gradients(trainer, SPEEDUPS, in_front)
    assert (behind["attention_mask"] == 0).any()
    assert seen == [False, True]


def test_what_is_said_of_speed_is_in_the_table_and_no_speed_is_there_without_parity():
    table = pd.read_csv(data.root() / "benchmarks" / "sft_speed.csv")
    assert table["parity"].all() == table["ratio"].notna().all()
    assert table["loss_apart"].astype(float).max() <= 1e-5
    ours = table[table["subject"] == "ours"].set_index("vocabulary")["ratio"]
    for place in ("README.md", "benchmarks/README.md", "outputs/LOG.md"):
        said = " ".join((data.root() / place).read_text(encoding="utf-8").split())
        assert f"{ours[1024]} times" in said
        assert f"{ours[8192]} " in said


def test_a_base_unpacked_once_trains_to_the_losses_of_the_packed_one(tokenizer, encoded, tmp_path):
    losses = []
    for quantize in ("nf4", "nf4_dequantized"):
        base = models.load_base("mini", quantize)
        torch.manual_seed(0)
        settings = SETTINGS | {"num_epochs": 1.0}
        _, log = sft_qlora.train(base, tokenizer, encoded, folder=tmp_path / quantize, **settings)
        losses.append(log["loss"].tolist())
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
