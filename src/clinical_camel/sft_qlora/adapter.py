"""Save the trained adapter with a record of its base, verify it, then delete the checkpoints."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import PreTrainedTokenizerBase

from clinical_camel import models
from clinical_camel.core.files import write_json
from clinical_camel.models import gate
from clinical_camel.sft_qlora import guards


def save_adapter(
    model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, base: str
) -> pd.DataFrame:
    """Save adapter (safetensors), tokenizer and chat template; delete the checkpoints next to them.

    Returns the sizes: part, parameters, share_of_base. `base` is recorded as the base model's name
    in place of a local path; base_model.json also has the hashes of base, tokenizer and template
    (`models.adapter_base` reads it). Raises TrainingError, and deletes nothing, if the file differs
    from the trained adapter; ModelError if `models.load` would refuse the folder.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
        config.target_modules = sorted(config.target_modules)  # a set has another order each run
    # Embeddings are not trained; without this, PEFT would query the hub to find that out.
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty card template
    guards.require_saved(model, folder / "adapter_model.safetensors")
    tokenizer.save_pretrained(folder)
    place = Path(model.get_base_model().config._name_or_path)
    identity = models.identify_weights(place) | models.identify_tokenizer(tokenizer)
    write_json(folder / gate.BASE_RECORD, {"model": base} | identity)
    models.require_adapter_folder(folder, folder.name)
    for checkpoints in folder.parent.glob("checkpoints-*"):
        shutil.rmtree(checkpoints)
    trainable, total = model.get_nb_trainable_parameters()
    sizes = {"adapter": trainable, "base": total - trainable}
    return pd.DataFrame(
        {"part": part, "parameters": count, "share_of_base": count / sizes["base"]}
        for part, count in sizes.items()
    )
