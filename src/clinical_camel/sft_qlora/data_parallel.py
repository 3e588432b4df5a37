"""One training in several processes, started by `accelerate launch` or `torchrun`.

Every process runs the same step and takes its own rows of each batch:

    data    every GPU holds the whole base; the gradients of the adapter are averaged
    fsdp    every GPU holds a part of the base: only for one that does not fit, since it is slower

A step trains on batch_size x gradient_accumulation_steps x processes rows, and its loss is the mean
over the trained tokens of all of them: two processes take the steps of one with twice the
batch_size. Where the rows do not divide, the last step of an epoch takes some a second time. The
validation loss is the trainer's mean over batches, and moves with how rows fall into them.

FSDP is version 1: version 2 leaves uint8 weights whole, and of NF4 kept in another type it changes
bits (bitsandbytes 1945) or loses the scales (axolotl 2992).
"""

import functools
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import get_peft_model
from safetensors.torch import load_file, save_file
from torch.distributed import broadcast_object_list
from torch.distributed.fsdp import FullyShardedDataParallel
from transformers import AutoModelForCausalLM

from clinical_camel import models

PARALLEL = ("data", "fsdp")
PART = "part_{}.safetensors"
PLAIN = ("adamw_torch", "adamw_torch_fused", "sgd")  # whose states are cut with the matrices


@dataclass(frozen=True, slots=True)
class Setup:
    """What decides whether a training can be shared, from params, machine and launcher."""

    parallel: str = "data"
    quantize: str = "nf4"
    storage: str = ""  # in which type a loaded NF4 base keeps its bits, if there is one already
    dtype: str = "float32"
    optimizer: str = "adamw_torch"
    validation_fraction: float = 0.0
    parts: int = 1  # devices over which device_map spread the base
    gpus: int = 0  # in view of this process
    environment: Mapping[str, str] = field(default_factory=dict)


def refuse_parallel(
    parallel: str, optimizer: str, validation_fraction: float, **facts: Any
) -> None:
    """Raises ValueError for a training that would fail late, or be another one in silence.

    `facts` are of the base, see `Setup`: what is asked for before it is read, or what it is.
    """
    setup = Setup(
        parallel=parallel,
        dtype=str(models.compute_dtype()).removeprefix("torch."),
        optimizer=optimizer,
        validation_fraction=validation_fraction,
        gpus=torch.cuda.device_count(),
        environment=os.environ,
        **facts,
    )
    if reasons := list(refusals(setup)):
        raise ValueError("; ".join(reasons))


def refusals(setup: Setup) -> Iterator[str]:
    """Why this training is not done, each reason with what to do instead."""
    given, fsdp = setup.environment, setup.parallel == "fsdp"
    here = int(given.get("LOCAL_WORLD_SIZE", 1))

    def on(name: str) -> bool:
        return given.get(f"ACCELERATE_{name}", "").lower() == "true"

    asked = given.get("ACCELERATE_MIXED_PRECISION", "no")
    own = {"bfloat16": "bf16", "float16": "fp16"}.get(setup.dtype, "no")
    table = [
        (
            setup.parallel not in PARALLEL,
            f"parallel: {setup.parallel!r} is not one of {', '.join(PARALLEL)}",
        ),
        (
            setup.gpus > 1 and "LOCAL_RANK" not in given,
            "one process sees several GPUs, and the trainer would split each batch over them "
            "(DataParallel): set CUDA_VISIBLE_DEVICES=0, or start it with accelerate launch",
        ),
        (
            0 < setup.gpus < here,
            f"{here} processes on {setup.gpus} GPU: start as many as there are GPUs",
        ),
        (
            setup.parts > 1,
            "device_map spread the base over several devices: no gradient would be averaged "
            "between processes; load it with load_base",
        ),
        (
            on("USE_DEEPSPEED"),
            "the launcher was asked for DeepSpeed: ZeRO-3 cuts NF4 weights without their scales, "
            "and adapters of a few KB were saved; take it out, and set parallel: fsdp",
        ),
        (
            on("USE_FSDP"),
            "the launcher was asked for FSDP, and would cast NF4 bits as if they were numbers; "
            "take it out, and set parallel: fsdp",
        ),
        (
            on("USE_MEGATRON_LM"),
            "the launcher was asked for Megatron, which has no NF4; take it out",
        ),
        (
            on("USE_PARALLELISM_CONFIG"),
            "the launcher was asked to cut rows or layers over GPUs, which drops the mask that "
            "keeps packed dialogues apart; take it out",
        ),
        (
            asked not in ("no", own),
            f"the launcher was asked for mixed precision {asked}, and the base computes in "
            f"{setup.dtype}; leave --mixed_precision out",
        ),
        (
            given.get("ACCELERATE_DYNAMO_BACKEND", "NO").upper() != "NO",
            "the launcher was asked for torch.compile, never tried with NF4; take it out",
        ),
        (
            fsdp and int(given.get("WORLD_SIZE", 1)) < 2,
            "parallel: fsdp in one process: there is nothing to share; set parallel: data, or "
            "start more with accelerate launch",
        ),
        (fsdp and not setup.gpus, "parallel: fsdp is for GPUs; on CPUs set parallel: data"),
        (
            fsdp and setup.quantize == "int8",
            "parallel: fsdp with int8: its weights are cut without their scales; set quantize: nf4",
        ),
        (
            fsdp and setup.storage not in ("", setup.dtype),
            f"parallel: fsdp with NF4 bits kept in {setup.storage}, cast to {setup.dtype} as if "
            "they were numbers; load it with load_base(..., sharded=True)",
        ),
        (
            fsdp and setup.optimizer not in PLAIN,
            f"parallel: fsdp with {setup.optimizer}: its states cannot be cut and saved; set "
            f"optimizer: {', '.join(PLAIN)}",
        ),
        (
            fsdp and setup.validation_fraction > 0,
            "parallel: fsdp with validation_fraction: the best checkpoint would be passed over "
            "where it is read back; set it to 0.0",
        ),
    ]
    yield from (reason for holds, reason in table if holds)


def settings(parallel: str, checkpointed_layers: int) -> dict[str, Any]:
    """What the trainer is told: each layer of the base one shard, each LoRA matrix one of its own.

    PEFT's guide has the same (`use_orig_params: false`, shards saved as they are). Recomputing
    is FSDP's own then: the trainer's would gather each layer a second time.
    """
    if parallel == "data":
        return {
            "activation_checkpointing": False,  # `speedups.recompute` does it, layer by layer
            "ddp_find_unused_parameters": False,  # every adapter takes part in every step
        }
    config = {
        "version": 1,
        "reshard_after_forward": "full_shard",
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "backward_prefetch": "BACKWARD_PRE",
        "use_orig_params": False,
        "sync_module_states": False,  # each process has read the same base
        "state_dict_type": "SHARDED_STATE_DICT",
        "activation_checkpointing": checkpointed_layers != 0,  # of all layers
    }
    return {"fsdp": True, "fsdp_config": config, "activation_checkpointing": False}


def prepare(trainer: Any) -> None:
    """Under FSDP, keeps the frequencies of rotary positions in float32, and warnings apart.

    accelerate casts them with the weights: in bfloat16 0.5623 is 0.5625, which at token 4,000 is
    most of a radian, and no error. The warnings are of names and shards that `fill` puts right.
    """
    if trainer.is_fsdp_enabled:
        warnings.filterwarnings("ignore", module=r"torch\.distributed|accelerate")
        logging.getLogger("torch.distributed.fsdp._state_dict_utils").setLevel(logging.ERROR)
        plugin = trainer.accelerator.state.fsdp_plugin  # asked once more when training begins
        cast = functools.partial(plugin.set_mixed_precision, buffer_autocast=True, override=True)
        plugin.set_mixed_precision = lambda dtype, **_: cast(dtype)
        cast(models.compute_dtype())


def whole(trainer: Any) -> Any:
    """The trained model; after FSDP, which leaves it in parts, the adapter on an empty base."""
    if not trainer.is_fsdp_enabled:
        return trainer.model
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(trainer.model.config)
        model = get_peft_model(base, trainer.model.peft_config["default"])
    matrices = {name: matrix.detach().cpu().clone() for name, matrix in _gathered(trainer.model)}
    model.load_state_dict(matrices, strict=False, assign=True)
    return model


def keep_part(model: Any, optimizer: Any, checkpoint: Path) -> None:
    """Under FSDP, what this process trains, and the optimizer's state of it, for `fill`."""
    if isinstance(model, FullyShardedDataParallel):
        state = optimizer.state_dict()["state"]
        parts = {f"{i}.{name}": value for i in state for name, value in state[i].items()}
        parts |= {f"{i}": part.detach() for i, part in enumerate(_trained(optimizer))}
        save_file(parts, checkpoint / PART.format(rank()))


def fill(model: Any, optimizer: Any, checkpoint: Path) -> None:
    """Under FSDP, what `keep_part` kept, put back.

    The trainer's own shards have other names by then: it passes over them, goes on from a new
    adapter and a new optimizer, and says nothing that stops (accelerate 1.15, FSDP 1).
    """
    if not isinstance(model, FullyShardedDataParallel):
        return
    parts = load_file(checkpoint / PART.format(rank()))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for i, part in enumerate(_trained(optimizer)):
        part.data.copy_(parts.pop(f"{i}"))
    for name, value in parts.items():
        i, _, key = name.partition(".")
        state.setdefault(int(i), {})[key] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def _trained(optimizer: Any) -> list[torch.Tensor]:
    return [part for group in optimizer.param_groups for part in group["params"]]


def _gathered(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Each LoRA matrix, whole for a moment in every process; the base would fit in none."""
    for name, unit in model.named_modules():
        if isinstance(unit, FullyShardedDataParallel) and "lora_" in name:
            with unit.summon_full_params(unit, recurse=False, writeback=False):
                plain = re.sub(r"_(fsdp|checkpoint)_wrapped_module\.", "", name)
                yield f"{plain}.weight", unit.module.weight


def facts(model: Any) -> dict[str, Any]:
    """Of a base that is there: how it is quantised, in which type its bits are kept, in parts?"""
    four, eight = (getattr(model, f"is_loaded_in_{n}bit", False) for n in (4, 8))
    kept = model.config.quantization_config.bnb_4bit_quant_storage if four else ""
    return {
        "quantize": "nf4" if four else "int8" if eight else "",
        "storage": str(kept).removeprefix("torch."),
        "parts": len(set(getattr(model, "hf_device_map", {"": 0}).values())),
    }


def say_batch(batch_size: int, accumulation: int) -> None:
    """A line: how many rows a step trains on."""
    rows = batch_size * accumulation * processes()
    say(
        f"{rows} rows a step: batch_size {batch_size} x gradient_accumulation_steps {accumulation} "
        f"x processes {processes()}"
    )


def say(text: str) -> None:
    """Print in the main process."""
    if rank() == 0:
        print(text, flush=True)


def processes() -> int:
    """How many processes train together."""
    return _state().num_processes


def rank() -> int:
    """Which of them this is; 0 is the main one."""
    return _state().process_index


def from_main(ask: Callable[[], Any]) -> Any:
    """What the main process answers, in every process; the others are not asked."""
    answer = [ask() if rank() == 0 else None]
    if processes() > 1:
        broadcast_object_list(answer, device=_state().device)
    return answer[0]


def wait() -> None:
    """Until every process is here."""
    _state().wait_for_everyone()


def _state() -> PartialState:
    return PartialState(cpu=models.device() == "cpu")
