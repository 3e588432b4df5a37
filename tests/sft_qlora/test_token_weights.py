"""The weight of the tokens that are not the assistant's: 0.0 is the mask, 1.0 is no mask."""

import pytest
import torch
from datasets import Dataset
from tests.sft_qlora.test_speedups import assert_parity, batch_of, loss_and_gradients, make_trainer
from tests.support.project import make_dialogue
from tests.support.toy_training import toy_recipe, train

from clinical_camel import models, sft_qlora
from clinical_camel.models import IGNORE_INDEX
from clinical_camel.sft_qlora import speedups, token_weights
from clinical_camel.sft_qlora.settings import SPEEDUPS


@pytest.fixture(scope="module")
def unmasked(tokenizer):
    """The dialogues of `tokenized`, with loss on every token."""
    rows = [make_dialogue(f"case {i}", exchanges=1 + i % 3) for i in range(12)]
    return sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "all", 256)


@pytest.fixture
def weighted(tokenizer, tokenized, tmp_path):
    """A function that returns a trainer with a prompt weight, on the shipped base in float32."""
    base = models.load_base("mini")

    def make(weight, rows=tokenized, **settings):
        trainer = make_trainer(base, tokenizer, rows, tmp_path, **settings)
        trainer.prompt_weight = weight
        return trainer

    return make


def compute_by_hand(trainer, batch, weight):
    """The weighted mean of a batch, token by token, from the logits of single rows."""
    total = weights = 0.0
    for ids, labels, mask in zip(
        batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True
    ):
        length = int(mask.sum())
        logits = trainer.model(input_ids=ids[None, :length], use_cache=False).logits[0]
        for i in range(1, length):
            share = 1.0 if labels[i] != IGNORE_INDEX else weight
            total = total - share * logits[i - 1].log_softmax(0)[ids[i]]
            weights += share
    return total / weights


@pytest.mark.parametrize("names", [[], list(SPEEDUPS)])
def test_the_loss_is_the_weighted_mean_over_all_tokens(names, weighted):
    trainer = weighted(0.1)
    batch = batch_of(trainer)
    trainer.model.train()
    expected = compute_by_hand(trainer, batch, 0.1)
    expected.backward()
    by_hand = torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.requires_grad])
    count = trainer.get_batch_samples(iter([batch]), 1, "cpu")[1]
    scale = 77 / count.item()  # `loss_and_gradients` divides by 77
    loss, gradients = loss_and_gradients(trainer, names, batch)
    assert loss * scale == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(gradients * scale, by_hand, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("packing", [False, True])
def test_speedups_leave_the_weighted_loss_and_its_gradients_as_they_are(packing, weighted):
    trainer = weighted(0.1, packing=packing)
    rows = 1 if packing else 3
    for names in (["target_head"], list(SPEEDUPS)):
        assert_parity(trainer, names, batch_of(trainer, rows))


def test_padding_and_the_first_token_of_a_packed_row_have_no_weight(weighted, unmasked):
    for packing in (False, True):
        masked, every = weighted(0.1, packing=packing), weighted(0.0, unmasked, packing=packing)
        rows = len(masked.train_dataset)
        batch, batch_of_all = batch_of(masked, rows), batch_of(every, rows)
        targets, prompt = (
            find(batch) for find in (token_weights.find_targets, token_weights.find_prompt_tokens)
        )
        assert not (targets & prompt).any()
        assert torch.equal(targets | prompt, token_weights.find_targets(batch_of_all))
        total = int(targets.sum()) + 0.1 * int(prompt.sum())
        assert token_weights.sum_weights(batch, 0.1).item() == pytest.approx(total)
        assert ("position_ids" in batch) is packing


@pytest.mark.parametrize("changes", [{}, {"speedups": []}, {"packing": True}])
def test_weight_one_is_a_training_with_loss_on_all(changes, tokenized, unmasked, tmp_path):
    """With accumulated batches, and steps after a validation, which has no weight."""
    changes = {
        "num_epochs": 4.0,
        "gradient_accumulation_steps": 2,
        "lora_dropout": 0.0,
        "save_steps": 2,
    } | changes
    logs = []
    for rows, settings in ((tokenized, {"prompt_weight": 1.0}), (unmasked, {"loss_on": "all"})):
        recipe = toy_recipe(validation_fraction=0.25, **changes, **settings)
        logs.append(train(rows, recipe, tmp_path / recipe.loss_on, quantize="")[1])
    ours, every = logs
    assert len(ours) > 2
    assert ours["loss"].tolist() == pytest.approx(every["loss"].tolist(), rel=1e-4)
    assert ours["grad_norm"].tolist() == pytest.approx(every["grad_norm"].tolist(), rel=1e-3)
    assert ours["validation_loss"].min() != pytest.approx(every["validation_loss"].min())


@pytest.mark.parametrize("names", [[], list(SPEEDUPS)])
def test_the_validation_loss_is_that_of_the_target_tokens_at_any_weight(names, weighted, tokenized):
    losses = []
    for weight in (0.0, 0.1):
        trainer = weighted(weight)
        with speedups.apply_speedups(trainer, names):
            validation = Dataset.from_list(tokenized.rows[:4])
            losses.append(trainer.evaluate(validation)["eval_loss"])
    assert losses[0] == losses[1]


def test_a_small_weight_changes_the_training_and_less_than_a_large_one(tokenized, tmp_path):
    losses = {}
    for weight in (0.0, 0.01, 1.0):
        recipe = toy_recipe(prompt_weight=weight, lora_dropout=0.0, num_epochs=1.0)
        log = train(tokenized, recipe, tmp_path / str(weight), quantize="")[1]
        losses[weight] = log["loss"].iloc[0]
    assert 0 < abs(losses[0.01] - losses[0.0]) < abs(losses[1.0] - losses[0.0])


def test_a_batch_without_a_target_token_has_the_loss_of_its_prompt(weighted):
    """A sum of weights below 1 is no reason to divide by 1."""
    trainer = weighted(0.1)
    batch = {name: value[:1, :4] for name, value in batch_of(trainer).items()}
    batch["labels"] = torch.full((1, 4), IGNORE_INDEX)
    trainer.model.train()
    logits = trainer.model(**{k: v for k, v in batch.items() if k != "labels"}).logits[0, :3]
    mean = torch.nn.functional.cross_entropy(logits, batch["input_ids"][0, 1:]).item()
    with speedups.apply_speedups(trainer, SPEEDUPS):
        assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(mean, rel=1e-5)
