"""Step 03: each published accuracy compared with ours."""

import pandas as pd
import pytest
from tests.support.toy_scores import published, scores

from clinical_camel import data, eval_fewshot
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import audit, compare_with_published

GENETICS = {"benchmark": "mmlu_medical_genetics", "n": 100}
PUBMEDQA = {"benchmark": "pubmedqa"}
HALF_PUBMEDQA = PUBMEDQA | {"n": 500, "correct": 390}


def verdict(rows, ours, model="tuned"):
    row = compare_with_published(rows, ours, "camel:70b", model).iloc[0]
    return row["verdict"], row["reason"]


@pytest.mark.parametrize(
    ("row", "score", "expected", "reason"),
    [
        ({}, {}, "reproduced", ""),
        ({}, {"correct": 650}, "differs", "between -13.5 and -5.8 points"),  # 51.1 %
        # only not significant
        (GENETICS | {"value": 69.0}, GENETICS | {"correct": 69}, "cannot tell", "too few items"),
        ({}, {"accuracy_norm": 0.5}, "cannot tell", "acc or acc_norm is not stated"),
        ({}, {"n": 630, "correct": 250, "too_long": 8}, "differs", "638 of the 1,273 items; 8 too"),
        ({"n": None}, {}, "not comparable", "number of items is not known"),
        ({"value": 77.9, "n": 1000} | PUBMEDQA, HALF_PUBMEDQA, "not comparable", "ours are 500"),
        ({"status": "recalled, not found"}, {}, "not comparable", "recalled"),
        ({"protocol": "as reported by its authors"}, {}, "not comparable", "other protocol"),
        ({}, {"n": 0, "correct": 0, "too_long": 1273}, "not comparable", "fits the context"),
        ({"shots": 0}, {}, "not run", "no score of ours"),
        ({"shots": None}, {}, "not run", "without its number of shots"),
    ],
)
def test_each_verdict_has_its_reason(row, score, expected, reason):
    table = compare_with_published(published(row), scores(score), "camel:70b", "tuned")
    assert table["verdict"].tolist() == [expected]
    assert reason in table["reason"][0]
    assert table["difference"].isna().all() == expected.startswith("not ")


def test_not_comparable_lists_every_reason():
    rows = published({"status": "recalled, not found", "value": 61.3, "n": 272})
    result, reason = verdict(rows, scores(protocol="letter"))
    assert result == "not comparable"
    for part in ("recalled only", "ours is letter", "no fraction of 272", "ours are 1,273"):
        assert part in reason


def test_without_a_system_every_row_is_not_run_and_has_no_score_of_ours():
    table = compare_with_published(published({}, {"system": "gpt-4", "size": ""}), scores(), "", "")
    assert table["verdict"].tolist() == ["not run"] * 2
    assert table[["accuracy", "n", "low", "high", "difference", "p"]].isna().all(axis=None)
    assert table["min_detectable_effect"].round(3).tolist() == [0.054] * 2  # of 1,273 items


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
        audit.find_comparable_protocols(protocol)


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
