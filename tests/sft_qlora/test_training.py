"""Step 02: what the trainer trains on, and an interrupted run that resumes."""

import os

import pytest
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file
from tests.support.toy_training import BASES, toy_recipe, train
from transformers import AutoModelForCausalLM

from clinical_camel import models, sft_qlora
from clinical_camel.models import IGNORE_INDEX
from clinical_camel.sft_qlora import speedups, training


class Captured(Exception):
    """Raised in place of training."""


def trainer_of(tokenizer, tokenized, tmp_path, monkeypatch, quantize="nf4", **changes):
    """The trainer that `train` builds, caught before its first step."""
    trainers = []

    def stop(self, resume_from_checkpoint=None):
        trainers.append(self)
        raise Captured

    monkeypatch.setattr(speedups.Trainer, "train", stop)
    base = models.load_base("mini", quantize)
    with pytest.raises(Captured):
        sft_qlora.train(base, tokenizer, tokenized, toy_recipe(**changes), folder=tmp_path)
    return trainers[0]


def test_the_trainer_trains_a_float32_adapter_on_every_assistant_turn_and_nothing_else(
    tokenizer, tokenized, tmp_path, monkeypatch
):
    trainer = trainer_of(tokenizer, tokenized, tmp_path, monkeypatch)
    row = trainer.train_dataset[2]
    targets = [label for label in row["labels"] if label != IGNORE_INDEX]
    expected = "".join(f"Answer {i} on case 2.</s>" for i in range(3))
    assert tokenizer.decode(targets) == expected
    kinds = {p.dtype for p in trainer.model.parameters() if p.requires_grad}
    assert kinds == {torch.float32}
    layer = trainer.model.base_model.model.model.layers[0].self_attn.q_proj.base_layer
    assert type(layer).__name__ == "Linear4bit"


def test_packing_preserves_every_loss_mask(tokenizer, tokenized, tmp_path, monkeypatch):
    trainer = trainer_of(tokenizer, tokenized, tmp_path, monkeypatch, packing=True)
    assert len(trainer.train_dataset) < len(tokenized.rows)
    packed, separate = (
        sum(label != IGNORE_INDEX for row in rows for label in row["labels"])
        for rows in (trainer.train_dataset, tokenized.rows)
    )
    assert packed == separate


@pytest.mark.parametrize("name", BASES)
def test_packing_is_correct_exactly_for_bases_that_accept_positions(
    name, tokenizer, tokenized, tmp_path, monkeypatch
):
    trainer = trainer_of(tokenizer, tokenized, tmp_path, monkeypatch, quantize="", packing=True)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(BASES[name]).eval()
    packed, separate = packed_and_separate(model, trainer, tokenized)
    assert models.accepts_position_ids(model) is (name != "bloom")
    differs = abs(packed / separate - 1) > 1e-5
    assert differs is (name == "bloom")  # so `train` rejects packing for BLOOM


def packed_and_separate(model, trainer, tokenized):
    """The summed loss of all target tokens, packed as the trainer does and row by row.

    In float32: in 4 bits some CPUs multiply few rows and many by different kernels.
    """
    packed, separate = 0.0, 0.0
    with torch.inference_mode():
        for row in trainer.train_dataset:
            batch = trainer.data_collator([row])
            labels = batch.pop("labels")
            batch.pop("seq_lengths", None)
            if not models.accepts_position_ids(model):
                batch.pop("position_ids")
            logits = model(**batch, use_cache=False).logits
            packed += summed_loss(logits, labels)
        for row in tokenized.rows:
            ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
            separate += summed_loss(model(input_ids=ids, use_cache=False).logits, labels)
    return packed, separate


def summed_loss(logits, labels):
    return torch.nn.functional.cross_entropy(
        logits[0, :-1].float(), labels[0, 1:], ignore_index=IGNORE_INDEX, reduction="sum"
    ).item()


@pytest.mark.parametrize("packing", [False, True])
def test_padding_with_the_end_token_masks_no_end_token(packing, tokenized, tmp_path, monkeypatch):
    """Many bases pad with their end token; masking all of those teaches a model not to stop."""
    tokenizer = models.load_tokenizer("mini")
    tokenizer.pad_token = tokenizer.eos_token
    trainer = trainer_of(tokenizer, tokenized, tmp_path, monkeypatch, packing=packing)
    rows = list(trainer.train_dataset)
    batch = trainer.data_collator(rows)
    targets = batch["labels"][batch["labels"] != IGNORE_INDEX]
    ends = sum(row["input_ids"].count(tokenizer.eos_token_id) for row in tokenized.rows)
    assert int((targets == tokenizer.eos_token_id).sum()) == ends
    if not packing:  # a packed batch is one row without padding
        lengths = [len(row["input_ids"]) for row in rows]
        assert batch["attention_mask"].sum(dim=1).tolist() == lengths
        assert len(set(lengths)) > 1


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"validation_fraction": 0.25},
        {"validation_fraction": 0.25, "load_best_model_at_end": True},
        {"group_by_length": True},
    ],
    ids=str,
)
def test_a_resumed_run_equals_the_uninterrupted_run(changes, tokenized, tmp_path):
    """Validation changes a 4-bit base on some CPUs: see `models.freeze_quantization`."""
    recipe = toy_recipe(**changes)

    def run(folder):
        model, log = train(tokenized, recipe, folder)
        weights = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
        return log, weights

    log, weights = run(tmp_path / "complete")
    place = next((tmp_path / "complete").glob("checkpoints-*"))
    # As if killed after step 8: the checkpoint of the last step is incomplete.
    killed = tmp_path / "killed" / place.name
    killed.parent.mkdir()
    place.rename(killed)
    last = killed / f"checkpoint-{len(log)}"
    (last / "optimizer.pt").unlink()
    resumed_log, resumed_weights = run(tmp_path / "killed")
    assert list(resumed_log["loss"]) == list(log["loss"])
    assert list(resumed_log["tokens"]) == list(log["tokens"])
    for name, value in weights.items():
        assert torch.equal(value, resumed_weights[name]), name


@pytest.mark.parametrize("best", [False, True])
def test_the_adapter_of_the_last_or_of_the_best_step_is_saved(best, tokenized, tmp_path):
    """A learning rate this high makes the validation loss rise after the first steps."""
    recipe = toy_recipe(
        validation_fraction=0.25,
        load_best_model_at_end=best,
        learning_rate=0.1,
        lr_scheduler="constant",
        warmup_steps=0.0,
        save_steps=2,
        num_epochs=0.8,
    )
    model, log = train(tokenized, recipe, tmp_path)
    validation = log.set_index("step")["validation_loss"].dropna()
    lowest, last = validation.idxmin(), log["step"].iloc[-1]
    assert lowest < last
    saved = load_file(
        next(tmp_path.glob(f"*/checkpoint-{lowest if best else last}"))
        / "adapter_model.safetensors"
    )
    weights = get_peft_model_state_dict(model)
    assert all(torch.equal(weights[name], value) for name, value in saved.items())


@pytest.mark.parametrize("tracker", training.TRACKER_FOLDERS)
def test_tracker_files_survive_the_checkpoints_and_are_not_results(
    tracker, tokenizer, tokenized, tmp_path, monkeypatch
):
    """By default trackers write into the checkpoints or into the working directory."""
    variable = training.TRACKER_FOLDERS[tracker]
    monkeypatch.setenv(variable, "")
    monkeypatch.delenv(variable)

    def trainer(**_):
        raise Captured

    monkeypatch.setattr(speedups, "Trainer", trainer)
    folder = tmp_path / "my_study" / ".02_sft_qlora.partial"
    recipe = toy_recipe().model_copy(update={"report_to": tracker})  # which may not be installed
    with pytest.raises(Captured):
        sft_qlora.train(models.load_base("mini"), tokenizer, tokenized, recipe, folder=folder)
    assert os.environ[variable] == str(tmp_path / "my_study" / ".tracking")
    assert (tmp_path / "my_study" / ".tracking").is_dir()
