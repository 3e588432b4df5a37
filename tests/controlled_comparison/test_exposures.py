"""Tests of exposures per fact and their recall."""

import json

import numpy as np
import pandas as pd
import pytest
from tests.support.toy_comparison import list_questions, make_design

from clinical_camel.controlled_comparison import exposures, reading


def test_exposures_are_counted_over_all_epochs(sweep):
    table = exposures.count_exposures(sweep, make_design())
    mine = table[table["id"].isin([q.id for q in list_questions()])]
    lowest = mine.groupby("arm")["exposures"].min()
    assert dict(lowest) == {"dialogue": 12, "raw": 12, "qa": 6}  # raw shares the texts of dialogue


def test_questions_count_if_they_have_loss(sweep):
    """In the toy sweep, the questions name no answer; the answer becomes a question."""
    run = sweep[0]
    file = run.folders["01_dbke"] / "dialogues.jsonl"
    record = run.folders["02_sft_qlora"] / "run.json"
    before = file.read_text(), record.read_text()
    rows = [json.loads(line) for line in before[0].splitlines()]
    for row in rows:
        question, answer = row["messages"]
        question["content"], answer["content"] = answer["content"], question["content"]
    try:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert exposures.count_exposures([run], make_design())["exposures"].sum() == 0
        content = json.loads(before[1])
        content["params"]["loss_on_all"] = [
            spec
            for spec in content["params"]["mixture"]
            if spec.endswith("01_dbke/dialogues.jsonl")
        ]
        record.write_text(json.dumps(content))
        assert exposures.count_exposures([run], make_design())["exposures"].sum() > 0
    finally:
        file.write_text(before[0])
        record.write_text(before[1])


def test_recall_is_the_share_of_runs_that_answer_correctly(sweep):
    design = make_design()
    counted = exposures.count_exposures(sweep, design)
    answers = reading.read_answers(sweep, design)
    recall = exposures.summarize_recall(counted, answers, design)
    assert set(recall["arm"]) == {"dialogue", "raw", "qa"}
    assert set(recall["recall"]) <= {0.0, 0.5, 1.0}
    assert len(recall) == 3 * 48


def test_the_correlation_is_that_of_ranks_and_missing_without_a_difference():
    recall = pd.DataFrame(
        {"arm": ["a"] * 3 + ["b"] * 3, "exposures": [1, 2, 30, 5, 5, 5], "recall": [0, 0.5, 1] * 2}
    )
    table = exposures.correlate_recall(recall).set_index("arm")
    assert table.loc["a"].tolist() == [3, 1, 11, 30, pytest.approx(1.0)]
    assert np.isnan(table.loc["b", "correlation"])
