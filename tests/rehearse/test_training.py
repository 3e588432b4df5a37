"""A training rehearsed: steps timed, a checkpoint written and resumed, variants tried."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tests.support.project import make_dialogue
from tests.support.toy_training import toy_recipe

from clinical_camel import models, sft_qlora
from clinical_camel.rehearse import training
from clinical_camel.rehearse.record import Measured
from clinical_camel.rehearse.task import Task


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The rehearsal of a training of 40 rows: its task, tuned model, log and folder."""
    folder = tmp_path_factory.mktemp("run")
    tokenizer, base = models.load_tokenizer("mini"), models.load_base("mini", "nf4")
    rows = [make_dialogue(f"case {i}", exchanges=1 + i % 3) for i in range(40)]
    tokenized = sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "assistant", 256)
    recipe = toy_recipe(batch_size=1, gradient_accumulation_steps=2, save_steps=15, num_epochs=5.0)
    facts = {"optimizer_steps": 100, "training_tokens": 5000, "rows_complete": True}
    task = Task("02_sft_qlora", 4.0, str(folder / "measured.json"), facts)
    task.measured = Measured("02_sft_qlora")
    train = training.replace_training(task)
    tuned, log = train(base, tokenizer, tokenized, recipe, folder=folder)
    return task, tuned, log, folder


def test_the_steps_of_the_study_are_timed_and_multiplied(rehearsed):
    task = rehearsed[0]
    steps, checkpoints, start = task.measured.parts
    assert (steps.name, steps.total) == ("steps", 100)
    assert 3 <= steps.done < 100
    assert steps.seconds == pytest.approx(steps.measured / steps.done * 100)
    assert checkpoints.total == 7  # every 15 of 100 steps, and at the end
    assert start.seconds > 0
    assert task.measured.replaced > sum(part.measured for part in task.measured.parts[:1])


def test_a_checkpoint_is_written_and_resumed_and_none_stays(rehearsed):
    task, _, _, folder = rehearsed
    assert task.measured.facts["resumed"]
    assert task.measured.facts["checkpoint_bytes"] > 10_000
    assert not list(folder.glob("checkpoints-*"))


def test_the_notebook_gets_a_tuned_model_and_its_log(rehearsed):
    _, tuned, log, _ = rehearsed
    assert list(log["step"]) == list(range(1, len(log) + 1))
    assert any(parameter.requires_grad for parameter in tuned.parameters())
    assert task_has_lora(rehearsed)


def task_has_lora(rehearsed) -> bool:
    task, tuned = rehearsed[:2]
    trained = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
    return task.measured.facts["lora_weights"] == trained


def test_what_was_measured_is_on_disk(rehearsed):
    task, *_, folder = rehearsed
    assert Measured.read(folder / "measured.json") == task.measured


def test_a_stripped_base_is_as_before(tmp_path):
    base = models.load_base("mini", "nf4")
    names = [name for name, _ in base.named_parameters()]
    from peft import get_peft_model

    recipe = toy_recipe()
    get_peft_model(base, training.training.make_lora_config(recipe))
    assert [name for name, _ in base.named_parameters()] != names
    training.strip_adapter(base)
    assert [name for name, _ in base.named_parameters()] == names
    assert not any(parameter.requires_grad for parameter in base.parameters())


def test_the_longest_row_fills_two_batches_and_packed_rows(rehearsed):
    tokenizer = models.load_tokenizer("mini")
    rows = [make_dialogue(f"case {i}", exchanges=i + 1) for i in range(3)]
    tokenized = sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "assistant", 256)
    longest = max(len(row["input_ids"]) for row in tokenized.rows)
    probe = training.list_longest(tokenized, toy_recipe(batch_size=3))
    assert [len(row["input_ids"]) for row in probe.rows] == [longest] * 6
    packed = training.list_longest(tokenized, toy_recipe(batch_size=3, packing=True))
    assert len(packed.rows) == 6 * (256 // longest)


def test_steps_that_take_too_long_have_fewer_accumulated_batches(rehearsed):
    task = replace(rehearsed[0], seconds=100.0, measured=Measured("02_sft_qlora"))
    run = object.__new__(training._Rehearsed)
    run.task, run.recipe = task, toy_recipe(gradient_accumulation_steps=32)
    assert run.shorten(batch_seconds=0.1).gradient_accumulation_steps == 32
    short = run.shorten(batch_seconds=3.0)
    assert short.gradient_accumulation_steps == 3
    assert task.measured.remarks == [
        "steps of 3 instead of 32 accumulated batches were measured and multiplied"
    ]


@pytest.mark.parametrize(("batches", "is_named"), [(4, True), (1, False)])
def test_variants_without_time_are_named_if_there_are_any(rehearsed, batches, is_named):
    task = replace(rehearsed[0], measured=Measured("02_sft_qlora"))
    run = object.__new__(training._Rehearsed)
    run.task, run.layers = task, 2
    run.recipe = toy_recipe(gradient_accumulation_steps=batches, gradient_checkpointing_layers=0)
    assert run.try_variants(None, seconds=0.0) is None
    assert any("give more --minutes" in r for r in task.measured.remarks) == is_named


def test_measured_seconds_are_those_of_the_clock(tmp_path):
    """The forecast multiplies steps of fewer accumulated batches, not the time that they took."""
    task = Task("02_sft_qlora", 1.0, str(tmp_path / "x.json"), {"optimizer_steps": 10})
    run = training._Rehearsed(task, torch.nn.Module(), None, None, toy_recipe(), tmp_path)
    watch = SimpleNamespace(times=[1.0, 1.0], saves=[0.1], all_steps=10)
    run.write_parts(watch, 4.0, 0.5)
    steps = task.measured.parts[0]
    assert (steps.measured, steps.seconds) == (2.0, 40.0)


def test_a_large_source_is_sampled_evenly():
    task = Task("02_sft_qlora", 1.0, "", {"rows_per_source": 10, "rows_complete": True})
    load = training.limit_rows(task, lambda *_: list(range(95)))
    assert load("a set", 1.0, 0) == list(range(0, 95, 10))
    assert not task.facts["rows_complete"]


@pytest.mark.parametrize(
    ("on_gpu", "optimizer"), [(True, "adamw_bnb_8bit"), (False, "paged_adamw_8bit")]
)
def test_a_paged_optimizer_is_replaced_on_a_gpu_and_the_output_says_so(
    on_gpu, optimizer, monkeypatch, tmp_path
):
    monkeypatch.setattr(training, "has_gpu", lambda: on_gpu)
    task = Task("02_sft_qlora", 1.0, "")
    recipe = toy_recipe(optimizer="paged_adamw_8bit")
    run = training._Rehearsed(task, torch.nn.Module(), None, None, recipe, tmp_path)
    assert run.recipe.optimizer == optimizer
    assert any("instead of paged_adamw_8bit" in r for r in task.measured.remarks) == on_gpu
