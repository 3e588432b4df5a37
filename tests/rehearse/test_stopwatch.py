"""The stopwatch: steps and saves timed apart, and the training stopped in time."""

from types import SimpleNamespace

import pytest

from clinical_camel.rehearse import stopwatch


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(stopwatch, "_now", lambda: now[0])
    return now


def run_steps(watch, clock, seconds: list[float], save_seconds: float = 0.0):
    """Let steps end after so many seconds each, with a save after each; return the control."""
    state = SimpleNamespace(global_step=0, max_steps=100)
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    watch.on_train_begin(None, state, control, model="model")
    for taken in seconds:
        clock[0] += taken
        watch.on_step_end(None, state, control)
        if save_seconds:
            clock[0] += save_seconds
            watch.on_save(None, state, control)
    return control


def test_saves_are_not_counted_as_steps(clock):
    watch = stopwatch.Stopwatch(seconds=100.0, steps=2)
    run_steps(watch, clock, [1.0, 2.0, 3.0], save_seconds=10.0)
    assert watch.times == [1.0, 2.0, 3.0]
    assert watch.saves == [10.0] * 3
    assert (watch.model, watch.all_steps) == ("model", 100)


def test_it_stops_with_a_checkpoint_after_seconds_and_steps(clock):
    watch = stopwatch.Stopwatch(seconds=3.0, steps=2)
    control = run_steps(watch, clock, [5.0])
    assert not control.should_training_stop  # too few steps
    control = run_steps(watch, clock, [5.0])
    assert control.should_training_stop
    assert control.should_save
    assert watch.has_stopped
