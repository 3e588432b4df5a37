"""When a training must not go on, or its result must not be used: each with its reason.

The trainer itself goes on through all of these: it replaces a loss that is NaN by the average of
those before, and returns normally when it was told to stop half way.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import TrainerCallback, TrainerState


class TrainingError(ValueError):
    """A training that must not go on, or that left nothing to use, with the reason."""


class Watch(TrainerCallback):
    """Raises TrainingError at the first step whose numbers make no sense, before it is saved."""

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if why := nonsense(logs or {}, skips_steps=args.fp16):
            raise TrainingError(
                f"step {state.global_step} of {state.max_steps}: {why}; "
                "stopped, the checkpoints before it are kept"
            )


def nonsense(logs: Mapping[str, float], skips_steps: bool = False) -> str:
    """What is wrong with the numbers of a step, and what to try; "" if nothing is.

    `skips_steps` is for float16, whose loss scale is found by gradients that overflow: such steps
    are skipped by design, and only the loss is looked at.

    >>> nonsense({"loss": 0.0, "grad_norm": 0.0})
    'loss is exactly 0: no token carried loss, or the base was read wrongly; look at the mask'
    """
    for name in ("loss", "eval_loss", "grad_norm"):
        value = logs.get(name, 1.0)
        if not math.isfinite(value) and not (name == "grad_norm" and skips_steps):
            return f"{name} is {value}: lower learning_rate, or look at the rows and the base"
    if logs.get("loss") == 0:
        return (
            "loss is exactly 0: no token carried loss, or the base was read wrongly; "
            "look at the mask"
        )
    return ""


def refuse_unfinished(state: TrainerState) -> None:
    """Raises TrainingError unless every step was taken: an interrupted trainer returns as well."""
    if state.global_step < state.max_steps:
        raise TrainingError(
            f"training ended at step {state.global_step} of {state.max_steps}; "
            "run it again to go on from its newest checkpoint"
        )


def refuse_unlearned(model: Any) -> None:
    """Raises TrainingError for an adapter that changes nothing, or that holds NaN or infinity.

    LoRA starts with every B at zero, so that it adds nothing to the base (Hu et al. 2021, section
    4.1); an adapter whose B are all still zero is that start.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name, parameter in trained.items():
        if not parameter.isfinite().all():
            raise TrainingError(f"{name} holds NaN or infinity after training; lower learning_rate")
    if not any(p.any() for name, p in trained.items() if "lora_B" in name):
        raise TrainingError(
            "the adapter equals its start, all its lora_B are zero: nothing was learned; raise "
            "learning_rate or num_epochs, or look at lora_targets"
        )


def refuse_unwritten(model: Any, file: Path) -> None:
    """Raises TrainingError unless a safetensors file holds every trained parameter, bit by bit.

    A file of 443 bytes without one matrix was once saved without an error and loaded without one
    (tloen/alpaca-lora 526).
    """
    trained = {
        name.replace(".default.", "."): parameter.detach().cpu()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    try:
        with safe_open(file, "pt") as written:
            names = set(written.keys())
            if missing := sorted(trained.keys() - names):
                raise TrainingError(
                    f"{file.name} ({file.stat().st_size} bytes) lacks {len(missing)} of "
                    f"{len(trained)} trained matrices, first {missing[0]}; save it again"
                )
            for name, parameter in trained.items():
                if not parameter.equal(written.get_tensor(name)):
                    raise TrainingError(f"{file.name}: {name} is not what was trained; save again")
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{file.name} cannot be read again ({error}); save it again") from error
