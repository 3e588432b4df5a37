"""Stop a training that cannot succeed, and reject a result that cannot be used.

The trainer does neither: it replaces a NaN loss by the average of earlier losses, and it returns
normally when it was stopped before its last step.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import TrainerCallback, TrainerState


class TrainingError(ValueError):
    """A training that must not continue, or whose result cannot be used, with the reason."""


class LossGuard(TrainerCallback):
    """Raises TrainingError at the first step with invalid numbers, before a checkpoint is saved."""

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if problem := check_step(logs or {}, skips_overflow=args.fp16):
            raise TrainingError(
                f"step {state.global_step} of {state.max_steps}: {problem}; "
                "stopped, earlier checkpoints stay on disk"
            )


def check_step(logs: Mapping[str, float], skips_overflow: bool = False) -> str:
    """Return what is wrong with the numbers of a step and what to try; "" if they are valid.

    `skips_overflow` is for float16: its loss scaling skips steps whose gradients overflow, so only
    the loss is checked.
    """
    for name in ("loss", "eval_loss", "grad_norm"):
        value = logs.get(name, 1.0)
        if not math.isfinite(value) and not (name == "grad_norm" and skips_overflow):
            return f"{name} is {value}: lower learning_rate, or check the rows and the base"
    if logs.get("loss") == 0:
        return (
            "loss is exactly 0: no token had loss, or the base was loaded wrongly; "
            "check the loss mask"
        )
    return ""


def require_finished(state: TrainerState) -> None:
    """Raise TrainingError if steps are missing: an interrupted trainer returns normally, too."""
    if state.global_step < state.max_steps:
        raise TrainingError(
            f"training ended at step {state.global_step} of {state.max_steps}; "
            "run it again to resume from its newest checkpoint"
        )


def require_learned(model: Any) -> None:
    """Raise TrainingError if the adapter changes nothing, or contains NaN or infinity.

    LoRA starts with every B at zero, so that it adds nothing to the base (Hu et al. 2021, section
    4.1). If all B are still zero, nothing was learned.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name, parameter in trained.items():
        if not parameter.isfinite().all():
            raise TrainingError(f"{name}: NaN or infinity after training; lower learning_rate")
    if not any(p.any() for name, p in trained.items() if "lora_B" in name):
        raise TrainingError(
            "adapter: all lora_B are still zero, so nothing was learned; raise learning_rate or "
            "num_epochs, or check lora_targets"
        )


def require_saved(model: Any, file: Path) -> None:
    """Raise TrainingError unless a safetensors file has every trained parameter, bit by bit.

    An adapter file of 443 bytes without any matrix was once saved and loaded without an error
    (tloen/alpaca-lora 526).
    """
    trained = {
        name.replace(".default.", "."): parameter.detach().cpu()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    try:
        with safe_open(file, "pt") as saved:
            if missing := sorted(trained.keys() - set(saved.keys())):
                raise TrainingError(
                    f"{file.name} ({file.stat().st_size} bytes) lacks {len(missing)} of "
                    f"{len(trained)} trained matrices, first {missing[0]}; save it again"
                )
            for name, parameter in trained.items():
                if not parameter.equal(saved.get_tensor(name)):
                    raise TrainingError(
                        f"{file.name}: {name} differs from the trained matrix; save it again"
                    )
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{file.name} cannot be read ({error}); save it again") from error
