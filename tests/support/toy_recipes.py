"""Train a study's recipe for a few steps, on a small random base of its architecture.

The settings of step 02 are used as they are: template, loss mask, mixture, quantization, adapter,
optimizer. Only what a laptop cannot hold is reduced. The base is small and random, with the layers
of its architecture (grouped-query attention, ALiBi). The tokenizer is a small one of its family.
Each source of the mixture gives a few rows of at most 512 tokens, and a step has one batch of two.
The rows are shipped ones in the shape of the source; ShareGPT's come from data/public if they are
there.
"""

import os
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from tests.support.toy_tokenizers import write_tokenizer
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    LlamaConfig,
    Qwen3Config,
)

from clinical_camel import data, models, runs, sft_qlora
from clinical_camel.core.base_models import REGISTERED
from clinical_camel.core.paths import root
from clinical_camel.data import Dialogue, conversations

ROWS = 8  # from each source of the mixture
MAX_LENGTH = 512  # tokens of a row: toy tokenizers split a word into several
SMALL = {"vocab_size": 640, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
GATED = SMALL | {"intermediate_size": 96}
BASES = {  # prefix of a base's name: its architecture made small, and its tokenizer's family
    "meta-llama/Llama-2-70b": (LlamaConfig(**GATED, num_key_value_heads=2), "llama"),
    "meta-llama/Llama-2": (LlamaConfig(**GATED), "llama"),
    "huggyllama/": (LlamaConfig(**GATED), "llama"),
    "HuggingFaceTB/SmolLM2": (LlamaConfig(**GATED, tie_word_embeddings=True), "smollm2"),
    "meta-llama/Meta-Llama-3": (LlamaConfig(**GATED, num_key_value_heads=2), "llama 3"),
    "Qwen/Qwen3": (Qwen3Config(**GATED, num_key_value_heads=2, head_dim=16), "qwen"),
    "bigscience/bloom": (
        BloomConfig(vocab_size=640, hidden_size=64, n_layer=2, n_head=4),
        "bloom",
    ),
}
SHAREGPT = "sharegpt@data/public/sharegpt_format/dummy_conversation.jsonl"


def load_recipe(study: str) -> sft_qlora.Recipe:
    """Return the settings of a study's step 02."""
    return sft_qlora.Recipe(**runs.load_params(study, "02_sft_qlora"))


def list_studies() -> list[str]:
    """Return the studies whose step 02 tunes a base that cannot be had without the hub."""
    studies = sorted(path.parent.name for path in root().glob("params/*/02_sft_qlora.yaml"))
    return [study for study in studies if load_recipe(study).model not in REGISTERED]


def make_rows(spec: str) -> list[Dialogue]:
    """Return some rows in the shape of this source, its own rows if their licence allows it."""
    if spec == "sharegpt" and (root() / SHAREGPT.partition("@")[2]).is_file():
        return data.sample(data.load_dialogues(SHAREGPT), ROWS)
    if spec.startswith("medical_meadow"):  # instruction, input, output
        return [
            conversations.read_instruction(
                {
                    "instruction": "Answer this question truthfully",
                    "id": question.id,
                    "input": question.question,
                    "output": question.options[question.answer],
                },
                spec,
            )
            for question in data.sample(data.load_training_questions("mini_exam_train"), ROWS)
        ]
    return data.sample(data.load_dialogues("mini_chat"), ROWS)


def try_recipe(study: str, folder: Path, steps: int = 6, **changes: Any) -> dict[str, Any]:
    """Train about `steps` steps of a study's recipe, and return a row of the table."""
    recipe = load_recipe(study).model_copy(update=changes)
    config, family = next(BASES[p] for p in BASES if recipe.model.startswith(p))
    rows = {spec: make_rows(spec) for spec in recipe.mixture}
    with mock.patch.dict(os.environ, {"CLINICAL_CAMEL_ROOT": str(folder)}):
        write_tokenizer(family, folder / "base")
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder / "base")
        tokenizer = models.load_tokenizer("base", recipe.chat_template)
        base = models.load_base("base", recipe.quantize, recipe.attn_implementation)
    tokenized = sft_qlora.tokenize_mixture(tokenizer, rows, recipe.loss_on, MAX_LENGTH)
    counts = tokenized.counts.sum(numeric_only=True)
    packed_rows = -(-int(counts["tokens"]) // MAX_LENGTH)
    small = {
        "max_length": MAX_LENGTH,
        "batch_size": 2,
        "gradient_accumulation_steps": 1,
        "save_steps": 1000,
        "warmup_steps": 0.2,
        "num_epochs": 2 * steps / (packed_rows if recipe.packing else len(tokenized.rows)),
    }
    model, log = sft_qlora.train(
        base, tokenizer, tokenized, recipe.model_copy(update=small), folder=folder
    )
    parts = sft_qlora.save_adapter(model, tokenizer, folder / "adapter", recipe.model)
    return {
        "study": study,
        "architecture": config.architectures[0] if config.architectures else config.model_type,
        "quantize": recipe.quantize,
        "chat_template": recipe.chat_template,
        "loss_on": recipe.loss_on,
        "sources": len(rows),
        "rows": len(tokenized.rows),
        "target_share": round(counts["target_tokens"] / counts["tokens"], 3),
        "adapter_parameters": int(parts.set_index("part").loc["adapter", "parameters"]),
        "steps": len(log),
        "first_loss": round(log["loss"].iloc[0], 4),
        "last_loss": round(log["loss"].iloc[-1], 4),
    }
