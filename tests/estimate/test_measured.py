"""Speeds of a rehearsal replace those of the profile, on the same machine only."""

import json

import pytest

from clinical_camel.estimate import measured, report, speed
from clinical_camel.estimate.costs import estimate_step
from clinical_camel.runner.jobs import PlanError, load_job
from clinical_camel.runs import machine


def write(project, speeds, **device):
    device = device or machine.describe_device() | {"threads": 2}
    content = {"study": "mini_camel", "date": "2026-11-29", "machine": device, "speeds": speeds}
    file = project / "outputs/mini_camel/rehearsal.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


@pytest.fixture
def job(fresh_project):
    return load_job("mini_camel", "02_sft_qlora")


def test_the_time_of_a_step_is_that_of_the_measured_speed(job, fresh_project):
    before = estimate_step(job)
    assert before.measured == ""
    write(fresh_project, {"training": 1e9})
    cost = estimate_step(job)
    lora = cost.memory["LoRA weights"] / 4
    operations = speed.count_training_flops(cost.base, lora, 0.0) * cost.work.training_tokens
    assert cost.seconds["work"] == pytest.approx(operations / 2e9)  # of one thread; there are two
    assert cost.measured == "2026-11-29"
    assert "02_sft_qlora: speed measured by" in " ".join(report.format_sources([cost], 0.0))


def test_notes_take_the_measured_speed_of_generation(fresh_project):
    write(fresh_project, {"generation": 1e9})
    cost = estimate_step(load_job("mini_camel", "04_note_synthesis"))
    tokens = cost.work.forward_tokens + cost.work.generated_tokens
    operations = 2 * (cost.base.linear_weights + cost.base.head) * tokens
    assert cost.seconds["work"] == pytest.approx(operations / 2e9)


@pytest.mark.parametrize(
    "device", [{"cpu": "another", "threads": 2}, {"cpu": "any", "gpu": ["NVIDIA H100 80GB HBM3"]}]
)
def test_a_rehearsal_on_another_machine_does_not_count(job, fresh_project, device):
    write(fresh_project, {"training": 1e9}, **device)
    assert estimate_step(job).measured == ""


def test_a_gpu_is_found_by_its_name(fresh_project):
    write(fresh_project, {"training": 1e9}, cpu="any", threads=9, gpu=["NVIDIA H100 80GB HBM3"])
    assert measured.read_speeds("mini_camel", "h100") == ({"training": 1e9}, "2026-11-29")
    assert measured.read_speeds("mini_camel", "h200") == ({}, "")


@pytest.mark.parametrize(
    ("speeds", "problem"),
    [({"training": 0}, "speeds.training: 0 is"), ([1], r"speeds: \[1\] has no kinds of work")],
)
def test_a_speed_that_is_none_is_named(speeds, problem, job, fresh_project):
    write(fresh_project, speeds)
    with pytest.raises(PlanError, match=f"outputs/mini_camel/rehearsal.json: {problem}"):
        estimate_step(job)
