"""Stop a training that cannot succeed, and reject a result that cannot be used.

The trainer does neither: it replaces a NaN loss by the average of earlier losses, and it returns
normally when it was stopped before its last step.
"""

import math
from collections.abc import Mapping

from transformers import TrainerCallback, TrainerState

from clinical_camel.models.checkpoints import TrainingError


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
