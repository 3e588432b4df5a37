"""Exercises of step 05: right answers, and typical wrong ones with their reasons."""

import pandas as pd
import pytest

from clinical_camel.exercises import curves
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG


@pytest.mark.parametrize(
    ("prediction", "verdict", "part"),
    [
        ("worse", RIGHT, "cannot be compared"),
        ("better", WRONG, "A loss is not a score."),
        ("same", WRONG, "Computed: worse."),
        ("", OPEN, "first"),
    ],
)
def test_loss_and_score(prediction, verdict, part):
    result = curves.grade_loss_and_score(prediction)
    assert result.verdict == verdict
    assert part in result.reason


def test_raw_articles_have_the_lower_loss_and_the_lower_score_with_all_ten_seeds():
    table = curves.read_runs().pivot_table(index="seed", columns="arm")
    assert len(table) == 10
    for column in ("last_loss", "accuracy"):
        assert (table[column]["raw"] < table[column]["dialogue"]).all()


def rolling(**options):
    def smooth(losses, window):
        return pd.Series(losses).rolling(window, **options).mean().tolist()

    return smooth


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (rolling(min_periods=1), RIGHT, "it lags"),
        (rolling(min_periods=1, center=True), WRONG, "centred"),
        (lambda x, w: pd.Series(x).expanding().mean().tolist(), WRONG, "all steps so far"),
        (lambda x, w: rolling(min_periods=1)(x, w + 1), WRONG, "one step too long"),
        (lambda x, w: rolling(min_periods=1)(x[::-1], w)[::-1], WRONG, "looks forwards"),
        (
            lambda x, w: [sum(x[max(0, i - w + 1) : i + 1]) / w for i in range(len(x))],
            WRONG,
            "not by the window",
        ),
        (lambda x, w: rolling()(x, w)[w - 1 :], WRONG, "a mean for each of 5 steps"),
        (rolling(), WRONG, "must be a number"),
        (lambda x, w: 3.0, WRONG, "Return a list of numbers"),
        (lambda x, w: ..., OPEN, "returns nothing yet"),
    ],
)
def test_the_running_mean(function, verdict, part):
    result = curves.grade_running_mean(function)
    assert result.verdict == verdict
    assert part in result.reason


def reversed_sign(losses, epochs, window):
    return [-drop for drop in curves.measure_drops(losses, epochs, window)]


def wrong_at_the_third(losses, epochs, window):
    noisy = [drop + 1e-15 for drop in curves.measure_drops(losses, epochs, window)]
    return [*noisy[:2], 9.0, *noisy[3:]]


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (wrong_at_the_third, WRONG, "The drop after epoch 3 should be"),
        (curves.measure_drops, RIGHT, "the largest is after epoch"),
        (reversed_sign, WRONG, "sign is reversed"),
        (lambda x, e, w: curves.measure_drops(x[1:], e, w), WRONG, "belongs to the next"),
        (lambda x, e, w: [*curves.measure_drops(x, e, w), 0.0], WRONG, "5 ends with a next epoch"),
        (lambda x, e, w: None, OPEN, "returns nothing yet"),
    ],
)
def test_the_drops_between_epochs(function, verdict, part):
    result = curves.grade_epoch_drops(function)
    assert result.verdict == verdict
    assert part in result.reason


def test_drops_by_hand():
    assert curves.measure_drops([4.0, 4.0, 1.0, 1.0], 2, 2) == [3.0]
