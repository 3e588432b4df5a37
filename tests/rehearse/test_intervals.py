"""Forecasts: the mean extrapolated, with an interval that grows with the spread."""

import pytest

from clinical_camel.rehearse import intervals


def test_a_forecast_multiplies_the_mean_and_its_interval_contains_it():
    part = intervals.forecast_part("steps", "optimizer steps", [1.0, 2.0, 3.0], 100)
    assert (part.done, part.measured, part.seconds) == (3, 6.0, 200.0)
    assert part.low < 200 * (1 - intervals.DRIFT) < 200 < part.high


def test_equal_times_leave_only_the_drift_of_the_machine():
    part = intervals.forecast_part("steps", "optimizer steps", [2.0] * 5, 10)
    assert part.low == pytest.approx(20 * (1 - intervals.DRIFT))
    assert part.high == pytest.approx(20 * (1 + intervals.DRIFT))


def test_one_time_gives_a_wide_interval_unless_all_was_measured():
    one = intervals.forecast_part("questions", "questions", [8.0], 100, done=8)
    assert one.seconds == pytest.approx(100.0)
    assert one.high > 150
    complete = intervals.forecast_part("questions", "questions", [8.0], 8, done=8)
    assert complete.high == pytest.approx(8 * (1 + intervals.DRIFT))


def test_the_sum_of_parts_is_never_more_certain_than_the_machine():
    parts = [intervals.forecast_part("a", "steps", [1.0] * 9, 50) for _ in range(20)]
    seconds, low, high = intervals.add_up(parts)
    assert seconds == pytest.approx(1000)
    drift = 1000 * intervals.DRIFT
    assert (low, high) == (pytest.approx(1000 - drift), pytest.approx(1000 + drift))


def test_a_negative_time_is_never_forecast():
    part = intervals.forecast_part("steps", "optimizer steps", [0.1, 9.0], 100)
    assert part.low == 0.0
