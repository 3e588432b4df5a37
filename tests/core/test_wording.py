"""Intervals, shares, differences and p-values as text."""

import math

import pytest

from clinical_camel.core.wording import (
    format_bounds,
    format_interval,
    format_p,
    format_percent,
    format_points,
    join,
)


def test_zero_has_no_sign_and_an_unknown_interval_no_brackets():
    assert format_interval(-0.0001, -0.0002, 0.1) == "0.000 [0.000, 0.100]"
    assert format_interval(-0.4, math.nan, math.nan, ".0f") == "0"


def test_bounds_show_on_which_side_of_zero_they_are():
    assert format_bounds(-0.05, -0.002, ".2f") == " [-0.05, -0.00]"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.1276, 0.0897, 0.1667), "12.8 [9.0, 16.7]"),
        ((-0.0001, -0.0002, 0.1), "0.0 [0.0, 10.0]"),
        ((-0.1, -0.2, -0.0004), "-10.0 [-20.0, 0.0]"),
        ((0.25,), "25.0"),
        ((math.nan, 0.1, 0.2), ""),
    ],
)
def test_a_share_is_in_percent_and_zero_has_no_sign(values, text):
    assert format_percent(*values) == text


def test_a_unit_is_between_the_share_and_its_interval():
    assert format_percent(0.57, 0.48, 0.66, 0, " %") == "57 % [48, 66]"
    assert format_percent(0.57, math.nan, math.nan, unit=" points") == "57.0 points"


def test_a_difference_is_in_points_with_or_without_an_interval():
    row = {"difference": -0.02, "low": -0.05, "high": 0.01}
    assert format_points(row) == "-2.0 points [-5.0, 1.0]"
    assert format_points(row | {"low": math.nan, "high": math.nan}) == "-2.0 points"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0008, "< 0.001"),
        (0.00099999, "< 0.001"),
        (0.001, "0.001"),
        (0.0476, "0.048"),
        (1, "1.000"),
        (math.nan, ""),
    ],
)
def test_a_small_p_is_no_rounded_number(p, text):
    assert format_p(p, digits=3) == text


def test_a_sign_comes_before_a_p_that_is_a_number():
    assert format_p(0.0312, sign="= ") == "= 0.0312"
    assert format_p(0.0001, sign="= ") == "= 0.0001"
    assert format_p(0.00009, sign="= ") == "< 0.0001"


def test_the_last_of_several_parts_follows_and():
    assert [join(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
