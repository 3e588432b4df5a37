"""Save the trained adapter with a record of its base, verify it, then delete the checkpoints."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import PreTrainedTokenizerBase

from clinical_camel import models
from clinical_camel.models import adapters

QUANTIZED = "quantised layers of the base"


def save_adapter(
    model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, base: str
) -> pd.DataFrame:
    """Save adapter (safetensors), tokenizer and chat template; delete the checkpoints next to them.

    Returns the sizes (`tabulate_sizes`). `base`: the name of the base, as `adapters.save_adapter`
    records it. Raises TrainingError, and deletes nothing, if the file differs from the trained
    adapter; ModelError if `models.load` would refuse the folder.
    """
    adapters.save_adapter(model, tokenizer, folder, base)
    models.require_no_problem(models.check_adapter_folder(folder), folder.name)
    for checkpoints in folder.parent.glob("checkpoints-*"):
        shutil.rmtree(checkpoints)
    return tabulate_sizes(model)


def tabulate_sizes(model: Any) -> pd.DataFrame:
    """Return the sizes of the adapter, of its base, and of the base's quantised layers, if any.

    Columns: part, parameters, share_of_base, bytes (as loaded), bytes_in_16_bits.
    """
    rows = []
    for parameter in model.parameters():
        part = "adapter" if parameter.requires_grad else "base"
        rows.append((part, *_measure(parameter)))
        if part == "base" and not parameter.is_floating_point():
            rows.append((QUANTIZED, *_measure(parameter)))
    table = pd.DataFrame(rows, columns=["part", "parameters", "bytes"])
    table = table.groupby("part", sort=False).sum().reindex(["adapter", "base", QUANTIZED]).dropna()
    table = table.astype(int).reset_index()
    base = table.loc[table["part"].eq("base"), "parameters"].item()
    table.insert(2, "share_of_base", table["parameters"] / base)
    return table.assign(bytes_in_16_bits=2 * table["parameters"])


def _measure(parameter: torch.nn.Parameter) -> tuple[int, int]:
    """Return the number of weights, and their bytes with the scaling constants of bitsandbytes."""
    state = getattr(parameter, "quant_state", None)  # of 4-bit weights, two in a byte
    weights = state.shape.numel() if state else parameter.numel()
    constants = [*state.as_dict().values()] if state else [getattr(parameter, "SCB", None)]
    tensors = [parameter, *(c for c in constants if isinstance(c, torch.Tensor))]
    return weights, sum(tensor.nbytes for tensor in tensors)
