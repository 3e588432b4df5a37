"""Tests of the scaling curves: the slope of a known line, and its interval."""

import numpy as np
import pandas as pd
import pytest
from tests.support.toy_comparison import make_answers, make_design

from clinical_camel.controlled_comparison import contrasts, scaling

EXPOSURES = {"d1": 6.0, "d2": 12.0, "d5": 30.0, "d10": 60.0}
GAIN = 0.08


@pytest.fixture(scope="module")
def design():
    return make_design(scaling={"dialogue": list(EXPOSURES)}, resamples=500)


@pytest.fixture(scope="module")
def answers():
    generator = np.random.default_rng(0)
    shift = generator.normal(0, 0.05, (40, 1)) + np.zeros(4)
    rates = {arm: 0.2 + GAIN * np.log2(x) + shift for arm, x in EXPOSURES.items()}
    return make_answers({arm: np.clip(r, 0, 1) for arm, r in rates.items()}, 4, generator)


@pytest.fixture(scope="module")
def trainings():
    return pd.DataFrame(
        {"arm": list(EXPOSURES), "exposures_mean": EXPOSURES.values(), "parameters": 1_100_000}
    )


def test_the_gain_per_doubling_is_that_of_the_line(answers, trainings, design):
    points = scaling.list_points(contrasts.score_arms(answers, design), trainings, design)
    assert points["x"].tolist() == sorted(EXPOSURES.values())
    fit = scaling.fit_curves(answers, points, design).iloc[0]
    assert fit["gain_per_doubling"] == pytest.approx(GAIN, abs=0.02)
    assert fit["low"] < fit["gain_per_doubling"] < fit["high"]
    slope, level = np.polyfit(np.log2(points["x"].astype(float)), points["accuracy"], 1)
    assert fit["gain_per_doubling"] == pytest.approx(slope)
    assert fit["accuracy_at_1"] == pytest.approx(level)


def test_arms_of_several_base_models_are_ordered_by_size(answers, trainings, design):
    sizes = trainings.assign(parameters=[4_000_000, 1_100_000, 300_000, 135_000_000])
    points = scaling.list_points(contrasts.score_arms(answers, design), sizes, design)
    assert set(points["quantity"]) == {"parameters of the base model"}
    assert points["arm"].tolist() == ["d5", "d2", "d1", "d10"]


def test_arms_without_a_run_are_left_out_and_one_arm_has_no_line(answers, trainings, design):
    one = answers[answers["arm"] == "d2"]
    points = scaling.list_points(contrasts.score_arms(one, design), trainings, design)
    assert list(points["arm"]) == ["d2"]
    assert scaling.fit_curves(one, points, design).empty
