"""The throughput of machines, compared with published speeds."""

import pytest

from clinical_camel import models
from clinical_camel.estimate import speed
from clinical_camel.estimate.shapes import find_base, list_lora_shapes
from clinical_camel.estimate.work import Work
from clinical_camel.models import compute, workers
from clinical_camel.runner.jobs import load_job


def test_the_estimate_equals_the_published_speed_that_it_comes_from():
    base, lora_weights = find_base("meta-llama/Llama-2-70b-hf"), 828_375_040
    work = Work(training_tokens=1e6)
    seconds = speed.estimate_seconds(base, lora_weights, 1.0, work, speed.MACHINES["h100"])
    assert 1e6 / seconds == pytest.approx(786, rel=0.05)


def test_attention_over_exemplars_and_the_head_count_in_scoring():
    base, machine = find_base("mini"), speed.Machine(0, 1e9, 1e9, attention_flops=1e8)
    alone = Work(forward_tokens=1000)
    attended = Work(forward_tokens=1000, attended=1000 * 500)
    seconds = [speed.estimate_seconds(base, 0, 0.0, work, machine) for work in (alone, attended)]
    # 4 layers of 128 values; keys and values; a multiplication and an addition
    assert seconds[1] - seconds[0] == pytest.approx(1000 * 500 * 4 * 128 * 4 / 1e8)
    with_head = speed.estimate_seconds(
        base, 0, 0.0, Work(forward_tokens=1000, logit_share=0.5), machine
    )
    assert with_head - seconds[0] == pytest.approx(0.5 * 1000 * 2 * 2048 * 128 / 1e9)


def test_a_large_model_is_one_that_computes_as_such_and_bfloat16_is_found_without_torch():
    assert speed.LARGE == compute.LARGE
    assert speed.MOST_AT_ONCE == workers.MOST
    assert speed.multiplies_bfloat16() == models.multiplies_bfloat16()


def test_a_small_model_on_a_gpu_waits_for_its_kernels():
    machine, small = speed.MACHINES["h100"], find_base("mini")
    work = Work(training_tokens=1000, batches=10)
    seconds = speed.estimate_seconds(small, 0, 0.0, work, machine)
    assert seconds == pytest.approx(10 * 3 * 4 * machine.layer_seconds)
    large = find_base("meta-llama/Llama-2-70b-hf")
    work = Work(training_tokens=40_960, batches=10)
    seconds = speed.estimate_seconds(large, 0, 1.0, work, machine)
    assert seconds > 40_960 * speed.count_training_flops(large, 0, 1.0) / machine.flops


def test_long_articles_take_longer_to_rewrite_by_rules():
    short, long = Work(rows=100, searched_tokens=10**4), Work(rows=100, searched_tokens=10**6)
    seconds = [speed.estimate_synthesis(work) for work in (short, long)]
    assert seconds[0] == pytest.approx(speed.SYNTHESIS_SECONDS, rel=0.1)
    assert seconds[1] - seconds[0] == pytest.approx(990_000 * speed.SEARCH_SECONDS)


@pytest.mark.parametrize(
    ("gpu", "memory", "profile"),
    [
        ("NVIDIA H100 80GB HBM3", 0, "h100"),
        ("NVIDIA A100-SXM4-40GB", 40, "a100"),
        ("Tesla T4", 16, "a100"),  # the A100 and the H100 are equally near
        ("NVIDIA GH200 480GB", 102, "a100"),  # an H100 in spite of its name
        ("NVIDIA B200", 180, "h200"),
        ("unknown", 0, "a100"),
    ],
)
def test_a_gpu_has_the_profile_of_its_name_else_of_its_memory(gpu, memory, profile):
    assert speed.choose_nearest(gpu, memory * speed.GB) == profile


def test_a_training_in_float32_has_the_speed_measured_on_a_core(monkeypatch):
    """85 tokens of SmolLM2-135M per second and core; tokens and batches of smollm2_135m, 02."""
    monkeypatch.setattr(speed.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(speed, "multiplies_bfloat16", lambda: False)
    recipe = load_job("smollm2_135m", "02_sft_qlora").settings
    base = find_base("HuggingFaceTB/SmolLM2-135M-Instruct")
    shapes = list_lora_shapes(base, recipe.lora_rank, tuple(recipe.lora_targets))
    lora_weights = sum(rows * columns for rows, columns in shapes)
    assert lora_weights == 9_768_960
    work = Work(training_tokens=519_658, batches=188 * recipe.gradient_accumulation_steps)
    seconds = speed.estimate_seconds(base, lora_weights, 0.0, work, speed.describe_large_cpu())
    assert seconds == pytest.approx(519_658 / (2 * 85), rel=0.25)
