"""What is printed: each step beside the plan, then go or no-go."""

import pytest

from clinical_camel.rehearse import forecast, report
from clinical_camel.rehearse.record import Rehearsal, Trial


@pytest.fixture
def rehearsal_of(forecast_of):
    def make(*reasons: str, **changes) -> Rehearsal:
        steps = [forecast_of(tokens_per_second=1234.0, **changes)]
        return Rehearsal(
            *("my_study", "2026-01-01", {}, {}, {}, steps, not reasons, list(reasons)),
            *(2.5, 10.0, 9.0),
        )

    return make


def test_a_step_has_its_time_memory_cost_and_the_ratio_to_plan(rehearsal_of):
    text = "\n".join(report.format_rehearsal(rehearsal_of(seconds=7200.0, planned_seconds=3600.0)))
    row = next(line for line in text.splitlines() if line.startswith("02_sft_qlora"))
    expected = "02_sft_qlora 1,234 10.00 10.00 1.00 2.0 h 50 min to 70 min 60 min 2.00 5.00"
    assert " ".join(row.split()) == expected
    assert "4 of 400 optimizer steps measured in 36 s, all take 60 min" in text
    assert "The rehearsal took 9 min; --minutes was 10." in text


def test_go_has_the_interval_in_time_and_money(rehearsal_of):
    lines = report.format_rehearsal(rehearsal_of())
    assert lines[-1] == "GO: 50 min to 70 min, cost 2.08 to 2.92"


def test_the_money_of_the_teacher_is_in_both_bounds(rehearsal_of):
    rehearsal = rehearsal_of(money=10.0)
    lines = report.format_rehearsal(rehearsal)
    total = next(line for line in lines if line.startswith("total"))
    assert total.endswith(" 12.50")
    assert lines[-1] == "GO: 50 min to 70 min, cost 12.08 to 12.92"
    rehearsal.rate = 0.0
    assert report.format_rehearsal(rehearsal)[-1] == "GO: 50 min to 70 min, cost 10.00"


def test_steps_that_were_not_named_are_not_covered_by_go(rehearsal_of):
    rehearsal = rehearsal_of()
    rehearsal.omitted = ["03_eval_fewshot"]
    line = report.format_rehearsal(rehearsal)[-1]
    assert line.startswith("GO for 02_sft_qlora only: 50 min to 70 min")
    assert line.endswith("; not named: 03_eval_fewshot")


def test_no_go_has_every_reason(rehearsal_of):
    lines = report.format_rehearsal(rehearsal_of("02: too large; set x: 1", "disk: full"))
    assert lines[-3] == "NO-GO; the forecast is 50 min to 70 min, cost 2.08 to 2.92"
    assert lines[-2:] == ["- 02: too large; set x: 1", "- disk: full"]


def test_what_was_tried_and_a_busy_machine_are_reported(rehearsal_of):
    settings = {"batch_size": 2, "gradient_accumulation_steps": 16}
    settings |= {"gradient_checkpointing_layers": 0}
    trials = [
        Trial(settings, fits=True, seconds=3.0, memory=5 * 10**9),
        Trial(settings, fits=False, reason="out of memory"),
    ]
    lines = report.format_rehearsal(rehearsal_of(trials=trials, processor_share=0.25))
    text = " ".join(" ".join(lines).split())
    assert "2 x 16, 0 layers recomputed: 3.00 s, 5.00 GB" in text
    assert "0 layers recomputed: out of memory" in text
    assert "other programs left the step 25% of the cores; alone it would take about 15 min" in text


def test_a_study_with_a_step_that_only_plan_counts_is_no_plain_go(rehearsal_of):
    lines = report.format_rehearsal(rehearsal_of(rehearsed=False, remarks=[forecast.UNMEASURED]))
    assert lines[-2].startswith("GO for the measured steps only; the study takes 50 min to 70 min")
    assert lines[-1] == "not measured, counted by plan only: 02_sft_qlora"


def test_a_step_without_rehearsal_is_named(rehearsal_of):
    lines = report.format_rehearsal(rehearsal_of(rehearsed=False))
    assert lines[-1] == "not rehearsed: 02_sft_qlora"
    assert "plan only" in " ".join(lines)
