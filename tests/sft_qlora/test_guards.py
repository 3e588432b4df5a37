"""Invalid numbers stop a training; a result that learned nothing is rejected."""

import copy

import pytest
import torch
from tests.support.toy_training import toy_recipe

from clinical_camel import models, sft_qlora
from clinical_camel.sft_qlora import guards, training

SHORT = toy_recipe(num_epochs=1.0, lora_rank=2, save_steps=1)


def train(base, tokenizer, rows, folder, recipe=SHORT):
    return sft_qlora.train(base, tokenizer, rows, recipe, folder=folder)


def test_a_nan_loss_stops_the_training_before_a_checkpoint_is_saved(tokenizer, four_rows, tmp_path):
    """The trainer would replace it with the average of earlier losses, and continue."""
    base = models.load_base("mini")
    with torch.no_grad():
        base.model.norm.weight[0] = torch.nan
    with pytest.raises(sft_qlora.TrainingError, match="step 1 of 2: loss is nan: lower learning"):
        train(base, tokenizer, four_rows, tmp_path)
    assert not list(tmp_path.glob("*/checkpoint-*"))


@pytest.mark.parametrize(
    ("logs", "message", "in_float16"),
    [
        ({"loss": float("inf"), "grad_norm": 1.0}, "loss is inf", "loss is inf"),
        ({"loss": 1.0, "grad_norm": float("nan")}, "grad_norm is nan", ""),
        ({"loss": 1.0, "grad_norm": float("inf")}, "grad_norm is inf", ""),  # a step is skipped
        ({"eval_loss": float("nan")}, "eval_loss is nan", "eval_loss is nan"),
        ({"loss": 0.0, "grad_norm": 0.0}, "loss is exactly 0", "loss is exactly 0"),
        ({"loss": 1e-9, "grad_norm": 0.0}, "", ""),
        ({"train_loss": 0.0, "train_runtime": 1.0}, "", ""),
    ],
)
def test_invalid_numbers_are_named(logs, message, in_float16):
    for expected, problem in (
        (message, guards.check_step(logs)),
        (in_float16, guards.check_step(logs, skips_overflow=True)),
    ):
        assert problem.startswith(expected)
        assert bool(problem) == bool(expected)


def test_a_training_stopped_early_does_not_count_as_finished(
    tokenizer, four_rows, tmp_path, monkeypatch
):
    """With `enable_jit_checkpoint` the trainer saves at SIGTERM and returns normally."""

    def stop(self, args, state, control, **kwargs):
        control.should_training_stop = True

    monkeypatch.setattr(training.Progress, "on_step_end", stop)
    with pytest.raises(sft_qlora.TrainingError, match="ended at step 1 of 2; run it again"):
        train(models.load_base("mini"), tokenizer, four_rows, tmp_path)


@pytest.mark.parametrize(
    ("value", "message"),
    [(0.0, "every lora_B is zero: it learned nothing"), (torch.nan, "contains NaN or infinity")],
)
def test_an_adapter_that_learned_nothing_or_is_broken_is_not_a_result(
    value, message, tuned, tokenizer, tmp_path
):
    model = copy.deepcopy(tuned)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(value)
    (tmp_path / "checkpoints-a").mkdir()
    with pytest.raises(models.ModelError, match=message):
        sft_qlora.save_adapter(model, tokenizer, tmp_path / "adapter", "mini")
    assert (tmp_path / "checkpoints-a").is_dir()


def test_a_tokenizer_larger_than_the_embedding_is_rejected_before_training(four_rows, tmp_path):
    tokenizer = models.load_tokenizer("mini")
    tokenizer.add_tokens(["<new>"])
    with pytest.raises(models.ModelError, match="more tokens than .* embeddings: '<new>' has id"):
        train(models.load_base("mini"), tokenizer, four_rows, tmp_path)
    assert not list(tmp_path.iterdir())
