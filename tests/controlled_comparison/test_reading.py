"""Tests of the reading of a sweep's runs."""

import json

import pandas as pd
import pytest
from tests.support.toy_comparison import CONDITIONS, list_questions, make_design

from clinical_camel.controlled_comparison import reading
from clinical_camel.controlled_comparison.exposures import count_exposures
from clinical_camel.controlled_comparison.settings import ALL
from clinical_camel.core.settings import Incomplete


@pytest.fixture(scope="module")
def answers(sweep):
    return reading.read_answers(sweep, make_design())


def test_every_run_of_the_sweep_is_complete(sweep):
    table = reading.tabulate_runs(sweep)
    assert list(table["arm"]) == ["dialogue", "raw", "qa"] * 2
    assert table["is_complete"].all()


def test_answers_of_each_arm_and_seed_are_read_with_their_condition(answers):
    plain = answers[answers["outcome"] == "plain question" + ALL]
    counts = plain.groupby(["arm", "seed"]).size()
    assert dict(counts) == {("base", "-"): 48} | {
        (arm, seed): 48 for arm in ("dialogue", "qa", "raw") for seed in ("0.0", "1.1")
    }
    assert plain["condition"].nunique() == CONDITIONS
    assert set(plain["chance"]) == {0.25}


def test_overlapping_questions_are_excluded_in_all_arms_and_formats_of_the_primary_exam(answers):
    excluded = list_questions()[0].id
    with_it = answers[answers["id"] == excluded]
    assert set(with_it["outcome"]) == {"plain question" + ALL}
    assert answers.loc[answers["outcome"] == "primer exam", "id"].nunique() == 48


def test_an_outcome_may_measure_the_probability_or_the_format_of_an_answer(answers):
    scores = answers.groupby("outcome")["score"].unique()
    assert sorted(scores["probability"]) == pytest.approx([0.25, 0.75])
    assert list(scores["format"]) == [1.0]
    assert answers.loc[answers["outcome"] == "format", "chance"].isna().all()


def test_an_outcome_that_no_run_has_is_left_out(answers):
    assert "reversed" not in set(answers["outcome"])


def test_a_run_that_is_not_complete_is_named_and_not_used(sweep):
    file = sweep[1].folders[reading.TRAINING] / "run.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | {"status": "running"}))
    try:
        table = reading.tabulate_runs(sweep)
        assert table.loc[1, "reason"] == "02_sft_qlora is running"
        assert len(reading.require_runs(sweep, "toy_sweep")) == len(sweep) - 1
    finally:
        file.write_text(before)


def test_a_run_without_its_answers_is_named(sweep):
    file = sweep[0].folders[reading.EXAM] / "answers.csv"
    file.rename(file.with_suffix(".away"))
    try:
        assert reading.check_run(sweep[0]) == "03_eval_fewshot has no answers.csv"
    finally:
        file.with_suffix(".away").rename(file)


def test_a_training_that_diverged_is_named(sweep):
    file = sweep[0].folders[reading.TRAINING] / "train_log.csv"
    before = file.read_text()
    file.write_text("step,loss,tokens\n1,2.0,500\n2,,1000\n")
    try:
        assert reading.check_run(sweep[0]) == "the loss is not a number"
    finally:
        file.write_text(before)


def test_a_sweep_without_a_complete_run_is_refused():
    with pytest.raises(Incomplete, match="run toy_sweep"):
        reading.require_runs([], "toy_sweep")


def test_trainings_have_tokens_over_all_epochs_and_exposures(sweep):
    trainings = reading.read_trainings(sweep, count_exposures(sweep, make_design()))
    first = trainings.iloc[0]
    assert (first["steps"], first["target_tokens"], first["tokens"]) == (2, 3600, 6000)
    assert first["exposures_max"] >= 12  # twice per dialogue, six epochs
    assert first["dialogues_per_article"] == 5


def test_settings_that_differ_between_arms_are_listed(sweep):
    table = reading.list_recipe_differences(sweep).set_index("arm")
    assert list(table.columns) == ["learning_rate"]
    assert table.loc["raw", "learning_rate"] == "0.002"


def test_the_rate_with_the_highest_accuracy_is_chosen(sweep):
    rates = reading.read_rates(sweep, ["dialogue", "raw", "qa"], make_design())
    assert rates["is_chosen"].all()  # one rate per arm
    trainings = pd.DataFrame({"arm": ["raw"], "learning_rate": [4e-3]})
    assert reading.check_rates(rates, trainings) == ["raw: trained with 0.004, chosen: 0.002"]


def test_the_specialty_of_a_condition_is_the_group_of_its_article():
    assert reading.load_specialties("mini_articles")["stable angina"] == "cardiology"
    assert reading.load_specialties("") == {}
