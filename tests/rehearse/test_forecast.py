"""Time, memory and cost from measurements; reasons against a study, with the setting to change."""

from types import SimpleNamespace

import pytest

from clinical_camel.estimate.disks import Disk
from clinical_camel.estimate.measured import replace_speeds
from clinical_camel.estimate.speed import MACHINES, estimate_seconds
from clinical_camel.estimate.work import Work
from clinical_camel.rehearse import forecast
from clinical_camel.rehearse.intervals import DRIFT
from clinical_camel.rehearse.record import Measured, Part, Trial

BASE = SimpleNamespace(linear_weights=900, head=100, layers=4)


def make_cost(step: str = "02_sft_qlora", **changes):
    """Return what `plan` says of a step: one GB and 100 seconds, 20 of them until it is loaded."""
    values = {
        "step": step,
        "base": BASE,
        "work": Work(training_tokens=1000.0),
        "memory": {"base": 10**9},
        "disk": {"adapter": 10**6},
        "seconds": {"download": 15.0, "loading": 5.0, "work": 80.0},
        "money": 0.0,
        "money_cap": 0.0,
    }
    return SimpleNamespace(**values | changes)


def make_measured(**changes) -> Measured:
    part = Part("steps", "optimizer steps", 4, 400, 1.0, 100.0, 90.0, 110.0)
    return Measured("02_sft_qlora", parts=[part], replaced=30.0, free=30.0, **changes)


RECORD = {"seconds": 42.0, "peak_memory_mb": 1000, "device": {"threads": 1}}


def test_the_replaced_functions_are_exchanged_for_the_forecast():
    step = forecast.forecast_step(make_cost(), make_measured(weights="own"), RECORD, 10**10)
    assert step.seconds == pytest.approx(12 + 100)
    assert step.low == pytest.approx((1 - DRIFT) * (12 + 100))
    assert (step.device, step.memory) == ("cpu", 1000 * 2**20)
    assert step.tokens_per_second == pytest.approx(10)


def test_random_weights_are_exchanged_for_the_time_to_read_the_real_ones():
    measured = make_measured(weights="random", facts={"load_seconds": 7.0})
    step = forecast.forecast_step(make_cost(), measured, RECORD, 10**10)
    assert step.seconds == pytest.approx(12 - 7 + 20 + 100)


def test_work_that_is_not_on_this_machine_is_multiplied():
    step = forecast.forecast_step(make_cost(), make_measured(weights="own"), RECORD, 0, ratio=3.0)
    assert step.seconds == pytest.approx(12 + 300)


def test_a_busy_machine_is_seen():
    measured = make_measured()
    measured.free = 6.0
    step = forecast.forecast_step(make_cost(), measured, RECORD, 0)
    assert step.processor_share == pytest.approx(0.2)


def test_the_memory_of_a_gpu_is_the_larger_peak(forecast_of):
    record = RECORD | {"peak_gpu_memory_mb": 5000}
    step = forecast.forecast_step(make_cost(), make_measured(peak=10**9), record, 8 * 10**10)
    assert (step.device, step.memory) == ("gpu", 5000 * 2**20)


def test_a_step_that_fits_has_no_reason(forecast_of):
    assert list(forecast.find_reasons([forecast_of()], [make_cost()])) == []


def test_each_reason_names_step_and_setting(forecast_of, monkeypatch):
    settings = {"batch_size": 1, "gradient_accumulation_steps": 32}
    settings |= {"gradient_checkpointing_layers": 72}
    smaller = Trial(settings, fits=True, seconds=9.0, memory=7 * 10**10)
    steps = [
        forecast_of(failed="In [6]: KeyError: 'x'"),
        forecast_of(facts={"does_not_fit": "gradient_checkpointing_layers: -1"}),
        forecast_of(memory=78 * 10**9, trials=[smaller]),
        forecast_of("03_eval_fewshot", memory=79 * 10**9),
    ]
    costs = [make_cost()]
    disks = [Disk("disk", 140 * 10**9, 10**11, "free some"), Disk("disk of HF_HOME", 1, 1, "")]
    monkeypatch.setattr(forecast, "list_disks", lambda _: disks)
    reasons = list(forecast.find_reasons(steps, costs))
    assert reasons[0] == "02_sft_qlora: In [6]: KeyError: 'x'"
    assert "set gradient_checkpointing_layers: -1" in reasons[1]
    assert "needs 78.0 of 80.0 GB" in reasons[2]
    assert "gradient_checkpointing_layers: 72" in reasons[2]
    assert "smaller token_budget" in reasons[3]
    assert reasons[4:] == ["disk: the study needs 140.0 GB, 100.0 are free; free some"]


def test_replies_beyond_the_money_cap_are_a_reason(forecast_of):
    costs = [make_cost("01_dbke", money=12.5, money_cap=10.0), make_cost()]
    assert list(forecast.find_reasons([forecast_of()], costs)) == [
        "01_dbke: replies cost about 12.50 (plan), and money_cap stops them at 10.00; raise "
        "money_cap, or lower dialogues_per_article"
    ]
    costs = [make_cost("01_dbke", money=12.5, money_cap=12.5)]
    assert list(forecast.find_reasons([forecast_of()], costs)) == []


def test_speeds_are_those_that_give_plan_the_measured_times(forecast_of):
    step = forecast_of(facts={"lora_weights": 10, "recomputed": 0.5})
    speeds = forecast.find_speeds([make_cost()], [step], threads=2)
    operations = 1000 * ((4 + 1) * 1000 + (6 + 1) * 10)
    assert speeds == {"training": pytest.approx(operations / 3600 / 2)}
    step.processor_share = 0.5  # the machine was busy: alone it is twice as fast
    speeds = forecast.find_speeds([make_cost()], [step], threads=2)
    assert speeds == {"training": pytest.approx(operations / 3600)}
    assert forecast.find_speeds([make_cost()], [forecast_of(failed="x")], 1) == {}


@pytest.mark.parametrize(
    ("name", "kind", "work"),
    [
        ("03_eval_fewshot", "scoring", Work(forward_tokens=6000, logit_share=0.5)),
        ("04_note_synthesis", "generation", Work(0, 6000, generated_tokens=900, decode_steps=30)),
    ],
)
def test_speeds_of_a_part_of_the_sets_give_plan_the_time_of_all(name, kind, work):
    """A third of the work is on this machine and takes 100 seconds, besides the fixed part."""
    cost = make_cost(name, work=work)
    step = forecast.forecast_step(cost, make_measured(weights="own"), RECORD, 0, ratio=3.0)
    speeds = forecast.find_speeds([cost], [step], threads=1)
    profile = replace_speeds(MACHINES["cpu"], speeds)
    assert list(speeds) == [kind]
    assert estimate_seconds(BASE, 0, 0.0, work, profile) == pytest.approx(3 * 100)


def test_generated_tokens_count_in_the_tokens_per_second():
    work = Work(0, 6000, generated_tokens=900, decode_steps=30)
    cost = make_cost("04_note_synthesis", work=work)
    step = forecast.forecast_step(cost, make_measured(weights="own"), RECORD, 0)
    assert step.tokens_per_second == pytest.approx(6900 / 100)


def test_a_step_that_was_not_rehearsed_has_the_plan_and_a_wide_interval():
    step = forecast.forecast_planned(make_cost("05_loss_curves"), failed="no data")
    assert (step.seconds, step.low, step.high) == (100.0, 50.0, 150.0)
    assert not step.rehearsed
    assert step.failed == "no data"
