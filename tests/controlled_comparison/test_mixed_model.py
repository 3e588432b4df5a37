"""Tests of the logistic mixed model: sign and size on a case with a known effect."""

import numpy as np
import pandas as pd
import pytest
from tests.support.toy_comparison import make_answers

from clinical_camel.controlled_comparison import mixed_model


def make_logistic_pair(log_odds, seed):
    """Return answers whose log-odds are those of the condition, plus the effect for `dialogue`."""
    generator = np.random.default_rng(seed)
    conditions = generator.normal(-0.4, 0.6, (30, 1)) + generator.normal(0, 0.1, 3)
    rates = {
        "raw": 1 / (1 + np.exp(-conditions)),
        "dialogue": 1 / (1 + np.exp(-conditions - log_odds)),
    }
    return make_answers(rates, 3, generator)


@pytest.mark.parametrize("truth", [0.9, -0.9])
def test_the_log_odds_have_the_sign_and_the_size_of_the_truth(truth):
    answers = make_logistic_pair(truth, seed=1)
    row = mixed_model.fit_contrast(answers, "dialogue", "raw")
    assert row["log_odds"] == pytest.approx(truth, abs=0.35)
    assert row["low"] < row["log_odds"] < row["high"]
    assert row["low"] * row["high"] > 0
    means = answers.groupby("arm")["score"].mean()
    difference = means["dialogue"] - means["raw"]
    assert row["difference_by_model"] == pytest.approx(difference, abs=0.03)


def test_without_an_effect_the_log_odds_are_near_zero():
    row = mixed_model.fit_contrast(make_logistic_pair(0.0, seed=2), "dialogue", "raw")
    assert abs(row["log_odds"]) < 0.3


def test_a_contradiction_of_both_methods_is_named():
    contrasts = pd.DataFrame(
        {
            "treatment": ["a", "a"],
            "control": ["b", "c"],
            "is_primary": True,
            "difference": [0.1, 0.1],
            "low": [0.05, 0.05],
            "high": [0.15, 0.15],
        }
    )
    models = pd.DataFrame(
        {
            "treatment": ["a", "a"],
            "control": ["b", "c"],
            "log_odds": [0.5, -0.5],
            "low": [0.2, -0.8],
            "high": [0.8, -0.2],
        }
    )
    problems = mixed_model.check_agreement(contrasts, models)
    assert problems == ["a - c: the two methods contradict"]
