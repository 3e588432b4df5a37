"""Tests of the sentences: each verdict has its words, and missing runs are named."""

import pandas as pd
import pytest
from tests.support.toy_comparison import make_design

from clinical_camel.controlled_comparison import summary
from clinical_camel.controlled_comparison.scaling import FIT_COLUMNS

ROW = {"treatment": "dialogue", "control": "raw", "outcome": "plain question"}
ROW |= {"is_primary": True, "n": 177, "conditions": 50, "seeds": 5, "accuracy_treatment": 0.5}
ROW |= {"accuracy_control": 0.37, "difference": 0.13, "low": 0.08, "high": 0.18, "p": 0.001}
ROW |= {"p_holm": 0.004, "p_equivalence": 0.99, "min_detectable_effect": 0.07, "verdict": "helps"}
RUNS = pd.DataFrame({"arm": ["raw", "qa"], "data_seed": 0, "training_seed": 3})
RUNS = RUNS.assign(is_complete=[True, False], reason=["", "02_sft_qlora is running"])
SCORES = pd.DataFrame({"outcome": ["primer exam"] * 3, "arm": ["base", "raw", "dialogue"]})
SCORES = SCORES.assign(accuracy=[0.57, 0.26, 0.4], low=[0.5, 0.2, 0.35], high=[0.63, 0.3, 0.45])
SCORES = SCORES.assign(chance=0.25)


def describe(*rows, **changed):
    design = make_design(**changed)
    fits = pd.DataFrame(columns=FIT_COLUMNS)
    return summary.describe_results(design, RUNS, pd.DataFrame(rows), SCORES, fits)


def test_the_first_sentence_is_the_conclusion():
    other = ROW | {"control": "qa", "verdict": "cannot tell"}
    assert describe(ROW, other)[0] == (
        "**Dialogues instead of raw articles: helps, 13.0 points [8.0, 18.0]. "
        "dialogue \N{MINUS SIGN} qa: cannot tell.**"
    )


@pytest.mark.parametrize("verdict", ["helps", "hurts", "no effect larger than 5 points"])
def test_each_contrast_has_its_verdict(verdict):
    assert any(f"Verdict: {verdict}." in text for text in describe(ROW | {"verdict": verdict}))


def test_a_contrast_that_cannot_tell_says_what_it_would_miss():
    sentences = describe(ROW | {"verdict": "cannot tell"})
    assert any("below 7.0 points would often be missed" in text for text in sentences)


def test_a_contrast_with_too_few_seeds_says_so():
    sentences = describe(ROW | {"verdict": "cannot tell", "seeds": 1})
    assert any("A verdict needs 2 pairs of seeds." in text for text in sentences)
    assert not any("often be missed" in text for text in sentences)


def test_a_significant_but_small_difference_is_explained():
    sentences = describe(ROW | {"verdict": "no effect larger than 5 points"})
    assert any("significant but below 5 points" in text for text in sentences)


def test_contrasts_without_runs_are_named():
    sentences = describe(ROW)
    assert any("No common runs yet for: dialogue - qa" in text for text in sentences)


def test_outcomes_without_answers_are_named():
    text = "No run has answers for the outcomes: plain question, conversation, reversed"
    assert any(sentence.startswith(text) for sentence in describe(ROW))


def test_runs_that_were_not_used_are_named_with_their_reason():
    assert describe(ROW)[-1] == (
        "The analysis rests on 1 of 2 runs. Not used: qa (0, 3): 02_sft_qlora is running."
    )


def test_forgetting_names_the_arms_at_chance():
    sentences = describe(ROW)
    assert any(text.startswith("At chance") and "`raw`." in text for text in sentences)


def test_without_a_contrast_there_is_no_verdict():
    sentences = describe()
    assert sentences[0] == (
        "**No primary contrast has a pair of complete runs, so there is no verdict.**"
    )
    assert summary.format_headline(pd.DataFrame(), RUNS).startswith("no contrast")


def test_the_headline_has_every_verdict_and_the_number_of_runs():
    assert summary.format_headline(pd.DataFrame([ROW]), RUNS) == (
        "dialogue \N{MINUS SIGN} raw: helps, 13.0 points [8.0, 18.0] (1 of 2 runs)"
    )
