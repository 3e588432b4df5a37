"""Where and how a model computes: device, type of the numbers, threads."""

import os
from typing import Any

import torch

from clinical_camel.core.settings import AT_ONCE_VARIABLE

# Parameters from which a model computes with all cores and, where the CPU multiplies it in
# hardware, in bfloat16. SmolLM2 with 135 million then trains 1.4 times as fast and scores twice as
# fast (benchmarks/compute_dtype.py). The shipped model gains a third; in float32 on one thread its
# results are the same on every machine.
LARGE = 20_000_000


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in probes)


def choose_dtype(compute_dtype: str = "auto", parameters: int = 0) -> torch.dtype:
    """Return the type that a model computes in: `compute_dtype`, or for "auto" the fastest.

    "auto" on a GPU: bfloat16, or float16 where the GPU only emulates it. On a CPU: bfloat16 for a
    model of LARGE or more parameters if the CPU multiplies it in hardware, else float32.
    """
    if compute_dtype != "auto":
        return getattr(torch, compute_dtype)
    if device() == "cuda":
        is_native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if is_native else torch.float16
    return torch.bfloat16 if parameters >= LARGE and multiplies_bfloat16() else torch.float32


def use_threads(parameters: int) -> None:
    """Let a large model compute with all cores of a CPU.

    Runs of a sweep share the cores. A small model keeps one thread, so that its results are the
    same on every machine. A number in OMP_NUM_THREADS that the user set has priority.
    """
    is_ours = os.environ.get("CLINICAL_CAMEL_THREADS") == "auto"
    if is_ours and device() == "cpu" and parameters >= LARGE:
        cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1
        torch.set_num_threads(max(1, cores // int(os.environ.get(AT_ONCE_VARIABLE, 1))))


def train_in_float32(model: Any) -> None:
    """Make trained parameters float32: TRL casts those on a quantized base to bfloat16.

    A training that resumes from float32 checkpoints would then differ from one that was not killed.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
