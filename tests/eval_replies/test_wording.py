"""Numbers, datasets and differences as text."""

import math

import pytest

from clinical_camel.eval_replies.wording import Contrast, is_clear, name_unit, orient_contrast

ROW = {"model": "base", "difference": 0.1, "low": 0.05, "high": 0.2}


@pytest.mark.parametrize(("p", "clear"), [(0.049, True), (0.05, False), (math.nan, False)])
def test_a_difference_is_clear_by_its_adjusted_p(p, clear):
    assert is_clear({"p": 0.001, "p_holm": p}) is clear


def test_a_unit_without_parts_has_the_name_of_its_dataset():
    assert name_unit({"task": "question", "corpus": "toy", "part": "all"}) == "toy"
    assert name_unit({"task": "question", "corpus": "toy", "part": "new"}) == "toy, new"


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (["base", "sft"], Contrast("sft", "base", -0.1, -0.2, -0.05)),
        (["sft", "base"], Contrast("base", "sft", 0.1, 0.05, 0.2)),
        (["base"], Contrast("base", "sft", 0.1, 0.05, 0.2)),  # of a baseline that is no model
    ],
)
def test_a_contrast_is_later_minus_earlier_model(models, expected):
    assert orient_contrast(ROW, "sft", models) == expected


def test_a_contrast_is_written_in_its_direction():
    contrast = orient_contrast(ROW, "sft", ["base", "sft"])
    assert contrast.name == "sft \N{MINUS SIGN} base"
    assert contrast.format() == "-0.100 [-0.200, -0.050]"
    assert contrast.format(100, ".0f") == "-10 [-20, -5]"
