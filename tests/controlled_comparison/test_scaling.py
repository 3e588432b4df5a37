"""Tests of the scaling curves: the slope of a known line, and its interval."""

import numpy as np
import pandas as pd
import pytest
from tests.support.toy_comparison import make_answers, make_design

from clinical_camel.controlled_comparison import contrasts, scaling, tables
from clinical_camel.core.files import write_json
from clinical_camel.core.settings import Incomplete

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
    ).assign(dialogues_per_article=5)


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


def test_the_dialogues_per_article_come_before_the_exposures(answers, trainings, design):
    several = trainings.assign(dialogues_per_article=[1, 2, 5, 10])
    points = scaling.list_points(contrasts.score_arms(answers, design), several, design)
    assert set(points["quantity"]) == {"dialogues per article"}
    assert points["x"].tolist() == [1, 2, 5, 10]


def test_arms_without_a_run_are_left_out_and_one_arm_has_no_line(answers, trainings, design):
    one = answers[answers["arm"] == "d2"]
    points = scaling.list_points(contrasts.score_arms(one, design), trainings, design)
    assert list(points["arm"]) == ["d2"]
    assert scaling.fit_curves(one, points, design).empty


@pytest.fixture
def other_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "root", lambda: tmp_path)
    folder = tmp_path / "outputs/large/06_controlled_comparison"
    folder.mkdir(parents=True)
    outcomes = {"outcome": ["plain", "plain, all questions"], "accuracy": [0.9, 0.5]}
    scores = pd.DataFrame({"arm": "raw"} | outcomes)
    scores.assign(low=0.4, high=0.6).to_csv(folder / "scores.csv", index=False)
    sizes = pd.DataFrame({"arm": ["raw"], "parameters": [135_000_000]})
    sizes.to_csv(folder / "trainings.csv", index=False)
    runs = pd.DataFrame({"arm": ["raw", "qa"], "status": ["complete", "missing"]})
    runs.to_csv(folder / "runs.csv", index=False)
    write_json(folder / "run.json", {"params": {"outcomes": {"plain": "mini_exam/option_text"}}})
    return folder


def test_a_point_of_another_sweep_stands_beside_the_curve_on_all_questions(
    answers, trainings, other_sweep
):
    answers = answers.assign(outcome="plain question, all questions")
    design = make_design(
        scaling={"dialogue": list(EXPOSURES)}, other_points={"135 M": "large/raw"}, resamples=500
    )
    points = scaling.list_points(contrasts.score_arms(answers, design), trainings, design)
    assert set(points["outcome"]) == {"plain question, all questions"}
    row = points.iloc[-1]
    assert (row["curve"], row["x"], row["accuracy"], row["low"]) == ("135 M", 135e6, 0.5, 0.4)
    assert scaling.fit_curves(answers, points, design)["curve"].tolist() == ["dialogue"]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("large/dialogue", "other_points.x: large has no complete run of the arm dialogue"),
        (
            "large/qa",
            "other_points.x: runs of the arm qa of large are missing, so its accuracy may",
        ),
        ("absent/raw", "other_points.x: outputs/absent/06.*scores.csv is missing; execute"),
    ],
)
def test_a_point_without_a_result_is_named(answers, trainings, other_sweep, point, message):
    design = make_design(other_points={"x": point}, resamples=500)
    with pytest.raises(Incomplete, match=message):
        scaling.list_points(contrasts.score_arms(answers, design), trainings, design)


def test_a_point_in_another_outcome_is_refused(answers, trainings, other_sweep):
    outcomes = {"outcomes": {"chat": "mini_exam/conversation"}}
    write_json(other_sweep / "run.json", {"params": outcomes})
    design = make_design(other_points={"x": "large/raw"}, resamples=500)
    with pytest.raises(Incomplete, match=r"primary outcome of large is mini_exam/conversation, th"):
        scaling.list_points(contrasts.score_arms(answers, design), trainings, design)


def test_the_page_has_the_published_gain_below_the_fits():
    row = ["c", "exposures per fact", 3, 2, 0.08, 0.05, 0.1, 0.2]
    fits = pd.DataFrame([row], columns=scaling.FIT_COLUMNS)
    page = tables.format_fits(fits)
    assert page["curve"].tolist() == ["c", "EntiGraph, 8B, published fit"]
    sizes = tables.format_fits(fits.assign(quantity=scaling.SIZE))
    assert sizes["curve"].tolist() == ["c"]
    few, many = scaling.ENTIGRAPH_RANGE
    low, high = map(scaling.calculate_published_accuracy, (few, many))
    assert low + scaling.calculate_published_gain() * np.log2(many / few) == pytest.approx(high)
    assert page["gain per doubling"].iloc[1] == "about 1.5 (calculated, see above)"
