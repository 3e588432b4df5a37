"""One training in several processes, started by `accelerate launch` or `torchrun`.

Every process has a GPU with the complete base and its own rows of each batch; the gradients of the
adapter are averaged. A step trains on batch_size x gradient_accumulation_steps x processes rows,
and its loss is the mean over the target tokens of all of them: two processes take the same steps
as one with twice the batch_size. If the rows do not divide evenly, the last step of an epoch
repeats some. The validation loss is the trainer's mean over batches, so it depends on how rows are
batched.

A base that fits no single GPU cannot be trained here: the launcher's FSDP and DeepSpeed damage NF4
weights (bitsandbytes 1945, axolotl 2992). `OTHER_TOOLS` names what can train it.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import PartialState
from torch.distributed import broadcast_object_list

from clinical_camel import models

OTHER_TOOLS = (
    "for a base that fits no single GPU use axolotl, torchtune, or DeepSpeed ZeRO-3 with LoRA in "
    "16 bit"
)


@dataclass(frozen=True, slots=True)
class Launch:
    """What decides whether a training can run in these processes."""

    dtype: str = "float32"
    devices: int = 1  # over which device_map spread the base
    gpus: int = 0  # visible to this process
    environment: Mapping[str, str] = field(default_factory=dict)


def require_supported_launch(base: Any = None) -> None:
    """Raise ValueError for a launch that would fail late, or train something else silently.

    A loaded `base` is checked, too.
    """
    launch = Launch(
        dtype=str(base.config.dtype if base else models.choose_dtype()).removeprefix("torch."),
        devices=len(set(getattr(base, "hf_device_map", {"": 0}).values())),
        gpus=torch.cuda.device_count(),
        environment=os.environ,
    )
    if problems := list(check_launch(launch)):
        raise ValueError("; ".join(problems))


def check_launch(launch: Launch) -> Iterator[str]:
    """Yield why this launch cannot train, each reason with its remedy."""
    environment = launch.environment
    processes = int(environment.get("LOCAL_WORLD_SIZE", 1))
    precision = environment.get("ACCELERATE_MIXED_PRECISION", "no")
    base_precision = {"bfloat16": "bf16", "float16": "fp16"}.get(launch.dtype, "no")

    def is_on(name: str) -> bool:
        return environment.get(f"ACCELERATE_{name}", "").lower() == "true"

    if launch.gpus > 1 and "LOCAL_RANK" not in environment:
        yield (
            "one process sees several GPUs, and the trainer would split each batch over them "
            "(DataParallel); set CUDA_VISIBLE_DEVICES=0, or start it with accelerate launch"
        )
    if 0 < launch.gpus < processes:
        yield f"{processes} processes on {launch.gpus} GPU; start as many as there are GPUs"
    if launch.devices > 1:
        yield (
            f"device_map spread the base over {launch.devices} devices, and gradients would not "
            f"be averaged between processes; load it with load_base, and {OTHER_TOOLS}"
        )
    if is_on("USE_DEEPSPEED") or is_on("USE_FSDP"):
        yield (
            "the launcher's DeepSpeed shards NF4 weights without their scales, and its FSDP casts "
            f"their bits to numbers; remove both from its configuration, and {OTHER_TOOLS}"
        )
    if is_on("USE_MEGATRON_LM"):
        yield "the launcher's Megatron has no NF4; remove it from its configuration"
    if is_on("USE_PARALLELISM_CONFIG"):
        yield (
            "the launcher would split rows or layers over GPUs, and drop the mask that separates "
            "packed dialogues; remove this from its configuration"
        )
    if precision not in ("no", base_precision):
        yield (
            f"the launcher sets mixed precision {precision}, but the base computes in "
            f"{launch.dtype}; remove --mixed_precision"
        )
    if environment.get("ACCELERATE_DYNAMO_BACKEND", "NO").upper() != "NO":
        yield "the launcher sets torch.compile, which is untested with NF4; remove it"


def print_batch_size(batch_size: int, accumulation: int) -> None:
    """Print how many rows one step trains on."""
    print_once(
        f"{batch_size * accumulation * world_size()} rows per step: batch_size {batch_size} x "
        f"gradient_accumulation_steps {accumulation} x processes {world_size()}"
    )


def print_once(text: str) -> None:
    """Print in the main process only."""
    if rank() == 0:
        print(text, flush=True)


def world_size() -> int:
    """Return how many processes train together."""
    return _state().num_processes


def rank() -> int:
    """Return the rank of this process; 0 is the main process."""
    return _state().process_index


def run_on_main(function: Callable[[], Any]) -> Any:
    """Call `function` in the main process only, and return its result in every process."""
    result = [function() if rank() == 0 else None]
    if world_size() > 1:
        broadcast_object_list(result, device=_state().device)
    return result[0]


def wait() -> None:
    """Wait until every process is here."""
    _state().wait_for_everyone()


def _state() -> PartialState:
    return PartialState(cpu=models.device() == "cpu")
