"""Save the trained adapter, verify the file, then delete the checkpoints."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import PreTrainedTokenizerBase

from clinical_camel.sft_qlora import guards


def save_adapter(
    model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, base: str
) -> pd.DataFrame:
    """Save adapter (safetensors), tokenizer and chat template; delete the checkpoints next to them.

    Returns the sizes: part, parameters, share_of_base. `base` is recorded as the base model's name
    in place of a local path. Raises TrainingError, and deletes nothing, if the file differs from
    the trained adapter.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
        config.target_modules = sorted(config.target_modules)  # a set has another order each run
    # Embeddings are not trained; without this, PEFT would query the hub to find that out.
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty card template
    guards.require_saved(model, folder / "adapter_model.safetensors")
    tokenizer.save_pretrained(folder)
    for checkpoints in folder.parent.glob("checkpoints-*"):
        shutil.rmtree(checkpoints)
    trainable, total = model.get_nb_trainable_parameters()
    sizes = {"adapter": trainable, "base": total - trainable}
    return pd.DataFrame(
        {"part": part, "parameters": count, "share_of_base": count / sizes["base"]}
        for part, count in sizes.items()
    )
