"""compute: the type of the numbers and the threads of a model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clinical_camel import models
from clinical_camel.models import compute

SMALL, BIG = 1_100_000, 135_000_000
CACHE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


@pytest.mark.parametrize(
    ("setting", "parameters", "hardware", "expected"),
    [
        ("auto", SMALL, True, torch.float32),
        ("auto", BIG, False, torch.float32),
        ("auto", BIG, True, torch.bfloat16),
        ("float32", BIG, True, torch.float32),
        ("bfloat16", SMALL, False, torch.bfloat16),
    ],
)
def test_auto_takes_bfloat16_for_a_large_model_on_a_cpu_that_multiplies_it(
    monkeypatch, setting, parameters, hardware, expected
):
    monkeypatch.setattr(compute, "device", lambda: "cpu")
    monkeypatch.setattr(compute, "multiplies_bfloat16", lambda: hardware)
    assert compute.choose_dtype(setting, parameters) == expected


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float16")])
def test_auto_on_a_gpu_is_a_type_that_it_has(monkeypatch, native, expected):
    def is_supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(compute, "device", lambda: "cuda")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert compute.choose_dtype("auto", SMALL) == getattr(torch, expected)


@pytest.mark.parametrize(
    ("variable", "parameters", "at_once", "expected"),
    [
        ("auto", BIG, "1", [8]),
        ("auto", BIG, "3", [2]),
        ("auto", BIG, "20", [1]),
        ("auto", SMALL, "1", []),
        ("", BIG, "1", []),
    ],
)
def test_a_large_model_uses_its_share_of_the_cores_unless_the_user_says_otherwise(
    monkeypatch, variable, parameters, at_once, expected
):
    threads = []
    monkeypatch.setenv("CLINICAL_CAMEL_THREADS", variable)
    monkeypatch.setenv("CLINICAL_CAMEL_AT_ONCE", at_once)
    monkeypatch.setattr(compute, "device", lambda: "cpu")
    monkeypatch.setattr(compute.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(compute.os, "process_cpu_count", lambda: 8, raising=False)
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    compute.use_threads(parameters)
    assert threads == expected


def test_a_model_computes_in_the_type_of_the_setting_and_its_source_names_it():
    llm = models.load("mini", {"base": ""}, "nf4", compute_dtype="bfloat16")["base"]
    ids = torch.tensor([[1, 2, 3]])
    assert llm.activate()(ids).logits.dtype == torch.bfloat16
    assert llm.source["dtype"] == "bfloat16"
    assert models.load("mini", {"base": ""})["base"].source["dtype"] == "float32"


GROWTH = """
import clinical_camel, torch
def measure():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(l for l in lines if l.startswith("VmRSS")).split()[1]) // 1024
weights = [torch.randn(n, 576, dtype=torch.bfloat16) for n in (1536, 576, 192, 32)]
start = measure()
for rows in range(200, 840, 4):
    for weight in weights:
        torch.ones(rows, 576, dtype=torch.bfloat16) @ weight.T
print(measure() - start)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.skipif(not compute.multiplies_bfloat16(), reason="needs a CPU with bfloat16")
def test_rows_of_many_lengths_do_not_fill_the_memory():
    def measure(**changes: str) -> int:
        environment = {k: v for k, v in os.environ.items() if k != CACHE} | changes
        command = [sys.executable, "-c", GROWTH]
        return int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)

    assert measure() < 0.8 * measure(**{CACHE: "1024"})  # the default of oneDNN
