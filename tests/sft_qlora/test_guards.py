"""A training that makes no sense stops with its reason; one that left nothing is refused."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.project import dialogue
from tests.support.toy_training import SETTINGS

from clinical_camel import models, sft_qlora
from clinical_camel.sft_qlora import guards

SHORT = SETTINGS | {"num_epochs": 1.0, "lora_rank": 2, "save_steps": 1}


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer("mini")


@pytest.fixture(scope="module")
def encoded(tokenizer):
    rows = {"toy": [dialogue(f"case {i}", exchanges=1) for i in range(4)]}
    return sft_qlora.encode_mixture(tokenizer, rows, "assistant", 256)


def test_a_loss_that_is_nan_stops_the_training_before_it_is_saved(tokenizer, encoded, tmp_path):
    """The trainer would write the average of earlier losses in its place, and go on."""
    base = models.load_base("mini")
    with torch.no_grad():
        base.model.norm.weight[0] = torch.nan
    with pytest.raises(sft_qlora.TrainingError, match="step 1 of 2: loss is nan: lower learning"):
        sft_qlora.train(base, tokenizer, encoded, folder=tmp_path, **SHORT)
    assert not list(tmp_path.glob("*/checkpoint-*"))


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        ({"loss": float("inf"), "grad_norm": 1.0}, "loss is inf"),
        ({"loss": 1.0, "grad_norm": float("nan")}, "grad_norm is nan"),
        ({"loss": 1.0, "grad_norm": float("inf")}, "grad_norm is inf"),
        ({"eval_loss": float("nan")}, "eval_loss is nan"),
        ({"loss": 0.0, "grad_norm": 0.0}, "loss is exactly 0"),
    ],
)
def test_numbers_that_make_no_sense_are_named(logs, message):
    assert guards.nonsense(logs).startswith(message)


def test_numbers_of_a_good_step_are_let_through():
    assert guards.nonsense({"loss": 1e-9, "grad_norm": 0.0}) == ""
    assert guards.nonsense({"train_loss": 0.0, "train_runtime": 1.0}) == ""


def test_in_float16_a_gradient_may_overflow_and_a_loss_may_not():
    logs = {"loss": 1.0, "grad_norm": float("inf")}
    assert guards.nonsense(logs, skips_steps=True) == ""
    assert guards.nonsense(logs | {"loss": float("nan")}, skips_steps=True)


def test_a_training_that_was_told_to_stop_is_not_taken_for_a_finished_one(
    tokenizer, encoded, tmp_path, monkeypatch
):
    """So does `enable_jit_checkpoint` at SIGTERM: the trainer saves and returns normally."""

    def stop(self, args, state, control, **kwargs):
        control.should_training_stop = True

    monkeypatch.setattr(sft_qlora.training.Progress, "on_step_end", stop)
    with pytest.raises(sft_qlora.TrainingError, match="ended at step 1 of 2; run it again"):
        sft_qlora.train(models.load_base("mini"), tokenizer, encoded, folder=tmp_path, **SHORT)


def test_an_adapter_that_learned_nothing_is_refused(tokenizer, encoded, tmp_path):
    base, still = models.load_base("mini"), SHORT | {"learning_rate": 0.0}
    with pytest.raises(sft_qlora.TrainingError, match="equals its start, all its lora_B are zero"):
        sft_qlora.train(base, tokenizer, encoded, folder=tmp_path, **still)


@pytest.fixture(scope="module")
def trained(tokenizer, encoded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    base = models.load_base("mini")
    model, _ = sft_qlora.train(base, tokenizer, encoded, folder=folder, **SHORT)
    sft_qlora.save_adapter(model, tokenizer, folder / "adapter", "mini")
    return model, folder / "adapter" / "adapter_model.safetensors"


def test_an_adapter_with_a_nan_in_it_is_refused(trained):
    parameter = next(p for n, p in trained[0].named_parameters() if "lora_A" in n)
    before = parameter.detach().clone()
    with torch.no_grad():
        parameter[0, 0] = torch.nan
    with pytest.raises(sft_qlora.TrainingError, match="lora_A.* holds NaN"):
        guards.refuse_unlearned(trained[0])
    with torch.no_grad():
        parameter.copy_(before)
    guards.refuse_unlearned(trained[0])


def emptied(matrices):
    return {}


def without_one(matrices):
    return dict(sorted(matrices.items())[1:])


def changed(matrices):
    name = max(matrices)
    return matrices | {name: matrices[name] + 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (emptied, r"\(\d+ bytes\) lacks (\d+) of \1 trained matrices, first base_model"),
        (without_one, "lacks 1 of"),
        (changed, "lora_B.weight is not what was trained"),
    ],
)
def test_an_adapter_file_that_is_not_what_was_trained_is_refused(
    change, message, trained, tmp_path
):
    model, file = trained
    guards.refuse_unwritten(model, file)
    copy = tmp_path / file.name
    save_file(change(load_file(file)), copy)
    with pytest.raises(sft_qlora.TrainingError, match=message):
        guards.refuse_unwritten(model, copy)


def test_an_adapter_file_that_cannot_be_read_is_refused(trained, tmp_path):
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(trained[1].read_bytes()[:100])
    with pytest.raises(sft_qlora.TrainingError, match="cannot be read again"):
        guards.refuse_unwritten(trained[0], file)


def test_checkpoints_stay_when_the_adapter_was_not_written(
    trained, tokenizer, tmp_path, monkeypatch
):
    """As with the `state_dict` that alpaca-lora put in the place of PEFT's own."""
    (tmp_path / "checkpoints-a").mkdir()
    monkeypatch.setattr("peft.peft_model.get_peft_model_state_dict", lambda *_, **__: {})
    with pytest.raises(sft_qlora.TrainingError, match="lacks"):
        sft_qlora.save_adapter(trained[0], tokenizer, tmp_path / "adapter", "mini")
    assert (tmp_path / "checkpoints-a").is_dir()


def test_a_tokenizer_larger_than_the_embedding_is_refused_before_training(encoded, tmp_path):
    tokenizer = models.load_tokenizer("mini")
    tokenizer.add_tokens(["<new>"])
    base = models.load_base("mini")
    with pytest.raises(models.ModelError, match="more than embeddings: '<new>' is number"):
        sft_qlora.train(base, tokenizer, encoded, folder=tmp_path, **SHORT)
    assert not list(tmp_path.iterdir())
