"""The recipe of a small training, for tests and for the drill."""

from typing import Any

from clinical_camel.sft_qlora.settings import Recipe


def toy_recipe(**changes: Any) -> Recipe:
    """Return the recipe of a training of a few rows on a CPU, with these changes."""
    settings = {
        "max_length": 256,
        "lora_rank": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.1,
        "learning_rate": 1e-3,
        "warmup_steps": 0.1,
        "num_epochs": 2.0,
        "batch_size": 2,
        "save_steps": 4,
    }
    return Recipe(**settings | changes)
