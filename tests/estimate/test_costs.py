"""The cost of a step and of a study, and its error on committed runs."""

import dataclasses
import json
import re

import pytest
from tests.support.project import skip_if_rerun, skip_if_stale

from clinical_camel import dbke
from clinical_camel.estimate import costs
from clinical_camel.estimate.costs import Cost, estimate_step
from clinical_camel.estimate.report import exceeds_memory, format_step
from clinical_camel.estimate.speed import MACHINES
from clinical_camel.estimate.work import Work
from clinical_camel.runner.jobs import Job, PlanError, load_job

ENDPOINT = {"kind": "openai", "model": "m", "base_url": "https://h.invalid/v1", "terms": "own"}
LARGE = {"gradient_checkpointing_layers": -1, "max_length": 4096, "batch_size": 1}
LARGE |= {"chat_template": "mini"}


def load_teacher_job(**teacher) -> Job:
    job = load_job("mini_camel", "01_dbke")
    return dataclasses.replace(job, params=job.params | {"teacher": teacher})


def load_training_job(**changed) -> Job:
    params = load_job("mini_camel", "02_sft_qlora").params
    return Job("x", "02_sft_qlora", params | changed)


def test_a_teacher_costs_its_prices_and_takes_at_least_the_time_of_its_rate_limits():
    limits = {"price_in": 2.0, "price_out": 8.0, "money_cap": 1.0, "requests_per_minute": 60}
    cost = estimate_step(load_teacher_job(**ENDPOINT, **limits))
    assert cost.money == (2 * cost.work.forward_tokens + 8 * cost.work.reply_tokens) / 1e6 > 1
    assert cost.seconds["rate limits"] == 442
    slow = estimate_step(load_teacher_job(**ENDPOINT, **limits, tokens_per_minute=60_000))
    longest_reply = dbke.OpenAI.model_fields["max_new_tokens"].default
    tokens = 4 * cost.work.forward_tokens + 442 * longest_reply
    assert slow.seconds["rate limits"] == tokens / 1000
    assert cost.money_cap == 1.0


def test_a_local_teacher_is_estimated_as_a_model_that_generates():
    teacher = {"kind": "local", "model": "mini", "terms": "own", "max_new_tokens": 100}
    cost = estimate_step(load_teacher_job(**teacher))
    assert cost.base.model == "mini"
    assert cost.work.decode_steps % 100 == 0 < cost.work.decode_steps
    assert cost.memory["key-value cache"] > 0
    assert cost.seconds["work"] > cost.work.decode_steps * cost.base.layers * 3e-3
    assert cost.money == 0


def test_a_server_has_the_weights_that_write_the_notes():
    job = load_job("mini_camel", "04_note_synthesis")
    params = {**job.params, "server": "http://127.0.0.1:8000/v1"}
    served = estimate_step(Job(job.study, job.step, params, job.inputs))
    alone = estimate_step(job)
    assert served.memory == {"libraries": alone.memory["libraries"]}
    assert served.seconds == alone.seconds


@pytest.mark.parametrize(("size", "machine"), [("13b", "h200"), ("70b", "h200"), ("70b", "h100")])
def test_the_advice_is_the_fewest_recomputed_layers_that_fit(size, machine, fresh_project):
    changed = LARGE | {"model": f"meta-llama/Llama-2-{size}-hf"}
    changed["mixture"] = {"outputs/x/01_dbke/dialogues.jsonl": 1.0}
    cost = estimate_step(load_training_job(**changed), machine)
    fewest = int(re.match(r"gradient_checkpointing_layers: (\d+) of", cost.advice)[1])
    limit = 0.9 * MACHINES[machine].memory

    def count_bytes(layers: int) -> int:
        job = load_training_job(**changed | {"gradient_checkpointing_layers": layers})
        return sum(estimate_step(job, machine).memory.values())

    assert count_bytes(fewest) <= limit
    assert fewest == 0 or count_bytes(fewest - 1) > limit
    assert ("fewer do not fit" in cost.advice) == (fewest > 0)
    assert "advice    gradient_checkpointing_layers" in "\n".join(format_step(cost))


def test_a_70b_base_model_fits_an_h100_only_when_quantized(fresh_project):
    changed = LARGE | {"model": "meta-llama/Llama-2-70b-hf"}
    cost = estimate_step(load_training_job(**changed))
    assert cost.machine == "h100"
    assert cost.disk["download"] == 2 * 68_976_648_192
    assert cost.memory["base in NF4"] == 68_451_041_280 // 2
    assert not exceeds_memory(cost)
    assert exceeds_memory(estimate_step(load_training_job(**changed, quantize="")))
    measured = estimate_step(load_training_job(**changed), tokens_per_second=100.0)
    assert measured.seconds["work"] == pytest.approx(measured.work.tokens / 100)


def test_a_base_model_is_downloaded_once_per_study(fresh_project):
    for file in (fresh_project / "params/mini_camel").glob("*.yaml"):
        text = file.read_text().replace("model: mini", "model: meta-llama/Llama-2-7b-hf")
        file.write_text(text.replace('chat_template: ""', "chat_template: mini"))
    jobs = [load_job("mini_camel", step) for step in ("02_sft_qlora", "04_note_synthesis")]
    first, second = costs.estimate_study(jobs)
    assert "download" in first.disk
    assert "download" not in second.disk
    assert second.seconds["download"] == 0


def test_an_error_names_the_params_file(fresh_project):
    file = fresh_project / "params/mini_camel_raw/02_sft_qlora.yaml"
    text = file.read_text().replace("[all-linear]", "[query]")  # of a model that is not here
    file.write_text(text.replace("model: mini", "model: TinyLlama/TinyLlama-1.1B-Chat-v1.0"))
    jobs = [load_job("mini_camel_raw", "02_sft_qlora")]
    with pytest.raises(PlanError, match=r"raw/02_sft_qlora.yaml: lora_targets: .* query; .*q_proj"):
        costs.estimate_study(jobs)


def test_a_run_is_compared_only_with_the_estimate_of_its_settings_and_machine(project):
    job, cost = Job("old", "05_loss_curves", {"seed": 0}), Cost("old", "05", "cpu", Work())

    def measure(**changed):
        record = {"study": "old", "step": "05_loss_curves", "status": "complete", "headline": ""}
        record |= {"params": job.params, "device": {}, "seconds": 2.0, "peak_memory_mb": 3}
        record |= {"attempts": [], "notes": {}, "artefacts": {}} | changed
        project.file("outputs/old/05_loss_curves/run.json", json.dumps(record))
        return costs.read_measured(job, cost)

    assert measure() == (2.0, 3 * 2**20)
    assert measure(attempts=[{"seconds": 1.5}, {}]) == (3.5, 3 * 2**20)
    assert measure(notes={"computed": {"a": {}}}) is None  # all answers were in the journal
    assert measure(params={"seed": 1}) is None
    assert measure(device={"gpu": ["NVIDIA H100"]}) is None
    assert measure(status="failed") is None
    assert measure(params=None) is None  # a damaged record


def test_a_run_on_the_rehearsed_gpu_is_compared_and_none_of_its_profile(project):
    job = Job("old", "05_loss_curves", {"seed": 0})
    cost = Cost("old", "05", "a100", Work(), device="Tesla T4")

    def measure(gpu):
        record = {"study": "old", "step": "05_loss_curves", "status": "complete", "headline": ""}
        record |= {"params": job.params, "device": {"gpu": [gpu]}, "seconds": 2.0}
        record |= {"peak_memory_mb": 3, "attempts": [], "notes": {}, "artefacts": {}}
        project.file("outputs/old/05_loss_curves/run.json", json.dumps(record))
        return costs.read_measured(job, cost)

    assert measure("Tesla T4") == (2.0, 3 * 2**20)
    assert measure("NVIDIA A100-SXM4-80GB") is None


def test_the_estimate_of_training_is_close_to_the_committed_run():
    skip_if_rerun()
    skip_if_stale("mini_camel/02_sft_qlora")
    job = load_job("mini_camel", "02_sft_qlora")
    cost = estimate_step(job)
    seconds, memory = costs.read_measured(job, cost)
    assert 0.75 < sum(cost.memory.values()) / memory < 1.33
    # machines of this kind have taken 243 to 718 s for this step, the second beside other work
    assert 0.4 < sum(cost.seconds.values()) / seconds < 2.5
