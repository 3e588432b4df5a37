"""How fast a machine is, and where each number comes from.

measured: in a run.json of this repository. published: read in the source that is named.
calculated: from published figures. assumed: nobody measured it; give your own number instead.
"""

from dataclasses import dataclass

from clinical_camel.estimate.shapes import Base
from clinical_camel.estimate.work import Work

GB = 10**9


@dataclass(frozen=True, slots=True)
class Machine:
    """`flops`: arithmetic a second that a run reaches. A decoding step takes `layer_seconds` for
    each layer and reads `weights_per_second` of NF4. `value`: bytes of a number that is not
    quantised, `tiles`: copies of a tile of logits, `libraries`: bytes before a model is loaded."""

    memory: int  # 0: whatever this machine has
    flops: float
    layer_seconds: float
    weights_per_second: float
    read_bytes: float  # a second, from the disk
    value: int
    tiles: int
    libraries: dict[str, int]
    sources: tuple[str, ...]


_NF4_TRAFFIC = 0.516 + 2 + 2  # bytes a weight: NF4 read, bfloat16 written, read by the product
_SHARE = 0.33  # of the peak
_GPU_SOURCES = (
    "training: 33 % of the bfloat16 peak (calculated: 786 tokens/s for a 70B QLoRA on an H100, "
    "published in AnswerDotAI/fsdp_qlora benchmarks_03_2024.md; others reach 20 to 40 %)",
    "scoring: the same share of the peak (assumed)",
    "generation: 0.7 ms a layer (assumed) and 4.5 bytes of traffic a weight (calculated); gives "
    "7 tokens/s for 70B, published 8 on an A100 (litgpt, tutorials/resource-tables.md)",
    "loading 1 GB/s, download 0.1 GB/s (assumed)",
)
_CUDA = {"train": GB, "read": GB}  # context and workspaces: assumed


def _gpu(memory: float, peak: float, bandwidth: float) -> Machine:
    return Machine(
        memory=round(memory * GB),
        flops=_SHARE * peak,
        layer_seconds=0.7e-3,
        weights_per_second=bandwidth / _NF4_TRAFFIC,
        read_bytes=GB,
        value=2,
        tiles=2,
        libraries=_CUDA,
        sources=_GPU_SOURCES,
    )


MACHINES = {
    "cpu": Machine(
        memory=0,
        flops=15e9,
        layer_seconds=7e-3,
        weights_per_second=0.35e9,
        read_bytes=GB,
        value=4,
        tiles=13,
        libraries={"train": 650 * 2**20, "read": 620 * 2**20, "rules": 230 * 2**20},
        sources=(
            "training and scoring: 15 GFLOP/s on one thread (measured: the run.json files of "
            "mini_camel, a model of 1.1 M; a larger one is faster per operation)",
            "generation: 7 ms a layer (measured: mini_camel, 04) and 350 M weights of NF4 a second "
            "(assumed, between 116 and 780 M measured on single matrices)",
            "memory: the libraries, and 13 tiles of logits for a training step as TRL computes it "
            "without Triton (measured: the shipped base on rows of 8 and of 600 tokens)",
        ),
    ),
    # dense bfloat16 peaks and memory bandwidth: NVIDIA's data sheets
    "a100": _gpu(80, 312e12, 2.0e12),
    "h100": _gpu(80, 989e12, 3.35e12),
    "h200": _gpu(141, 989e12, 4.8e12),
}
DOWNLOAD = 0.1 * GB  # bytes a second: assumed
RULES = 2.0  # seconds of a step without a model, and to open any step: measured, mini_camel
DIALOGUES = 0.002  # seconds for one of the rule-based teacher: measured, mini_camel 01


def machine_for(base: Base | None, name: str = "") -> str:
    """The machine that is meant: the one named, else cpu for a base below half a billion."""
    return name or ("cpu" if base is None or base.parameters < 0.5 * GB else "h100")


def training_flops(base: Base, lora: int, again: float) -> float:
    """Arithmetic for one trained token: forward and the gradients of activations, and LoRA's own.

    A frozen weight needs no gradient of its own: 4 operations a weight and not 6; `again` is the
    share of layers whose forward pass is computed twice. The attention over the context is left out
    (4 % of 70B at 4,096 tokens).
    """
    frozen = base.linear_weights + base.head
    return (4 + 2 * again) * frozen + (6 + 2 * again) * lora


def seconds(base: Base, lora: int, again: float, work: Work, machine: Machine) -> float:
    """The time of a step's work once its model is loaded."""
    trained = work.trained_tokens * training_flops(base, lora, again)
    read = work.read_tokens * 2 * (base.linear_weights + lora)
    unpacked = base.linear_weights / machine.weights_per_second  # NF4, anew in every pass
    passes = work.passes * (2 + again)
    step = base.layers * machine.layer_seconds + unpacked
    return (trained + read) / machine.flops + passes * unpacked + work.decode_steps * step
