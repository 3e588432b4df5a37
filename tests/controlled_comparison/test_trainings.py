"""Tests of the tables on the trainings of a sweep."""

import dataclasses
import json

from tests.support.toy_comparison import CONDITIONS, make_design

from clinical_camel.controlled_comparison import trainings
from clinical_camel.controlled_comparison.exposures import count_exposures


def test_trainings_have_tokens_over_all_epochs_and_exposures(sweep):
    table = trainings.read_trainings(sweep, count_exposures(sweep, make_design()))
    first = table.iloc[0]
    assert (first["steps"], first["target_tokens"], first["tokens"]) == (2, 3600, 6000)
    assert (first["format"], first["rows"], first["batch_size"]) == ("chat", CONDITIONS, 4)
    means = table.groupby("arm")["exposures_mean"].mean()
    assert means["dialogue"] > means["qa"] > 0  # twice per dialogue
    assert (table["exposures_min"] < table["exposures_mean"]).all()
    assert (table["exposures_mean"] < table["exposures_max"]).all()
    assert set(table["dialogues_per_article"]) == {5}
    assert (first["parameters"], first["adapter_parameters"]) == (1_115_264, 655_360)
    assert (first["first_loss"], first["highest_loss"], first["last_loss"]) == (2.0, 1.0, 1.0)


def test_the_format_of_the_texts_on_the_conditions_is_read_from_them(project):
    section = {"heading": "", "text": "It hurts."}
    row = {"id": "a", "title": "gout", "sections": [section]}
    file = "outputs/x/01_dbke/dialogues.jsonl"
    project.file(file, json.dumps(row) + "\n")
    assert trainings.describe_format({file: 1.0, "mini_chat": 1.0}) == "plain text with title"
    section["heading"] = "Signs"
    project.file(file, json.dumps(row) + "\n")
    assert trainings.describe_format({file: 1.0}) == "plain text with title and headings"


def test_an_arm_that_reads_the_articles_themselves_has_their_format():
    mixture = {"mini_articles": 1.0, "mini_chat": 1.0}
    assert trainings.describe_format(mixture) == "plain text with title and headings"


def test_the_kinds_of_teacher_are_those_of_step_01(sweep):
    assert trainings.list_teachers(sweep) == {"extractive"}


def test_the_arm_base_has_no_training(sweep):
    base = dataclasses.replace(sweep[0], arm="base")
    assert trainings.select_trained([*sweep, base]) == list(sweep)


def test_settings_that_differ_between_arms_are_listed(sweep):
    table = trainings.list_recipe_differences(sweep).set_index("arm")
    assert list(table.columns) == ["learning_rate"]
    assert table.loc["raw", "learning_rate"] == "0.002"
