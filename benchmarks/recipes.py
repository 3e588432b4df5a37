"""Can every recipe be trained? Some steps of each, on a small random base of its own architecture.

    python benchmarks/recipes.py                               # all studies, a few minutes
    python benchmarks/recipes.py clinical_camel_70b

The params file of step 02 is taken as it is: template, mask, mixture, quantisation, adapter,
optimiser. Changed is only what a laptop cannot hold: the base is random and small, with the layers
of its architecture (grouped heads, ALiBi), the tokenizer is a small one of its family, each source
of the mixture gives some rows of at most 512 tokens, and a step has one batch of two. The rows are
shipped ones in the shape of the source; ShareGPT's come from data/public where that is filled. A
row of recipes.csv says what was trained; run again on a like machine, it is the same.
"""

import argparse
import os
import tempfile
from pathlib import Path
from unittest import mock

import torch
from mini_effect import HERE, NO_STUDY, append
from tests.support.toy_tokenizers import write_tokenizer
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen3Config,
)

from clinical_camel import data, models, runs, sft_qlora
from clinical_camel.data import Dialogue, readers

STEPS, ROWS = 6, 8  # steps, and rows from each source of the mixture
LONGEST = 512  # tokens of a row: toy tokenizers write a word as several
WIDE = {"vocab_size": 640, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
GATED = WIDE | {"intermediate_size": 96}
BASES = {  # how the name of a base begins: its architecture made small, and its tokenizer's family
    "meta-llama/Llama-2-70b": (LlamaConfig(**GATED, num_key_value_heads=2), "llama"),
    "meta-llama/Llama-2": (LlamaConfig(**GATED), "llama"),
    "huggyllama/": (LlamaConfig(**GATED), "llama"),
    "TinyLlama/": (LlamaConfig(**GATED, num_key_value_heads=2), "llama"),
    "meta-llama/Meta-Llama-3": (LlamaConfig(**GATED, num_key_value_heads=2), "llama 3"),
    "Qwen/Qwen3": (Qwen3Config(**GATED, num_key_value_heads=2, head_dim=16), "qwen"),
    "bigscience/bloom": (
        BloomConfig(vocab_size=640, hidden_size=64, n_layer=2, n_head=4),
        "bloom",
    ),
}
SHAREGPT = "sharegpt@data/public/sharegpt_format/dummy_conversation.jsonl"


def studies() -> list[str]:
    """The studies with a step 02 on a base of somebody else's."""
    found = sorted(path.parent.name for path in data.root().glob("params/*/02_sft_qlora.yaml"))
    return [name for name in found if runs.load_params(name, "02_sft_qlora")["model"] != "mini"]


def base_of(model: str) -> tuple[PretrainedConfig, str]:
    """The small architecture and the tokenizer family of a base; LookupError for an unknown one."""
    for start, found in BASES.items():
        if model.startswith(start):
            return found
    raise LookupError(f"{model}: no architecture here is like it; add it to BASES")


def rows_for(spec: str) -> list[Dialogue]:
    """Some rows in the shape of this source, as far as licences allow its own."""
    if spec == "sharegpt" and (data.root() / SHAREGPT.partition("@")[2]).is_file():
        return data.sample(data.load_dialogues(SHAREGPT), ROWS)
    if spec.startswith("medical_meadow"):  # instruction, input, output
        asked = data.sample(data.load_training_questions("mini_exam_train"), ROWS)
        told = {"instruction": "Answer this question truthfully"}
        return [
            readers.read_instruction(
                told | {"id": q.id, "input": q.question, "output": q.options[q.answer]}, spec
            )
            for q in asked
        ]
    return data.sample(data.load_dialogues("mini_chat"), ROWS)


def try_recipe(study: str, folder: Path) -> dict:
    """Trains some steps of a study's step 02; the row of the table."""
    asked = runs.load_params(study, "02_sft_qlora")
    config, family = base_of(asked["model"])
    rows = {spec: rows_for(spec) for spec in asked["mixture"]}
    with mock.patch.dict(os.environ, {"CLINICAL_CAMEL_ROOT": str(folder)}):
        write_tokenizer(family, folder / "base")
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder / "base")
        tokenizer = models.load_tokenizer("base", asked["chat_template"])
        base = models.load_base("base", asked["quantize"], asked["attn_implementation"])
    limit = LONGEST
    encoded = sft_qlora.encode_mixture(tokenizer, rows, asked["loss_on"], limit)
    settings = {name: value for name, value in asked.items() if name not in NO_STUDY}
    settings |= {
        "max_length": limit,
        "batch_size": 2,
        "gradient_accumulation_steps": 1,
        "save_steps": 1000,
        "warmup_steps": 0.2,
    }
    tokens = int(encoded.counts["tokens"].sum())
    packs = -(-tokens // limit) if asked["packing"] else len(encoded.rows)
    settings["num_epochs"] = 2 * STEPS / packs
    model, log = sft_qlora.train(base, tokenizer, encoded, folder=folder, **settings)
    parts = sft_qlora.save_adapter(model, tokenizer, folder / "adapter", asked["model"])
    counts = encoded.counts
    return {
        "study": study,
        "architecture": config.architectures[0] if config.architectures else config.model_type,
        "quantize": asked["quantize"],
        "chat_template": asked["chat_template"],
        "loss_on": asked["loss_on"],
        "sources": len(rows),
        "rows": len(encoded.rows),
        "trained_share": round(counts["trained_tokens"].sum() / counts["tokens"].sum(), 3),
        "adapter_parameters": int(parts.set_index("part").loc["adapter", "parameters"]),
        "steps": len(log),
        "first_loss": round(log["loss"].iloc[0], 4),
        "last_loss": round(log["loss"].iloc[-1], 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", default=studies())
    asked = parser.parse_args().studies
    (HERE / "recipes.csv").unlink(missing_ok=True)
    for study in asked:
        with tempfile.TemporaryDirectory() as folder:
            append("recipes", try_recipe(study, Path(folder)))


if __name__ == "__main__":
    main()
