"""A small training in each process of a launcher, killed and resumed.

torchrun --standalone --nproc_per_node 2 -m tests.support.toy_parallel <folder>
"""

import shutil
import sys
from pathlib import Path

import pandas as pd
from tests.support.project import make_messages
from tests.support.toy_training import toy_recipe, train

from clinical_camel import data, models, sft_qlora
from clinical_camel.sft_qlora import data_parallel


def train_rank(folder: Path, batch_size: int, prompt_weight: float = 0.0) -> pd.DataFrame:
    """Train on 8 rows with the shipped base in NF4; return the log and save the adapter."""
    tokenizer = models.load_tokenizer("mini")
    rows = []
    for i in range(8):  # answers of different lengths
        messages = make_messages(f"Is it {i}?", " ".join(["No."] * (1 + i % 3)))
        rows.append(data.Dialogue(id=str(i), source="toy", messages=messages))
    tokenized = sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "assistant", 256)
    recipe = toy_recipe(
        batch_size=batch_size,
        lora_dropout=0.0,
        optimizer="adamw_torch",
        save_steps=2,
        prompt_weight=prompt_weight,
    )
    model, log = train(tokenized, recipe, folder)
    model.save_pretrained(folder / f"adapter_{data_parallel.rank()}", save_embedding_layers=False)
    return log


def main(folder: Path) -> None:
    """Train, delete the last checkpoint as if killed before it, and train again.

    Then train with a prompt weight.
    """
    for attempt in ("complete", "resumed"):
        log = train_rank(folder, batch_size=2)
        if not data_parallel.rank():
            log.to_csv(folder / f"{attempt}.csv", index=False)
        if not data_parallel.rank() and attempt == "complete":
            shutil.rmtree(next(folder.glob(f"*/checkpoint-{len(log)}")))
        data_parallel.wait()
    log = train_rank(folder / "weighted", batch_size=2, prompt_weight=0.1)
    if not data_parallel.rank():
        log.to_csv(folder / "weighted.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
