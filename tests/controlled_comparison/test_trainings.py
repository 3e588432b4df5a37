"""Tests of the tables on the trainings of a sweep."""

import dataclasses
import json

import pandas as pd
import pytest
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
    assert not table["is_unstable"].any()


@pytest.mark.parametrize(
    ("steps", "changes", "is_unstable"),
    [
        (200, {}, False),
        (200, {19: ("loss", 9.0)}, False),  # at the start
        (200, {20: ("loss", 9.0)}, True),
        (200, {19: ("grad_norm", 99.0)}, False),
        (200, {20: ("grad_norm", 10.1)}, True),
        (200, {199: ("grad_norm", 9.9)}, False),
        (12, {8: ("loss", 9.0)}, False),  # the first ten steps are the start
        (12, {11: ("loss", 9.0)}, True),
        (1, {}, False),
    ],
)
def test_a_training_is_unstable_if_it_jumps_after_its_start(steps, changes, is_unstable):
    loss = [3.0 - 2.0 * step / steps for step in range(steps)]
    log = pd.DataFrame({"loss": loss, "grad_norm": 1.0})
    for step, (column, value) in changes.items():
        log.loc[step, column] = value
    row = trainings.describe_stability(log)
    assert row["is_unstable"] is is_unstable
    assert row["highest_loss_start"] == log["loss"][: max(10, steps // 10)].max()


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
