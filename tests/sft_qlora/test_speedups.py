"""Speedups change the time only: loss and gradients equal those of TRL's trainer."""

import contextlib
import copy

import bitsandbytes as bnb
import pandas as pd
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from tests.support.toy_training import BASES, toy_recipe, train
from transformers import AutoModelForCausalLM, FalconConfig, GPT2Config
from trl import SFTConfig

from clinical_camel import models
from clinical_camel.core.paths import root
from clinical_camel.models import IGNORE_INDEX
from clinical_camel.sft_qlora import speedups
from clinical_camel.sft_qlora.settings import SPEEDUPS
from clinical_camel.sft_qlora.speedups import Trainer


def make_trainer(base, tokenizer, tokenized, folder, dropout=0.0, **settings):
    """Our trainer on a copy of `base`, with an adapter whose B matrices are not zero."""
    quiet = {"report_to": "none", "disable_tqdm": True, "save_strategy": "no", "use_cpu": True}
    quiet |= {"bf16": False, "activation_checkpointing": False, "seed": 0}
    torch.manual_seed(0)
    trainer = Trainer(
        model=copy.deepcopy(base),
        args=SFTConfig(output_dir=str(folder), max_length=256, **quiet | settings),
        train_dataset=Dataset.from_list(tokenized.rows),
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
    with speedups.apply_speedups(trainer, names):
        loss = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=77)
        loss.backward()
    gradients = [p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None]
    assert gradients
    return loss.item(), torch.cat(gradients)


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
        ["target_head"],
        ["target_head", "target_tail"],
        ["target_head", "causal_mask"],
        ["fused_lora"],
        list(SPEEDUPS),
    ],
)
def test_loss_and_gradients_are_those_of_the_stock_trainer(
    base, names, tokenizer, tokenized, tmp_path
):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(BASES[base])
    trainer = make_trainer(model, tokenizer, tokenized, tmp_path)
    assert_parity(trainer, names, batch_of(trainer))


def test_loss_and_gradients_are_equal_in_4_bits_with_dropout_and_in_a_packed_row(
    tokenizer, tokenized, tmp_path
):
    base = models.load_base("mini", "nf4")
    trainer = make_trainer(base, tokenizer, tokenized, tmp_path, dropout=0.5)
    with models.freeze_quantization(trainer.model):  # the tail draws dropout for fewer rows
        assert_parity(trainer, ["target_head", "causal_mask", "fused_lora"], batch_of(trainer))
    packed = make_trainer(base, tokenizer, tokenized, tmp_path, packing=True)
    with models.freeze_quantization(packed.model):
        assert_parity(packed, SPEEDUPS, batch_of(packed, rows=1))


@pytest.mark.filterwarnings("ignore:.use_liger_kernel=True. is deprecated:FutureWarning")
def test_trl_rejects_the_fused_loss_of_liger(tokenizer, tokenized, tmp_path):
    """It has a head of its own that computes logits in parts; docs/recipes.md says so."""
    base = AutoModelForCausalLM.from_config(BASES["llama"])
    fused = {"use_liger_kernel": True, "liger_kernel_config": {"fused_linear_cross_entropy": True}}
    with pytest.raises(ValueError, match="fused_linear_cross_entropy.* is not supported"):
        make_trainer(base, tokenizer, tokenized, tmp_path, **fused)
    trainer = make_trainer(base, tokenizer, tokenized, tmp_path, use_liger_kernel=True)
    assert trainer.args.liger_kernel_config == {"fused_linear_cross_entropy": False}


@pytest.mark.parametrize(("packing", "recomputed"), [(False, 0), (True, 2)])
def test_compiled_layers_give_the_same_loss_and_gradients(
    packing, recomputed, tokenizer, tokenized, tmp_path, monkeypatch
):
    """On rows of several lengths, traced by torch.compile, but computed as before: inductor, which
    takes a minute, is compared in benchmarks/sft_speed.py."""
    monkeypatch.setattr(speedups, "BACKEND", "aot_eager")
    base = models.load_base("mini", "nf4")
    trainer = make_trainer(base, tokenizer, tokenized, tmp_path, packing=packing)
    speedups.enable_gradient_checkpointing(trainer.model.get_base_model(), recomputed)
    layers = speedups.decoder_layers(trainer.model)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    with models.freeze_quantization(trainer.model):
        for rows in (1, 2):
            assert_parity(trainer, [*SPEEDUPS, "compile"], batch_of(trainer, rows))
    counters = torch._dynamo.utils.counters
    assert counters["stats"]["calls_captured"] > 0
    assert not counters["graph_break"]
    assert all(layer._compiled_call_impl is None for layer in layers)


def test_flex_attention_separates_packed_dialogues_as_sdpa_does():
    """Forward only: on a CPU it has no backward pass."""
    ids = torch.randint(5, 1000, (1, 30), generator=torch.Generator().manual_seed(0))
    positions = torch.cat([torch.arange(12), torch.arange(18)])[None]
    logits = {}
    for name in ("sdpa", "flex_attention"):
        model = models.load_base("mini")
        model.set_attn_implementation(name)
        with torch.no_grad():
            packed = model(input_ids=ids, position_ids=positions, use_cache=False).logits
            alone = model(input_ids=ids[:, 12:], use_cache=False).logits
        torch.testing.assert_close(packed[:, 12:], alone, rtol=1e-3, atol=1e-4)
        logits[name] = packed
    torch.testing.assert_close(logits["flex_attention"], logits["sdpa"], rtol=1e-3, atol=1e-4)


@pytest.fixture
def trainer(tokenizer, tokenized, tmp_path):
    """Our trainer on the shipped base in float32."""
    return make_trainer(models.load_base("mini"), tokenizer, tokenized, tmp_path)


def test_loss_and_gradients_are_equal_with_gradient_checkpointing(trainer):
    batch = batch_of(trainer)
    plain = loss_and_gradients(trainer, SPEEDUPS, batch)
    speedups.enable_gradient_checkpointing(trainer.model.get_base_model(), 2)
    recomputed = loss_and_gradients(trainer, SPEEDUPS, batch)
    assert recomputed[0] == plain[0]
    torch.testing.assert_close(recomputed[1], plain[1])


@pytest.mark.parametrize(("layers", "recomputed"), [(0, 0), (1, 1), (2, 2), (-1, 4)])
def test_gradient_checkpointing_recomputes_the_requested_layers(layers, recomputed):
    model = models.load_base("mini").train()
    calls = []
    for layer in model.model.layers:
        layer.mlp.register_forward_pre_hook(lambda module, _: calls.append(module))
    speedups.enable_gradient_checkpointing(model, layers)
    model.get_input_embeddings().weight.requires_grad_(True)
    model(input_ids=torch.tensor([[5, 6, 7]]), use_cache=False).logits.sum().backward()
    assert len(calls) == len(model.model.layers) + recomputed


def test_logits_and_the_last_mlp_are_computed_for_target_tokens_only(trainer):
    batch, shapes = batch_of(trainer), {}
    base = trainer.model.get_base_model()
    for name, module in {"head": base.lm_head, "tail": base.model.layers[-1].mlp}.items():
        module.register_forward_hook(
            lambda _, args, out, name=name: shapes.update({name: args[0].shape[:-1]})
        )
    targets = int((batch["labels"][:, 1:] != IGNORE_INDEX).sum())
    loss_and_gradients(trainer, SPEEDUPS, batch)
    assert shapes == {"head": (1, targets), "tail": (targets,)}
    assert targets < batch["labels"].numel() / 2


def test_loaded_states_of_a_paged_optimizer_are_not_marked_as_paged(trainer, tmp_path):
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = bnb.optim.PagedAdamW8bit([parameter])
    states = {"state1": torch.tensor([1.0, 2.0, 3.0]), "state2": torch.ones(3)}
    for state in states.values():
        state.is_paged = True  # as bitsandbytes marks managed memory of a GPU
    optimizer.state[parameter] = {"step": 7, **states}
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    torch.save(scheduler.state_dict(), tmp_path / "scheduler.pt")
    trainer.optimizer, trainer.lr_scheduler = optimizer, scheduler
    trainer._load_optimizer_and_scheduler(str(tmp_path))
    loaded = optimizer.state[parameter]
    assert loaded["step"] == 7
    for name, state in states.items():
        assert torch.equal(loaded[name], state)
        assert not hasattr(loaded[name], "is_paged")


def test_a_batch_without_a_target_token_has_loss_zero_and_no_nan(trainer):
    batch = {name: value[:, :4] for name, value in batch_of(trainer).items()}
    batch["labels"] = torch.full((3, 4), IGNORE_INDEX)
    loss, gradients = loss_and_gradients(trainer, SPEEDUPS, batch)
    assert loss == 0.0
    assert not gradients.any()


def test_the_model_is_restored_afterwards(trainer):
    ids = torch.tensor([[5, 6, 7]])
    before = trainer.model(input_ids=ids).logits
    with pytest.raises(KeyboardInterrupt), speedups.apply_speedups(trainer, SPEEDUPS):
        raise KeyboardInterrupt
    assert torch.equal(trainer.model(input_ids=ids).logits, before)


def test_a_training_has_the_losses_and_token_counts_of_the_stock_trainer(tokenized, tmp_path):
    """With accumulated batches, whose target tokens are counted together, and with validation."""
    logs = []
    for names in ([], list(SPEEDUPS)):
        recipe = toy_recipe(
            gradient_accumulation_steps=2,
            validation_fraction=0.25,
            lora_dropout=0.0,
            speedups=names,
        )
        logs.append(train(tokenized, recipe, tmp_path / str(len(names)))[1])
    stock, ours = logs
    assert ours["loss"].tolist() == pytest.approx(stock["loss"].tolist(), rel=1e-4)
    assert ours["tokens"].tolist() == stock["tokens"].tolist()
    validation = [log["validation_loss"].dropna().tolist() for log in logs]
    assert validation[1] == pytest.approx(validation[0], rel=1e-4)
    assert validation[0]


@pytest.mark.parametrize("config", [GPT2Config(n_layer=1), FalconConfig(num_hidden_layers=1)])
def test_target_tail_is_rejected_exactly_for_a_base_without_mlp(config):
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(config)
    has_mlp = hasattr(speedups.decoder_layers(base)[-1], "mlp")
    rejected = pytest.raises(ValueError, match="have no `mlp`")
    with contextlib.nullcontext() if has_mlp else rejected:
        speedups.require_supported_speedups(SPEEDUPS, base)


def test_a_row_padded_in_front_retains_its_padding_mask(trainer):
    padded_behind, has_mask = batch_of(trainer), []
    trainer.model.get_base_model().register_forward_pre_hook(
        lambda _, args, kwargs: has_mask.append("attention_mask" in kwargs), with_kwargs=True
    )
    loss_and_gradients(trainer, SPEEDUPS, padded_behind)
    padded_in_front = {name: value.flip(1) for name, value in padded_behind.items()}
    loss_and_gradients(trainer, SPEEDUPS, padded_in_front)
    assert (padded_behind["attention_mask"] == 0).any()
    assert has_mask == [False, True]


def test_pages_quote_the_table_of_speed_and_no_speed_is_there_without_parity():
    table = pd.read_csv(root() / "benchmarks" / "results" / "sft_speed.csv")
    assert table["parity"].all() == table["ratio"].notna().all()
    assert table["loss_difference"].astype(float).max() <= 1e-5
    ours = table[table["subject"] == "ours"].set_index("vocabulary")["ratio"]
    for file in ("benchmarks/README.md", "outputs/LOG.md"):
        text = " ".join((root() / file).read_text(encoding="utf-8").split())
        assert f"{ours[1024]} times" in text
        assert f"{ours[8192]} " in text


def test_a_dequantized_base_trains_to_the_losses_of_the_quantized_one(tokenized, tmp_path):
    losses, recipe = [], toy_recipe(num_epochs=1.0)
    for quantize in ("nf4", "nf4_dequantized"):
        model, log = train(tokenized, recipe, tmp_path / quantize, quantize)
        layer = model.get_base_model().model.layers[0].mlp.up_proj.base_layer
        assert (type(layer) is torch.nn.Linear) == (quantize == "nf4_dequantized")
        losses.append(log["loss"].tolist())
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
