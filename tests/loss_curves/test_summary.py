"""Tests of loss_curves.summary: sentences that follow from the tables."""

import math

import pandas as pd
import pytest

from clinical_camel import loss_curves
from clinical_camel.data import SCORE_COLUMNS

LOGS = {"a": "outputs/a/02/log.csv", "b": "outputs/b/02/log.csv"}
FOLDERS = {"b": {"base": "", "low": "outputs/a/02/adapter", "high": "outputs/b/02/adapter"}}


def log(*losses):
    steps = range(1, len(losses) + 1)
    table = pd.DataFrame({"step": steps, "loss": losses, "learning_rate": 0.1, "tokens": 1})
    return table.assign(fraction=table["step"] / len(losses))


def describe(logs, folders=FOLDERS, **accuracy):
    stacked = loss_curves.stack_logs(logs, 0.01)
    rows = [
        ("exam", protocol, 0, model, 300, value, value - 0.05, value + 0.05, 0.25)
        for model, values in accuracy.items()
        for protocol, value in zip(("option_text", "chat"), values, strict=True)
    ]
    scores = {"b": pd.DataFrame(rows, columns=list(SCORE_COLUMNS))} if rows else {}
    pairs = loss_curves.pair_scores(stacked, scores, folders, {}, LOGS)
    return " ".join(loss_curves.describe_curves(stacked, pairs, folders))


TWO = {"a": log(3.0, 0.078), "b": log(3.0, 0.116)}


def test_a_lower_loss_with_a_worse_score_is_said_with_its_numbers():
    text = describe(TWO, base=(0.24, 0.25), low=(0.48, 0.25), high=(0.65, 0.26))
    verdict = "Lower loss, worse exam with questions as `option_text`. The model `low` has the"
    assert f"{verdict} lower last loss (0.078" in text
    assert "48.0 % [43.0, 53.0]; `high`: 65.0 % [60.0, 70.0] (n = 300, chance 25 %)" in text
    assert "as `chat`, the intervals of the models overlap" in text
    assert "different texts cannot be compared" in text
    assert "No loss is shown for base: it is not tuned." in text


def test_a_lower_loss_with_a_better_score_is_said_too():
    text = describe(TWO, low=(0.65, 0.65), high=(0.48, 0.48))
    assert text.count("Lower loss, better exam with questions as") == 2
    assert "worse" not in text


def test_scores_with_overlapping_intervals_have_no_order():
    text = describe(TWO, low=(0.48, 0.48), high=(0.5, 0.5))
    assert "Lower loss" not in text
    assert "On exam, with questions as `option_text` and `chat`, the intervals of the mod" in text


def test_a_score_without_a_question_that_fits_has_no_order():
    text = describe(TWO, low=(0.65, 0.65), high=(math.nan, 0.48))
    assert "Lower loss, better exam with questions as `chat`" in text
    assert "option_text" not in text


def test_one_training_cannot_answer_the_question():
    text = describe({"b": log(3.0, 1.0)}, base=(0.2, 0.2), high=(0.5, 0.5))
    assert "The loss of b fell from 3.000 to 1.000 nats per target token (means of the" in text
    assert "the first and the last twentieth of 2 steps)." in text
    assert "needs at least two trainings" in text
    assert "Lower loss" not in text


def test_the_fall_after_a_fifth_of_the_samples_has_its_window_and_probabilities():
    text = describe({"b": log(2.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.1, 0.0001)})
    assert "it was 1.000 (running mean of 1 steps): 50 % of the fall." in text
    assert "was 14 % at first, 37 % after a fifth of the samples, and 100 % at last." in text


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        (
            (2.0, 1.0, math.nan),
            "The loss of b is NaN from step 3 on: the training diverged. The last",
        ),
        ((math.nan, math.nan), "The loss of b is NaN from step 1 on: nothing was learned."),
        ((2.0, math.nan, 1.0), "The loss is NaN at 1 of 3 steps, the first is step 2."),
        ((1.0, 2.0), "The loss of b did not fall: 1.000 at first, 2.000 at last."),
    ],
)
def test_a_training_that_went_wrong_is_said(losses, sentence):
    assert sentence in describe({"b": log(*losses)})


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        ({"b": {"high": "my/adapter"}}, "the log of its training is not among `logs`"),
        ({}, "no run.json beside the scores says which training it had"),
    ],
)
def test_a_score_without_a_loss_has_its_reason(folders, reason):
    assert f"No loss is shown for high: {reason}." in describe(TWO, folders, high=(0.5, 0.5))
