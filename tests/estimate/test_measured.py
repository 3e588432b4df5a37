"""The machine of a rehearsal, and its speeds in place of those of the profile."""

import json
import math

import pytest

from clinical_camel.estimate import measured, report, speed
from clinical_camel.estimate.costs import estimate_step
from clinical_camel.estimate.shapes import find_base
from clinical_camel.estimate.work import Work
from clinical_camel.runner.jobs import PlanError, load_job, load_jobs
from clinical_camel.runs import machine

T4 = {"cpu": "any", "threads": 9, "gpu": ["Tesla T4"], "memory": 16 * 10**9}
H200 = {"cpu": "any", "threads": 9, "gpu": ["NVIDIA H200"], "memory": 150 * 10**9}
OTHER_CPU = {"cpu": "another", "threads": 2}
RESTS = ("01_dbke", "05_loss_curves", "09_score_checks")  # without a base model


def write(project, speeds, **device):
    device = device or machine.describe_device() | {"threads": 2}
    content = {"study": "mini_camel", "date": "2026-11-29", "machine": device, "speeds": speeds}
    file = project / "outputs/mini_camel/rehearsal.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def join(lines):
    return " ".join(" ".join(lines).split())


@pytest.fixture
def job(fresh_project):
    return load_job("mini_camel", "02_sft_qlora")


def count_operations(cost):
    lora = cost.memory["LoRA weights"] / 4
    return speed.count_training_flops(cost.base, lora, 0.0) * cost.work.training_tokens


def test_the_time_of_a_step_is_that_of_the_measured_speed(job, fresh_project):
    before = estimate_step(job)
    assert before.measured == ""
    write(fresh_project, {"training": 1e9})
    cost = estimate_step(job)
    # of one thread; there are two
    assert cost.seconds["work"] == pytest.approx(count_operations(cost) / 2e9)
    assert cost.measured == "2026-11-29"
    assert "02_sft_qlora: speed measured by" in " ".join(report.format_sources([cost], 0.0))


def test_notes_take_the_measured_speed_of_generation(fresh_project):
    write(fresh_project, {"generation": 1e9})
    cost = estimate_step(load_job("mini_camel", "04_note_synthesis"))
    tokens = cost.work.forward_tokens + cost.work.generated_tokens
    operations = 2 * (cost.base.linear_weights + cost.base.head) * tokens
    assert cost.seconds["work"] == pytest.approx(operations / 2e9)


def test_the_measured_speed_of_scoring_includes_the_adapters(fresh_project):
    write(fresh_project, {"scoring": 1e9})
    cost = estimate_step(load_job("mini_camel", "03_eval_fewshot"))
    weights = cost.base.linear_weights + cost.work.logit_share * cost.base.head
    operations = 2 * weights * cost.work.forward_tokens  # as `rehearse` counts them
    assert cost.seconds["work"] == pytest.approx(operations / 2e9)


@pytest.mark.parametrize("device", [OTHER_CPU, H200])
def test_a_named_profile_takes_no_speeds_of_another_machine(job, fresh_project, device):
    write(fresh_project, {"training": 1e9}, **device)
    assert estimate_step(job, "cpu", by_rehearsal=True).measured == ""
    assert estimate_step(job, "h100", by_rehearsal=True).measured == ""


@pytest.mark.parametrize(
    ("device", "profile", "threads"), [(T4, "a100", 1), (H200, "h200", 1), (OTHER_CPU, "cpu", 2)]
)
def test_without_a_name_plan_takes_the_rehearsed_machine(
    job, fresh_project, device, profile, threads
):
    write(fresh_project, {"training": 1e9}, **device)
    name = device.get("gpu", [device["cpu"]])[0]
    cost = estimate_step(job, by_rehearsal=True)
    assert (cost.machine, cost.device, cost.measured) == (profile, name, "2026-11-29")
    # neither launches of kernels nor unpacking of the profile are added
    assert cost.seconds["work"] == pytest.approx(count_operations(cost) / 1e9 / threads)
    assert f"on {name} (profile {profile})" in join(report.format_step(cost))


def test_plan_names_the_rehearsed_machine_and_what_was_not_measured(fresh_project, capsys):
    write(fresh_project, {"training": 1e9}, **T4)
    report.print_report(load_jobs("mini_camel"))
    out = join(capsys.readouterr().out.splitlines())
    texts = [
        "machine Tesla T4, on which the study was rehearsed (outputs/mini_camel/rehearsal.json)",
        "02_sft_qlora: speed measured by `rehearse` on Tesla T4, 2026-11-29",
        "03_eval_fewshot: speed not measured on Tesla T4: that of profile a100",
        "04_note_synthesis: speed not measured on Tesla T4: that of profile a100",
    ]
    assert [text for text in texts if text not in out] == []
    assert [step for step in RESTS if f"{step}: speed not" in out] == []


def test_plan_names_no_machine_without_a_rehearsal(fresh_project, capsys):
    report.print_report(load_jobs("mini_camel_controls"))
    out = capsys.readouterr().out
    assert out.startswith("03_eval_fewshot  mini, ")
    assert ", on cpu\n" in out
    assert "rehearse" not in out


def test_the_memory_is_that_of_the_rehearsed_gpu(job, fresh_project):
    write(fresh_project, {"training": 1e9}, **T4 | {"memory": 10**8})
    cost = estimate_step(job, by_rehearsal=True)
    assert report.exceeds_memory(cost)
    assert "MORE THAN THE TESLA T4 HAS" in join(report.format_step(cost))
    assert not report.exceeds_memory(estimate_step(job, "a100"))


def test_a_step_that_was_not_rehearsed_takes_no_speed_of_another_step(fresh_project):
    write(fresh_project, {"training": 1e9, "scoring": 1e9, "generation": 1e9}, **H200)
    place = measured.Place.choose("mini_camel", "", by_rehearsal=True)
    base, work = find_base("mini"), Work(training_tokens=1e6, forward_tokens=9, decode_steps=9)
    profile, fields = place.find_profile("07_reward_and_rl", base)
    assert "measured" not in fields
    seconds = speed.estimate_seconds(base, 0, 0.0, work, profile)
    assert seconds == speed.estimate_seconds(base, 0, 0.0, work, speed.MACHINES["h200"])


def test_the_measured_time_of_a_training_includes_its_validation():
    profile = measured.replace_speeds(speed.MACHINES["h100"], {"training": 1e9})
    base, work = find_base("mini"), Work(training_tokens=1e6, batches=10)
    with_validation = Work(training_tokens=1e6, forward_tokens=1e6, batches=10)
    seconds = [speed.estimate_seconds(base, 0, 0.0, w, profile) for w in (work, with_validation)]
    assert seconds[0] == seconds[1] < math.inf


def test_the_measured_time_of_an_exam_includes_its_replies():
    profile = measured.replace_speeds(speed.MACHINES["cpu"], {"scoring": 1e9})
    base, work = find_base("mini"), Work(forward_tokens=1e6)
    with_replies = Work(forward_tokens=1e6, generated_tokens=1000, decode_steps=1000)
    seconds = [speed.estimate_seconds(base, 0, 0.0, w, profile) for w in (work, with_replies)]
    assert seconds[0] == seconds[1] > 0


def test_a_rehearsal_that_measured_no_speed_names_no_machine(job, fresh_project):
    write(fresh_project, {}, **T4)
    assert measured.read_machine("mini_camel") is None
    assert estimate_step(job, by_rehearsal=True) == estimate_step(job)


@pytest.mark.parametrize(
    ("speeds", "problem"),
    [({"training": 0}, "speeds.training: 0 is"), ([1], r"speeds: \[1\] has no kinds of work")],
)
def test_a_speed_that_is_none_is_named(speeds, problem, job, fresh_project):
    write(fresh_project, speeds)
    with pytest.raises(PlanError, match=f"outputs/mini_camel/rehearsal.json: {problem}"):
        estimate_step(job)


def test_a_truncated_rehearsal_is_no_silent_estimate(job, fresh_project):
    write(fresh_project, {"training": 1e9})
    file = fresh_project / "outputs/mini_camel/rehearsal.json"
    file.write_text(file.read_text(encoding="utf-8")[:20], encoding="utf-8")
    with pytest.raises(PlanError, match="outputs/mini_camel/rehearsal.json: is damaged; delete"):
        estimate_step(job)
