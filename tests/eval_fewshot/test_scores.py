"""The arithmetic of the tables, on answers made up here."""

import dataclasses

import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import eval_fewshot
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.replies import UNREAD

SAME = {"question": "?", "options": list("abcd"), "answer": 0}
TOY = {"toy": [Question(id=str(i), **SAME) for i in range(10)]}
CLUSTERED = {"toy": [dataclasses.replace(q, group="ab"[i // 5]) for i, q in enumerate(TOY["toy"])]}


# ------------------------------------------------------------------------------------- scores


def test_accuracy_has_its_interval_and_chance():
    answers = answers_of(base=[True] * 8 + [False] * 2)
    row = eval_fewshot.compute_scores(answers, TOY).iloc[0]
    assert row["accuracy"] == 0.8
    assert (round(row["low"], 3), round(row["high"], 3)) == (0.490, 0.943)  # Wilson, 8 of 10
    assert row["chance"] == 0.25
    assert row["majority"] == 0.3  # of 10 correct options, 3 are the first


def test_a_model_that_always_chooses_one_position_is_noticed():
    answers = answers_of(base=[True] * 10)
    for predicted, share in (([2] * 10, 1.0), ([2] * 8 + [0, UNREAD], 0.8)):
        row = eval_fewshot.compute_scores(answers.assign(predicted=predicted), TOY).iloc[0]
        assert row["most_chosen"] == share


def test_clusters_are_counted_and_widen_the_interval():
    answers = answers_of(base=[True] * 5 + [False] * 5)
    grouped = eval_fewshot.compute_scores(answers, CLUSTERED).iloc[0]
    independent = eval_fewshot.compute_scores(answers, TOY).iloc[0]
    assert (grouped["clusters"], independent["clusters"]) == (2, 10)
    assert grouped["low"] < 0.01  # two clusters carry no information
    assert grouped["high"] > 0.99
    assert (round(independent["low"], 3), round(independent["high"], 3)) == (0.237, 0.763)


def test_above_chance_is_tested_by_question_or_by_cluster():
    answers = answers_of(base=[True] * 7 + [False] * 3)
    independent = eval_fewshot.compute_scores(answers, TOY)["p_chance"].iloc[0]
    assert independent == pytest.approx(0.0035, abs=1e-4)  # 7 or more of 10 at 1/4
    assert eval_fewshot.compute_scores(answers, CLUSTERED)["p_chance"].iloc[0] > 0.05
    none = eval_fewshot.compute_scores(answers_of(base=[False] * 10), CLUSTERED)
    assert none["p_chance"].tolist() == [1.0]


def test_the_share_of_shortest_answers_is_a_column():
    answers = answers_of(base=[True] * 4).assign(picked_shortest=[True, True, True, False])
    assert eval_fewshot.compute_scores(answers, TOY)["shortest"].tolist() == [0.75]


def test_the_calibration_error_is_the_mean_gap_between_confidence_and_accuracy():
    answers = answers_of(base=[True, True, False, False]).assign(confidence=[0.9, 0.9, 0.9, 0.3])
    error = eval_fewshot.compute_scores(answers, TOY)["calibration_error"].iloc[0]
    assert error == pytest.approx((0.3 * 1 + (0.9 - 2 / 3) * 3) / 4)
