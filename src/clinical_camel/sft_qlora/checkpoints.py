"""What decides the result of a training of step 02, and when its checkpoints are published.

How a checkpoint is written, checked and found again: `models.checkpoints`.
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_utils import rotate_checkpoints

from clinical_camel import models
from clinical_camel.core.hashing import key_hash
from clinical_camel.core.settings import WITHOUT_EFFECT
from clinical_camel.models.checkpoints import (
    LIMIT,
    Fingerprint,
    check_checkpoint,
    describe_differences,
    find_newest_complete,
    name_folder,
    publish,
    report_unused,
)
from clinical_camel.sft_qlora import data_parallel
from clinical_camel.sft_qlora.settings import Recipe

__all__ = [
    "Publisher",
    "check_checkpoint",
    "describe_differences",
    "find_newest_complete",
    "make_fingerprint",
    "name_folder",
    "publish",
    "report_unused",
]
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "datasets")
EXCLUDED = {"study", "model", "chat_template", "mixture", "loss_on", *WITHOUT_EFFECT}


def make_fingerprint(
    recipe: Recipe,
    rows: Iterable[Mapping[str, Sequence[int]]],
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    code: Sequence[Any],
) -> Fingerprint:
    """Return everything that decides the result of a training, by name.

    The settings, except EXCLUDED: some have no effect, and what the others name is hashed. Hashes
    of rows, tokenizer, base and the source of the modules in `code`; the versions of PACKAGES. The
    kind of GPU is left out: a rented GPU is rarely the same twice.
    """
    base = model.config.to_dict()  # with its quantization
    folder = base.pop("_name_or_path", "")
    identity = models.identify_weights(Path(folder)) if folder else {}  # none: built for a test
    row_hash = hashlib.sha256()
    for row in rows:
        row_hash.update(json.dumps([row["input_ids"], row["labels"]]).encode())
    settings = json.loads(recipe.model_dump_json(exclude=EXCLUDED))
    return {
        **dict(sorted(settings.items())),
        "processes": data_parallel.world_size(),
        "rows": row_hash.hexdigest()[:16],
        "tokenizer": key_hash(tokenizer.get_vocab()),
        "base": key_hash(base),
        **identity,
        "device": models.device(),
        "dtype": str(model.config.dtype),
        "code": key_hash([inspect.getsource(module) for module in code]),
        **{package: version(package) for package in PACKAGES},
    }


class Publisher(TrainerCallback):
    """After each save, in the main process: write the manifest, then delete old checkpoints."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        self.fingerprint = fingerprint

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        if best := state.best_model_checkpoint:  # recorded as a path, but folders are moved
            state.best_model_checkpoint = str(Path(args.output_dir) / Path(best).name)

    def on_save(self, args, state, control, **kwargs) -> None:
        data_parallel.wait()  # every process saves its own random state
        if data_parallel.rank():
            return
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        publish(checkpoint, self.fingerprint, Path(state.best_model_checkpoint or "").name)
        # The trainer's save_total_limit would delete before the manifest is written, and could
        # delete the last complete checkpoint.
        rotate_checkpoints(args.output_dir, LIMIT, state.best_model_checkpoint)
