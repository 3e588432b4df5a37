"""Tests of the tables for the page."""

import numpy as np
import pandas as pd
import pytest
from tests.support.toy_comparison import make_design

from clinical_camel.controlled_comparison import tables

ROW = {"treatment": "dialogue", "control": "raw", "outcome": "plain question"}
ROW |= {"is_primary": True, "seeds": 5, "difference": 0.13, "low": 0.08, "high": 0.18}
ROW |= {"p_holm": 0.00001, "p_equivalence": 0.99, "min_detectable_effect": 0.07}
ROW |= {"verdict": "helps", "sd_seeds": 0.02}


def test_the_table_of_contrasts_has_only_primary_rows_and_at_most_seven_columns():
    other = ROW | {"outcome": "conversation", "is_primary": False}
    page = tables.format_contrasts(pd.DataFrame([ROW, other]))
    assert page.iloc[0].tolist() == [
        *("dialogue \N{MINUS SIGN} raw", "13.0 [8.0, 18.0]", "< 0.0001", "0.9900"),
        *("7.0", 5, "helps"),
    ]
    assert len(page) == 1


def test_without_tests_their_columns_are_left_out():
    untested = ROW | dict.fromkeys(["p_holm", "p_equivalence", "min_detectable_effect"], np.nan)
    page = tables.format_contrasts(pd.DataFrame([untested | {"verdict": "secondary"}]))
    assert page.columns.tolist() == ["contrast", "difference", "seeds", "verdict"]
    some = tables.format_contrasts(pd.DataFrame([untested, ROW]))
    assert len(some.columns) == 7


def test_further_contrasts_say_what_they_isolate_and_which_have_too_few_seeds():
    few = ROW | dict.fromkeys(["difference", "low", "high"], np.nan)
    few |= {"treatment": "mine", "seeds": 1}
    rows = pd.DataFrame([ROW | {"treatment": "monologue"}, few, ROW | {"outcome": "cloze"}])
    amounts = dict.fromkeys(["target_tokens", "tokens", "steps", "exposures_mean"], 10.0)
    arms = [amounts | {"arm": arm, "format": "plain text"} for arm in ("monologue", "raw")]
    rates = [{"arm": "monologue", "learning_rate": 8e-3}, {"arm": "raw", "learning_rate": 4e-3}]
    trainings = pd.DataFrame(rates).assign(batch_size=4)
    page = tables.format_further(rows, make_design(), pd.DataFrame(arms), trainings)
    names = ["contrast", "isolates", "also differs in", "difference", "seeds"]
    assert page.columns.tolist() == names
    assert page.to_numpy().tolist() == [
        [
            *("monologue \N{MINUS SIGN} raw", "new order, repetition"),
            *("learning rate 0.008 (raw: 0.004)", "13.0 [8.0, 18.0]", 5),
        ],
        [
            *("mine \N{MINUS SIGN} raw", "a further contrast", ""),
            *("fewer than 2 common pairs of seeds", 1),
        ],
    ]


def test_outcomes_are_rows_and_contrasts_columns():
    other = ROW | {"outcome": "conversation", "difference": 0.01, "low": np.nan}
    scores = pd.DataFrame({"outcome": "primer exam", "arm": ["dialogue", "raw"], "chance": 0.25})
    page = tables.format_outcomes(pd.DataFrame([ROW, other]), scores.assign(low=0.2), make_design())
    assert page["outcome"].tolist() == ["plain question", "conversation"]
    assert page.iloc[1, 1] == "1.0"


@pytest.mark.parametrize(
    ("low", "cell"), [(0.26, "13.0 [8.0, 18.0]"), (0.25, "neither above chance")]
)
def test_forgetting_of_two_arms_at_chance_is_not_compared(low, cell):
    scores = pd.DataFrame({"outcome": "primer exam", "arm": ["dialogue", "raw"], "chance": 0.25})
    row = ROW | {"outcome": "primer exam"}
    page = tables.format_outcomes(pd.DataFrame([row]), scores.assign(low=[0.2, low]), make_design())
    assert page.iloc[0, 1] == cell


def test_seeds_are_listed_with_their_spread():
    seeds = pd.DataFrame({"treatment": "dialogue", "control": "raw", "seeds": ["0, 0", "4, 4"]})
    page = tables.format_seeds(seeds.assign(difference=[0.1, 0.2]), pd.DataFrame([ROW]))
    assert page.iloc[0].tolist()[1:] == ["10.0 (0, 0); 20.0 (4, 4)", "2.0"]


def test_the_chosen_rate_has_a_star_and_each_rate_its_interval():
    rates = pd.DataFrame({"arm": "raw", "learning_rate": [1e-3, 2e-3], "accuracy": [0.3, 0.4]})
    rates = rates.assign(n=208.0, seeds=2, low=[0.2, np.nan], high=[0.4, np.nan])
    page = tables.format_rates(rates.assign(is_chosen=[False, True]))
    assert page.iloc[0].to_dict() == {
        **{"arm": "raw", "questions": "208", "seeds": "2"},
        **{"0.001": "30.0 [20.0, 40.0]", "0.002": "40.0*"},
    }


def test_fits_have_their_gain_per_doubling():
    fits = pd.DataFrame({"curve": ["c"], "quantity": "exposures per fact", "arms": 4, "seeds": 5})
    page = tables.format_fits(fits.assign(gain_per_doubling=0.05, low=0.04, high=0.06))
    assert page.iloc[0, -1] == "5.0 [4.0, 6.0]"
