"""The adapter that training leaves: written, read again, and only then are checkpoints removed."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import PreTrainedTokenizerBase

from clinical_camel.sft_qlora import guards


def save_adapter(
    model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, base: str
) -> pd.DataFrame:
    """Adapter (safetensors), tokenizer and chat template in `folder`; checkpoints beside it go.

    Returns what was written: part, parameters, share of the base. `base` is recorded as the name
    of the base model, in place of a path of this machine. Raises TrainingError, with the
    checkpoints still there, if the file does not hold what was trained.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
        config.target_modules = sorted(config.target_modules)  # a set: another order each run
    # Embeddings are not trained; asking PEFT to find that out would ask the hub.
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a form to fill in, not a card
    guards.refuse_unwritten(model, folder / "adapter_model.safetensors")
    tokenizer.save_pretrained(folder)
    for old in folder.parent.glob("checkpoints-*"):
        shutil.rmtree(old)
    trainable, total = model.get_nb_trainable_parameters()
    parts = {"adapter": trainable, "base": total - trainable}
    return pd.DataFrame(
        {"part": name, "parameters": n, "share_of_base": n / parts["base"]}
        for name, n in parts.items()
    )
