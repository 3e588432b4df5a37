"""Small trainings for tests and for the drill: recipe, architectures, damaged files."""

from pathlib import Path
from typing import Any

import torch
from transformers import BloomConfig, LlamaConfig, MistralConfig, Qwen3Config

from clinical_camel import models, sft_qlora
from clinical_camel.sft_qlora.settings import Recipe

SMALL = {"vocab_size": 2048, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
GATED = SMALL | {"intermediate_size": 96, "num_key_value_heads": 2, "initializer_range": 0.1}
BASES = {
    "llama": LlamaConfig(**GATED),
    "mistral": MistralConfig(**GATED, sliding_window=4096),
    "qwen3": Qwen3Config(**GATED, head_dim=16),
    "bloom": BloomConfig(vocab_size=2048, n_layer=3, n_head=4, initializer_range=0.1),
}


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


def train(tokenized, recipe: Recipe, folder: Path, quantize: str = "nf4"):
    """Train an adapter on the shipped base; return the tuned model and its log."""
    base, tokenizer = models.load_base("mini", quantize), models.load_tokenizer("mini")
    torch.manual_seed(0)
    return sft_qlora.train(base, tokenizer, tokenized, recipe, folder=folder)


def flip(file: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "missing": Path.unlink,
    "truncated": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "zeroed": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "bit flipped": flip,
}
