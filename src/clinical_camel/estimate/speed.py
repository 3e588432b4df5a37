"""The throughput of each machine, and the source of each number.

measured: in a run.json of this repository. published: in the named source. calculated: from
published figures. assumed: not measured; use your own number instead.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from clinical_camel.estimate.shapes import Base
from clinical_camel.estimate.work import Work

GB = 10**9
LARGE = 20_000_000  # parameters, as `models.compute.LARGE`, whose module imports torch
MOST_AT_ONCE = 8  # as `models.workers.MOST`

_GPU_SOURCES = (
    "training: 33 % of the bfloat16 peak (calculated: 786 tokens/s for a 70B QLoRA on an H100, "
    "published in AnswerDotAI/fsdp_qlora benchmarks_03_2024.md; others reach 20 to 40 %)",
    "scoring: the same share of the peak (assumed)",
    "generation: 0.7 ms per layer (assumed) and 4.5 bytes of traffic per weight (calculated); this "
    "gives 7 tokens/s for 70B; published: 8 on an A100 (litgpt, tutorials/resource-tables.md)",
    "loading 1 GB/s, download 0.1 GB/s (assumed)",
)
_NF4_TRAFFIC = 0.516 + 2 + 2  # bytes per weight: NF4 read, bfloat16 written and read again
_UTILISATION = 0.33  # share of the peak


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine profile; the defaults are those of a GPU.

    A decoding step takes `layer_seconds` per layer, and reads all weights.
    """

    memory: int  # bytes; 0: unknown
    flops: float  # operations per second that a training reaches
    weights_per_second: float  # NF4 weights unpacked per second
    scoring_flops: float = 0.0  # operations per second of scoring; 0: those of training
    attention_flops: float = 0.0  # those of attention without a gradient; 0: not counted apart
    generation_flops: float = 0.0  # of prompts and new tokens; 0: `layer_seconds` counts
    is_training_measured: bool = False  # `flops` include unpacking and launches of kernels
    layer_seconds: float = 0.7e-3
    number_size: int = 2  # bytes of an unquantized number
    batches_at_once: int = 1  # of scoring and generation, as `models.workers`
    logit_tiles: int = 2  # copies of a tile of logits in a training step
    # bytes before a model is loaded, by kind of work; on a GPU context and workspaces: assumed
    libraries: dict[str, int] = field(default_factory=lambda: {"training": GB, "inference": GB})
    sources: tuple[str, ...] = _GPU_SOURCES


def multiplies_bfloat16() -> bool:
    """As `models.multiplies_bfloat16`, from what Linux says of the CPU; False on other systems."""
    file = Path("/proc/cpuinfo")
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return bool(re.search(r"^flags\s*:.*\b(avx512_bf16|amx_tile)\b", text, re.MULTILINE))


def describe_large_cpu() -> Machine:
    """Return the profile of this CPU for a base model of `LARGE` or more parameters.

    It uses all cores, and bfloat16 where the CPU multiplies it.
    """
    cores = os.cpu_count() or 1
    is_fast = multiplies_bfloat16()
    return Machine(
        memory=0,
        flops=cores * (60e9 if is_fast else 50e9),
        scoring_flops=cores * (150e9 if is_fast else 60e9),
        attention_flops=cores * 55e9,
        weights_per_second=5e9,
        layer_seconds=2e-3,
        number_size=2 if is_fast else 4,
        batches_at_once=min(cores, MOST_AT_ONCE),
        libraries={
            "training": (2400 if is_fast else 900) * 2**20,
            "inference": 800 * 2**20,
        },
        sources=(
            "a base model of 20 million parameters or more, on a CPU: in bfloat16 60 GFLOP/s per "
            "core in training (measured: smollm2_135m, 02, on two cores with AVX512-BF16 without "
            "other work), 150 in scoring and 55 in its attention (measured in short trials); in "
            "float32 50 in training (measured: 85 tokens/s of SmolLM2-135M per core), 60 and 55 "
            "(assumed)",
            "generation: 2 ms per layer and step, 5 G NF4 weights per second (assumed)",
            "memory of the libraries in training in bfloat16: 2.4 GB (measured: smollm2_135m, 02; "
            "they keep what they prepared for each length of a row); otherwise assumed",
        ),
    )


MACHINES = {
    "cpu": Machine(
        memory=0,
        flops=33e9,
        scoring_flops=37e9,
        weights_per_second=0.8e9,
        layer_seconds=3e-3,
        number_size=4,
        logit_tiles=13,
        libraries={"training": 650 * 2**20, "inference": 620 * 2**20},
        sources=(
            "training 33 and scoring 37 GFLOP/s on one thread (measured: mini_camel and "
            "mini_camel_raw, 1.1 million parameters, on a machine without other work; a busy one "
            "needs up to twice the time)",
            "generation: 3 ms per layer and 800 M NF4 weights per second (fitted to mini_camel, "
            "04, without other work)",
            "memory: the libraries, and 13 tiles of logits for a training step as TRL computes it "
            "without Triton (measured: the shipped base model on rows of 8 and of 600 tokens)",
        ),
    ),
    "cpu_large": describe_large_cpu(),
    # dense bfloat16 peak and memory bandwidth: NVIDIA's data sheets
    "a100": Machine(80 * GB, _UTILISATION * 312e12, 2.0e12 / _NF4_TRAFFIC),
    "h100": Machine(80 * GB, _UTILISATION * 989e12, 3.35e12 / _NF4_TRAFFIC),
    "h200": Machine(141 * GB, _UTILISATION * 989e12, 4.8e12 / _NF4_TRAFFIC),
}
GPUS = ("a100", "h100", "h200")  # in MACHINES, the slowest first
DOWNLOAD, READ = 0.1 * GB, GB  # bytes per second, from the hub and from the disk: assumed
STEP_SECONDS = 2.0  # of a step without a model, and the start of any step: measured, mini_camel
STEP_MEMORY = 390 * 2**20  # without a model: measured, 01 with embedded articles (public ones: 490)
SYNTHESIS_SECONDS = 5.0  # of step 01 with little text: measured, mini_camel_llm and openstax_llm
SEARCH_SECONDS = 33e-6  # per dialogue by rules and token of its article: measured, smollm2_135m 01


def choose_machine(base: Base, name: str = "") -> str:
    """Return the named machine, else a CPU for a base model below half a billion parameters."""
    name = name or ("cpu" if base.parameters < 0.5 * GB else "h100")
    return "cpu_large" if name == "cpu" and base.parameters >= LARGE else name


def find_profile(gpu: str) -> str:
    """Return the profile that the name of a GPU contains as a word, or "".

    >>> find_profile("NVIDIA A100-SXM4-40GB"), find_profile("Tesla T4")
    ('a100', '')
    """
    words = re.split(r"[^a-z0-9]+", gpu.lower())
    return next((name for name in GPUS if name in words), "")


def choose_nearest(gpu: str, memory: int) -> str:
    """Return the profile of a GPU by its name, else the one with the nearest amount of memory.

    Of two with as much memory it is the slower one. `memory`: bytes; 0, if unknown, gives the
    slowest.

    >>> choose_nearest("Tesla T4", 16 * GB), choose_nearest("NVIDIA B200", 180 * GB)
    ('a100', 'h200')
    """
    return find_profile(gpu) or min(GPUS, key=lambda name: abs(MACHINES[name].memory - memory))


def estimate_synthesis(work: Work) -> float:
    """Return the time of step 01 without that of a language model."""
    return SYNTHESIS_SECONDS + work.searched_tokens * SEARCH_SECONDS


def count_training_flops(base: Base, lora_weights: int, recomputed: float) -> float:
    """Return the operations per training token: forward pass, activation gradients, LoRA gradients.

    A frozen weight has no gradient: 4 operations instead of 6. `recomputed` is the share of layers
    whose forward pass is computed twice. Attention over the context is not counted (4 % for 70B at
    4,096 tokens).
    """
    frozen = base.linear_weights + base.head
    return (4 + 2 * recomputed) * frozen + (6 + 2 * recomputed) * lora_weights


def estimate_seconds(
    base: Base, lora_weights: int, recomputed: float, work: Work, machine: Machine
) -> float:
    """Return the time of a step after its model is loaded.

    A training batch takes at least the launches of its kernels: a model of 1 million parameters is
    not 70,000 times as fast as one of 70 billion.
    """
    if work.decode_steps and machine.generation_flops:
        tokens = work.forward_tokens + work.generated_tokens
        return tokens * 2 * (base.linear_weights + base.head) / machine.generation_flops
    training = work.training_tokens * count_training_flops(base, lora_weights, recomputed)
    head = work.logit_share * base.head
    forward = work.forward_tokens * 2 * (base.linear_weights + lora_weights + head)
    unpacking = base.linear_weights / machine.weights_per_second  # NF4, in every pass
    decoding = work.decode_steps * (base.layers * machine.layer_seconds + unpacking)
    scoring = forward / (machine.scoring_flops or machine.flops)
    if machine.attention_flops:  # keys, then values; two operations each
        attention = 4 * work.attended * base.layers * base.attention_width
        scoring += attention / machine.attention_flops
    trained = training / machine.flops
    if not machine.is_training_measured:
        passes = work.batches * (2 + recomputed)
        # the kernels of a small model wait for their launches: forward pass, twice as many
        # backward
        launches = work.batches * (3 + recomputed) * base.layers * machine.layer_seconds
        trained = max(trained + passes * unpacking, launches)
    return trained + scoring + decoding
