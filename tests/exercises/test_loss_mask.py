"""Exercises of step 02: right answers, and typical wrong ones with their reasons."""

import pytest
from peft import LoraConfig, get_peft_model

from clinical_camel import models
from clinical_camel.exercises import loss_mask
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG


@pytest.mark.parametrize(
    ("answer", "verdict", "part"),
    [
        (64 * 128 + 384 * 64, RIGHT, "67% of W"),
        (0, OPEN, "first"),
        ("32768", WRONG, "without quotes"),
        (128 * 384, WRONG, "frozen matrix W"),
        (64 * 128, WRONG, "A alone"),
        (64 * 384, WRONG, "B alone"),
        (64 * 128 * 384, WRONG, "sizes add"),
        (128 + 384, WRONG, "the rank is missing"),
        (12, WRONG, "A is rank x inputs"),
    ],
)
def test_the_size_of_lora(answer, verdict, part):
    result = loss_mask.grade_lora_size(answer)
    assert result.verdict == verdict
    assert part in result.reason


def test_the_right_size_is_that_of_peft():
    config = LoraConfig(r=loss_mask.RANK, target_modules=r".*layers\.0\.mlp\.up_proj")
    model = get_peft_model(models.build_skeleton("mini"), config)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert loss_mask.grade_lora_size(trained).verdict == RIGHT


def shift_to_the_start(ids, labels):
    return loss_mask.shift_labels(ids, labels, -1)


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (shift_to_the_start, RIGHT, "never learn to stop"),
        (lambda ids, labels: labels, WRONG, "has not moved"),
        (lambda i, t: loss_mask.shift_labels(i, t, 1), WRONG, "the other direction"),
        (lambda ids, labels: [*labels[1:], -100], WRONG, "You moved the labels"),
        (lambda ids, labels: labels[1:], WRONG, "one label per token"),
        (lambda ids, labels: ids, WRONG, "must have no loss"),
        (lambda ids, labels: [-100] * len(ids), WRONG, "must have loss"),
        (lambda ids, labels: None, OPEN, "returns nothing yet"),
    ],
)
def test_a_shifted_mask(function, verdict, part):
    result = loss_mask.grade_shifted_mask(function)
    assert result.verdict == verdict
    assert part in result.reason


def test_the_shift_takes_the_loss_from_the_end_tokens():
    example = loss_mask.tokenize_example()
    before = loss_mask.list_targets(example["labels"])
    after = loss_mask.list_targets(shift_to_the_start(**rename(example)))
    assert before.count("</s>") == 2
    assert after.count("</s>") == 0
    assert after.count("<|assistant|>") == 2


def rename(example):
    return {"ids": example["input_ids"], "labels": example["labels"]}


def drop(ids, bos):
    return ids[1:] if ids[:1] == [bos] else ids


def double(ids, bos):
    return [bos, bos, *drop(ids, bos)]


@pytest.mark.parametrize(
    ("functions", "verdict", "part"),
    [
        ((drop, double), RIGHT, "answers change"),
        ((lambda i, b: i[1:], double), WRONG, "(without BOS)"),
        ((lambda i, b: [x for x in i if x != b], double), WRONG, "Only the start"),
        ((drop, lambda i, b: [b, *i]), WRONG, "your double returns [1, 5, 6]"),
        ((drop, lambda i, b: None), OPEN, "returns nothing yet"),
    ],
)
def test_a_broken_bos(functions, verdict, part):
    result = loss_mask.grade_bos(*functions)
    assert result.verdict == verdict
    assert part in result.reason
