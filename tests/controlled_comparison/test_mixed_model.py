"""Tests of the logistic mixed model: the sign on cases with a known effect."""

import numpy as np
import pytest
from tests.support.toy_comparison import make_answers, make_design

from clinical_camel.controlled_comparison import contrasts, mixed_model
from clinical_camel.controlled_comparison.mixed_model import NO_SIGN, OTHER, SAME, UNCLEAR


def check_sign(log_odds, times=1):
    """Return the row on answers whose log-odds have this effect; `times`: of the difference."""
    generator = np.random.default_rng(1)
    conditions = generator.normal(-0.4, 0.6, (30, 1)) + generator.normal(0, 0.1, 3)
    rates = {
        "raw": 1 / (1 + np.exp(-conditions)),
        "dialogue": 1 / (1 + np.exp(-conditions - log_odds)),
    }
    design = make_design(contrasts=["dialogue - raw"])
    answers = make_answers(rates, 3, generator)
    table = contrasts.compare_all(answers, "", design)
    table["difference"] *= times
    return mixed_model.fit_contrasts(answers, table, design).iloc[0]


@pytest.mark.parametrize("truth", [0.9, -0.9])
def test_both_methods_find_the_sign_of_a_known_effect(truth):
    row = check_sign(truth)
    assert row["log_odds"] == pytest.approx(truth, abs=0.35)
    assert row["check"] == SAME


def test_another_sign_is_named():
    assert check_sign(0.9, times=-1)["check"] == OTHER


def test_a_difference_of_0_has_no_sign_to_compare():
    assert check_sign(0.9, times=0)["check"] == NO_SIGN


def test_without_an_effect_the_sign_is_not_clear():
    assert check_sign(0.0)["check"].endswith(UNCLEAR)


def test_a_model_that_cannot_be_fitted_says_why():
    design = make_design(contrasts=["dialogue - raw"])
    rates = {"raw": np.ones((10, 3)), "dialogue": np.ones((10, 3))}
    answers = make_answers(rates, 3, np.random.default_rng(0))
    table = contrasts.compare_all(answers, "", design)
    row = mixed_model.fit_contrasts(answers, table, design).iloc[0]
    assert row["check"].startswith("not fitted: endog values must be 0 and 1")
    assert np.isnan(row["log_odds"])


def test_arms_that_answer_everything_and_nothing_have_no_clear_sign():
    design = make_design(contrasts=["dialogue - raw"])
    rates = {"raw": np.zeros((10, 3)), "dialogue": np.ones((10, 3))}
    answers = make_answers(rates, 3, np.random.default_rng(0))
    table = contrasts.compare_all(answers, "", design)
    check = mixed_model.fit_contrasts(answers, table, design).iloc[0]["check"]
    assert check.endswith(UNCLEAR) or check.startswith("not fitted")
