"""What differs between the trainings of two arms."""

import pandas as pd
import pytest

from clinical_camel.core.arm_differences import READINGS, list_differences

SAME = dict.fromkeys(READINGS, 100.0) | {"format": "chat"}


def compare(first=(), second=(), rates=(4e-3, 4e-3), rows=(4, 4)):
    arms = pd.DataFrame([SAME | dict(first), SAME | dict(second)]).assign(arm=["a", "b"])
    trainings = pd.DataFrame({"arm": ["a", "b"], "learning_rate": rates, "batch_size": rows})
    return list_differences(arms, trainings, "a", "b")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"first": {"tokens": 109.0}}, []),
        ({"first": {"tokens": 120.0}}, ["20 % more tokens seen"]),
        ({"first": {"steps": 80.0}}, ["20 % fewer steps"]),
        ({"rates": (8e-3, 4e-3)}, ["learning rate 0.008 (B: 0.004)"]),
        ({"rows": (4, 17)}, ["rows per step 4 (B: 17)"]),
        (
            {"second": {"format": "plain text with title"}},
            ["format chat (B: plain text with title)"],
        ),
        (
            {
                "first": {"format": "plain text with title and headings"},
                "second": {"format": "plain text with title"},
            },
            ["format plain text with title and headings (B: plain text with title)"],
        ),
    ],
)
def test_only_large_differences_are_named(changes, expected):
    assert compare(**changes) == expected


def test_an_arm_without_a_run_has_no_differences():
    assert list_differences(pd.DataFrame([SAME | {"arm": "a"}]), pd.DataFrame(), "a", "b") == []
