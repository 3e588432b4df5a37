"""Step 03: each published accuracy compared with ours."""

import pandas as pd
import pytest
from tests.support.toy_scores import published, scores

from clinical_camel import data, eval_fewshot
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import compare_with_published


def verdict(rows, ours, model="tuned"):
    row = compare_with_published(rows, ours, "camel:70b", model).iloc[0]
    return row["verdict"], row["reason"]


def test_the_same_score_on_the_same_items_is_reproduced():
    assert verdict(published(), scores())[0] == "reproduced"


def test_a_difference_whose_interval_excludes_zero_differs():
    result, reason = verdict(published(), scores(correct=650))  # 51.1
    assert result == "differs"
    assert "between -13.5 and -5.8 points" in reason


def test_a_difference_that_is_only_not_significant_is_not_reproduced():
    rows = published({"benchmark": "mmlu_medical_genetics", "value": 69.0, "n": 100})
    score = scores(benchmark="mmlu_medical_genetics", n=100, correct=69)
    assert verdict(rows, score)[0] == "cannot tell"


def test_not_comparable_lists_every_reason():
    rows = published({"status": "recalled, not found", "value": 61.3, "n": 272})
    result, reason = verdict(rows, scores(protocol="letter"))
    assert result == "not comparable"
    for part in ("recalled only", "ours is letter", "no fraction of 272", "ours are 1,273"):
        assert part in reason


@pytest.mark.parametrize(
    ("row", "score", "reason"),
    [
        ({"n": None}, {}, "number of items is not known"),
        ({"benchmark": "pubmedqa", "value": 77.9, "n": 1000}, {"n": 500, "correct": 390}, "500"),
        ({"status": "recalled, not found"}, {}, "recalled"),
        ({"protocol": "as reported by its authors"}, {}, "other protocol"),
        ({}, {"n": 0, "correct": 0, "too_long": 1273}, "fits the context"),
    ],
)
def test_one_obstacle_is_enough_for_not_comparable(row, score, reason):
    ours = scores({"benchmark": row.get("benchmark", "medqa_us")} | score)
    result, text = verdict(published(row), ours)
    assert result == "not comparable"
    assert reason in text
    table = compare_with_published(published(row), ours, "camel:70b", "tuned")
    assert table["difference"].isna().all()


def test_a_part_of_the_only_public_items_is_compared_with_a_remark():
    result, reason = verdict(published(), scores(n=630, correct=250, too_long=8))
    assert result == "differs"
    assert "ours on 638 of the 1,273 items; 8 too long" in reason


def test_the_verdict_is_open_if_acc_and_acc_norm_disagree():
    result, reason = verdict(published(), scores(accuracy_norm=0.5))
    assert result == "cannot tell"
    assert "acc or acc_norm is not stated" in reason


def test_without_a_system_every_row_is_not_run_and_has_no_score_of_ours():
    table = compare_with_published(published({}, {"system": "gpt-4", "size": ""}), scores(), "", "")
    assert table["verdict"].tolist() == ["not run"] * 2
    assert table[["accuracy", "n", "low", "high", "difference", "p"]].isna().all(axis=None)
    assert table["min_detectable_effect"].round(3).tolist() == [0.054] * 2  # of 1,273 items


@pytest.mark.parametrize("shots", [0, None])
def test_other_or_unstated_shots_are_not_run(shots):
    assert verdict(published({"shots": shots}), scores())[0] == "not run"


def test_only_the_named_model_is_compared():
    both = scores({"model": "base", "correct": 500}, {})
    assert verdict(published(), both)[0] == "reproduced"
    assert verdict(published(), both, model="base")[0] == "differs"
    assert verdict(published(), both, model="raw")[0] == "not run"


def test_only_the_named_system_is_compared():
    rows = published({}, {"system": "gpt-4", "size": ""})
    assert compare_with_published(rows, scores(), "camel:70b", "tuned")["system"].tolist() == [
        "camel:70b"
    ]


def test_an_unlisted_protocol_is_rejected():
    with pytest.raises(ValueError, match="add it to COMPARABLE"):
        verdict(published({"protocol": "by ear"}), scores())


def test_every_published_protocol_is_listed():
    table = data.load_published()
    for protocol in table.loc[table["metric"] == "accuracy", "protocol"].unique():
        eval_fewshot.find_comparable_protocols(protocol)


def test_mmlu_is_split_into_subjects_and_other_benchmarks_are_unchanged():
    rows = [Question(id=s, question="?", options=["a", "b"], answer=0, subset=s) for s in "xy"]
    questions = {"toy": rows[:1], "mmlu_medical": rows}
    answers = pd.DataFrame(
        {"benchmark": ["toy", "mmlu_medical", "mmlu_medical"], "subset": ["x", "x", "y"]}
    )
    split, by_subject = eval_fewshot.split_mmlu_subjects(answers, questions)
    assert split["benchmark"].tolist() == ["toy", "mmlu_x", "mmlu_y"]
    assert {name: [q.id for q in each] for name, each in by_subject.items()} == {
        "toy": ["x"],
        "mmlu_x": ["x"],
        "mmlu_y": ["y"],
    }
