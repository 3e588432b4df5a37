"""Each published accuracy compared with ours."""

import pytest
from tests.support.toy_scores import published_rows, scores

from clinical_camel import data
from clinical_camel.published import audit, compare_with_published

GENETICS = {"benchmark": "mmlu_medical_genetics", "n": 100}
PUBMEDQA = {"benchmark": "pubmedqa"}
HALF_PUBMEDQA = PUBMEDQA | {"n": 500, "correct": 390}


def verdict(rows, ours):
    row = compare_with_published(rows, {"camel:70b": ours}).iloc[0]
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
    table = compare_with_published(published_rows(row), {"camel:70b": scores(score)})
    assert table["verdict"].tolist() == [expected]
    assert reason in table["reason"][0]
    assert table["difference"].isna().all() == expected.startswith("not ")


def test_not_comparable_lists_every_reason():
    rows = published_rows({"status": "recalled, not found", "value": 61.3, "n": 272})
    result, reason = verdict(rows, scores(protocol="letter"))
    assert result == "not comparable"
    for part in ("recalled only", "ours is letter", "no fraction of 272", "ours are 1,273"):
        assert part in reason


def test_a_study_that_has_not_run_has_no_score_and_no_verdict():
    table = compare_with_published(published_rows(), {"camel:70b": scores().iloc[:0]})
    assert table["verdict"].tolist() == ["not run"]
    assert table["reason"].tolist() == ["our study of this system has not run"]
    assert table[["accuracy", "n", "low", "high", "difference", "p"]].isna().all(axis=None)
    assert table["min_detectable_effect"].round(3).tolist() == [0.054]  # of 1,273 items


def test_only_the_scores_of_the_same_system_are_compared():
    rows = published_rows({}, {"system": "gpt-4", "size": ""})
    table = compare_with_published(rows, {"camel:70b": scores()})
    assert table["system"].tolist() == ["camel:70b", "gpt-4"]
    assert table["verdict"].tolist() == ["reproduced", "not run"]
    assert table["reason"][1] == "no study of ours reproduces this system"


def test_an_unlisted_protocol_is_rejected():
    with pytest.raises(ValueError, match="add it to COMPARABLE"):
        verdict(published_rows({"protocol": "by ear"}), scores())


def test_every_published_protocol_is_listed():
    table = data.load_published()
    for protocol in table.loc[table["metric"] == "accuracy", "protocol"].unique():
        audit.find_comparable_protocols(protocol)
