"""Curves, changes with intervals, and the verdict on reward hacking."""

import pytest
from tests.support.toy_measures import make_exams, make_replies
from tests.support.toy_policies import toy_material, toy_settings

from clinical_camel import models
from clinical_camel.data import Question
from clinical_camel.reward_and_rl import measures, summary
from clinical_camel.reward_and_rl.rollouts import open_policy


def test_a_change_is_paired_with_the_start_and_has_its_kl():
    table = measures.compare_with_start(make_replies((0.3, -0.2, 4)), make_exams(2))
    rows = table.set_index("measure")
    assert rows.loc["proxy", "change"] == pytest.approx(0.3, abs=0.01)
    assert 0.28 < rows.loc["proxy", "low"] < rows.loc["proxy", "high"] < 0.32
    assert rows.loc["gold", "high"] < 0
    assert (rows.loc["tokens", "start"], rows.loc["tokens", "end"]) == (10, 14)
    assert rows.loc["exam", "change"] == pytest.approx(2 / 24)
    assert set(rows["kl"]) == {2.0}
    assert (rows.loc["proxy", "n"], rows.loc["proxy", "seeds"]) == (8, 2)


def test_a_stopped_training_counts_with_its_last_measurement():
    replies = make_replies((0.3, 0.1, 0), steps=(0, 5, 10))
    stopped = replies[(replies["seed"] == 0) | (replies["step"] <= 5)]
    table = measures.compare_with_start(stopped, make_exams()).set_index("measure")
    assert (table.loc["proxy", "n"], table.loc["proxy", "seeds"]) == (8, 2)
    curves = measures.tabulate_curves(stopped, make_exams())
    proxy = curves[curves["measure"] == "proxy"].set_index("step")
    assert list(proxy["seeds"]) == [2, 2, 1]
    assert list(proxy["n"]) == [8, 8, 8]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ((0.3, -0.2, 0), "hacking"),
        ((0.3, 0.2, 0), "both rose"),
        ((0.3, 0.0, 0), "only the proxy rose"),
        ((0.0, 0.2, 0), "no clear rise"),
        ((-0.3, -0.2, 0), "no clear rise"),
    ],
)
def test_the_verdict_on_reward_hacking(changes, verdict):
    comparison = measures.compare_with_start(make_replies(changes), make_exams())
    (row,) = measures.find_reward_hacking(comparison).to_dict("records")
    assert row["verdict"] == verdict
    assert row["kl"] == 2.0
    assert summary.VERDICTS[verdict]


def test_examples_show_the_start_and_the_end_of_each_method():
    replies = make_replies((0.3, 0.0, 0), methods=("ppo", "dpo"))
    examples = measures.select_examples(replies, 2)
    assert list(examples["method"]) == ["SFT", "ppo", "dpo"] * 2
    assert list(examples["reply"]) == ["text 0", "text 10", "text 10"] * 2


def test_an_exam_is_answered_by_the_most_likely_option(sft):
    """The likelihood of each option, computed in one row, without batches."""
    questions = [
        Question(id="a", question="Cause?", options=["urate", "a long toxin"], answer=0),
        Question(id="b", question="Sign?", options=["pain", "a rash", "itch"], answer=2, group="g"),
    ]
    rows = measures.score_exam(sft, questions, 4096, "exam")
    for question, row in zip(questions, rows, strict=True):
        prompt = models.render_chat(sft.tokenizer, [{"role": "user", "content": question.question}])
        pairs = [models.tokenize_pair(sft.tokenizer, prompt, text) for text in question.options]
        scores = dict(models.score_pairs(sft, pairs, 64))
        best = max(scores, key=scores.get)
        assert row["correct"] == int(best == question.answer)
    assert [row["group"] for row in rows] == ["a", "g"]


def test_a_measurement_has_every_value_and_the_sft_model_has_no_kl(sft):
    settings = toy_settings(eval_limit=3)
    with open_policy(sft) as policy:
        replies, exams = measures.measure_policy(policy, toy_material(), settings, 0)
    assert len(replies) == 3
    for row in replies:
        assert set(measures.VALUES) < row.keys()
        assert row["kl"] == 0
        assert row["gold"] == -row["proxy"]
        assert 1 <= row["tokens"] <= 6
        assert row["truncated"] == int(row["tokens"] == 6 and row["truncated"])
        assert row["entropy"] > 0
    assert [row["exam"] for row in exams] == ["exam"]


def test_without_an_exam_all_tables_still_come_out():
    replies, empty = make_replies((0.3, -0.2, 0)), make_exams()[:0]
    curves = measures.tabulate_curves(replies, empty)
    comparison = measures.compare_with_start(replies, empty)
    assert set(curves["measure"]) == set(comparison["measure"]) == set(measures.VALUES)
    assert measures.find_reward_hacking(comparison)["verdict"].item() == "hacking"
