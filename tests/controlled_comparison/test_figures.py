"""Tests of the figures: every arm, outcome and specialty is drawn."""

import numpy as np
import pandas as pd
import pytest
from tests.support.toy_comparison import make_answers, make_design

from clinical_camel.controlled_comparison import contrasts, figures


@pytest.fixture(scope="module")
def answers():
    generator = np.random.default_rng(0)
    rates = {"dialogue": np.full((10, 2), 0.6), "raw": np.full((10, 2), 0.4)}
    tuned = make_answers(rates, 2, generator)
    base = make_answers({"base": np.full((10, 1), 0.25)}, 1, generator).assign(seed="-")
    both = pd.concat([tuned, base])
    return pd.concat([both, both.assign(outcome="primer exam")])


@pytest.fixture(scope="module")
def design():
    return make_design(contrasts=["dialogue - raw"])


def test_every_arm_and_outcome_has_its_place(answers, design):
    figure = figures.plot_scores(contrasts.score_arms(answers, design))
    assert [axis.get_title() for axis in figure.axes] == ["plain question", "primer exam"]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["base, 1 run", "dialogue, 2 runs", "raw, 2 runs"]
    assert {axis.get_xlabel() for axis in figure.axes} == {"accuracy, %"}


def test_every_panel_shows_the_numbers_of_its_horizontal_axis(answers, design):
    others = [answers.assign(outcome=name) for name in ("conversation", "reversed")]
    figure = figures.plot_scores(contrasts.score_arms(pd.concat([answers, *others]), design))
    assert len(figure.axes) == 4
    for axis in figure.axes:
        assert axis.get_xticklabels()  # only the visible ones


def test_a_panel_of_another_measure_is_no_accuracy_and_has_no_chance(answers, design):
    others = [answers.assign(outcome=name, chance=np.nan) for name in ("format", "probability")]
    figure = figures.plot_scores(contrasts.score_arms(pd.concat([answers, *others]), design))
    axes = {axis.get_title(): axis for axis in figure.axes if axis.axison}
    assert axes["plain question"].get_xlabel() == "accuracy, %"
    assert axes["format"].get_xlabel() == "complete answers, % (no chance level)"
    assert axes["probability"].get_xlabel() == "probability, % (no chance level)"


def test_the_contrast_is_drawn_with_its_verdict(answers, design):
    table = contrasts.compare_all(answers, "", design)
    axis = figures.plot_contrasts(table, 0.05).axes[0]
    (label,) = axis.get_yticklabels()
    assert label.get_text() == f"dialogue \N{MINUS SIGN} raw\n{table['verdict'].iloc[0]}"


def test_forgetting_shows_the_base_model_first(answers, design):
    scores = contrasts.score_arms(answers, design)
    scores = scores.assign(accuracy=0.35, low=0.3, high=0.4)  # above chance
    axis = figures.plot_forgetting(scores, "plain question", "primer exam").axes[0]
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["base", "dialogue", "raw"]


def test_arms_at_chance_are_points_with_one_label(answers, design):
    scores = contrasts.score_arms(answers, design)
    scores = scores.assign(accuracy=0.35, low=0.2, high=0.4)
    scores.loc[scores["arm"] == "base", "low"] = 0.3  # above chance
    axis = figures.plot_forgetting(scores, "plain question", "primer exam").axes[0]
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert set(labels) == {"not above chance: dialogue and raw", "base"}
    (points,) = (line for line in axis.lines if line.get_label().startswith("not above chance"))
    assert len(points.get_xdata()) == 2
    unknown = scores.assign(low=float("nan"))  # two runs: no interval
    axis = figures.plot_forgetting(unknown, "plain question", "primer exam").axes[0]
    assert not any("chance" in text.get_text() for text in axis.get_legend().get_texts())
    raw = scores[scores["arm"] == "raw"]
    many = pd.concat([scores, *(raw.assign(arm=f"raw_{i}") for i in range(3))])
    axis = figures.plot_forgetting(many, "plain question", "primer exam").axes[0]
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert "not above chance: 5 arms" in labels


def test_each_arm_has_a_panel_of_facts_with_the_mean_of_each_band():
    recall = pd.DataFrame({"arm": ["a"] * 120 + ["b"] * 120, "exposures": [*range(120)] * 2})
    figure = figures.plot_exposures(recall.assign(recall=0.5))
    assert [axis.get_title() for axis in figure.axes if axis.axison] == ["a", "b"]
    means = figure.axes[0].lines[1].get_ydata()
    assert [*means] == [50.0] * figures.BANDS


def test_a_band_of_few_facts_has_no_mean():
    """One fact that was seen more often than all others is no trend."""
    recall = pd.DataFrame({"arm": "a", "exposures": [9] * 60 + [12] * 60 + [13]})
    line = figures.plot_exposures(recall.assign(recall=[0.5] * 120 + [0.0])).axes[0].lines[1]
    assert set(line.get_ydata()) == {50.0}


def test_a_curve_is_drawn_with_its_fitted_line():
    points = pd.DataFrame({"curve": "c", "quantity": "exposures per fact", "x": [1.0, 4.0]})
    points = points.assign(outcome="plain question").assign(
        accuracy=[0.3, 0.5], low=[0.2, 0.4], high=[0.4, 0.6]
    )
    fits = pd.DataFrame({"curve": ["c"], "accuracy_at_1": [0.3], "gain_per_doubling": [0.1]})
    axis = figures.plot_scaling(points, fits).axes[0]
    assert axis.lines[-2].get_ydata() == pytest.approx([30, 50])
    published = np.diff(axis.lines[-1].get_ydata()) / 2  # points per doubling
    assert published == pytest.approx(100 * figures.calculate_published_gain())
    assert [text.get_text() for text in axis.get_xticklabels()] == ["1", "4"]


def test_specialties_are_ordered_by_their_difference():
    table = pd.DataFrame({"specialty": ["a", "b"], "n": [5, 6], "difference": [0.1, 0.3]})
    table = table.assign(low=[np.nan, 0.2], high=[np.nan, 0.4])
    axis = figures.plot_specialties(table, "dialogue", "raw").axes[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["b (n = 6)", "a (n = 5)"]
