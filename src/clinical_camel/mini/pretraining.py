"""Pretrain a small base model: every token of its phases once, with AdamW.

A long pretraining is saved to a file every SAVE_SECONDS. A run that was killed resumes there and
ends with the same weights as one that was not.
"""

import io
import math
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from clinical_camel import models
from clinical_camel.core.files import write_bytes
from clinical_camel.mini import primer
from clinical_camel.mini.sizes import LESSONS, SEED, VOCABULARY, Size

SAVE_SECONDS = 300


def make_model(tokenizer: PreTrainedTokenizerFast, size: Size) -> LlamaForCausalLM:
    """Return a model of this size with random weights, always the same ones."""
    torch.manual_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **size.architecture,
        )
    )


def build_batches(tokenizer: PreTrainedTokenizerFast, phase: dict) -> list[list[list[int]]]:
    """Return the token ids of every optimizer step of a phase, in the order of its stages."""
    contexts = {
        "lessons": primer.iter_lessons(tokenizer, LESSONS, SEED),
        "primer": primer.iter_primer(tokenizer, seed=SEED, **phase["primer"]),
    }
    steps = []
    for name, (length, size) in phase["stages"].items():
        rows = list(pack_contexts(tokenizer, contexts[name], length))
        random.Random(SEED).shuffle(rows)
        steps += [rows[end - size : end] for end in range(size, len(rows) + 1, size)]
    return steps


def pack_contexts(
    tokenizer: PreTrainedTokenizerFast, contexts: Iterable[list[str]], length: int
) -> Iterator[list[int]]:
    """Yield blocks of complete contexts, each of at most `length` tokens."""
    block: list[int] = []
    for context in contexts:
        ids = [i for text in context for i in models.tokenize_text(tokenizer, text)][:length]
        if len(block) + len(ids) > length:
            yield block
            block = []
        block += ids
    yield block


class Checkpoint:
    """Saves a pretraining to a file and resumes it; `inputs` identifies what is trained.

    `record` counts so far: tokens, and the loss of each step by phase, in nats per token.
    """

    def __init__(self, model: LlamaForCausalLM, file: Path | None, inputs: dict[str, Any]) -> None:
        self.model, self.file, self.inputs = model, file, inputs
        self.record: dict[str, Any] = {"tokens": 0, "losses": {}}
        self.optimizer_state: dict[str, Any] | None = None  # of the phase that was interrupted
        self.saved = time.monotonic()
        if file and file.is_file():
            self._load(file)

    def _load(self, file: Path) -> None:
        try:
            state = torch.load(io.BytesIO(file.read_bytes()), weights_only=True)
            if state["inputs"] != self.inputs:
                print(f"{file.name}: of another recipe or version, not used")
                return
            self.model.load_state_dict(state["model"])
        except (RuntimeError, ValueError, EOFError, LookupError, UnpicklingError) as error:
            print(f"{file.name}: damaged ({type(error).__name__}), not used")
            return
        self.record, self.optimizer_state = state["record"], state["optimizer"]

    def save_if_due(self, optimizer: torch.optim.Optimizer) -> None:
        """Save after a step, if the last time is SAVE_SECONDS ago."""
        if self.file and time.monotonic() - self.saved >= SAVE_SECONDS:
            self.save(optimizer)

    def save(self, optimizer: torch.optim.Optimizer) -> None:
        """Write model, optimizer and counts, completely or not at all."""
        content = io.BytesIO()
        state = {"inputs": self.inputs, "record": self.record, "model": self.model.state_dict()}
        torch.save(state | {"optimizer": optimizer.state_dict()}, content)
        write_bytes(self.file, content.getvalue())
        self.saved = time.monotonic()


def pretrain(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    size: Size,
    file: Path | None = None,
    inputs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train on every token of each phase once; return the record of `Checkpoint`.

    With a `file`, a pretraining of the same `inputs` resumes from it and is saved to it.
    """
    model.train()
    checkpoint = Checkpoint(model, file, inputs or {})
    losses = checkpoint.record["losses"]
    for name in size.phases:
        if name in losses and name != list(losses)[-1]:
            continue  # complete before the last save
        losses.setdefault(name, [])
        _train_phase(model, tokenizer, size, name, checkpoint)
    return checkpoint.record


def _train_phase(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    size: Size,
    name: str,
    checkpoint: Checkpoint,
) -> None:
    """Train on the batches of a phase that `checkpoint` does not have yet."""
    phase, record = size.phases[name], checkpoint.record
    losses = record["losses"][name]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.95), weight_decay=0.1)
    if losses and checkpoint.optimizer_state:
        optimizer.load_state_dict(checkpoint.optimizer_state)
    print(f"{size.name}, {name}: writing the texts, which takes a few minutes", flush=True)
    steps = build_batches(tokenizer, phase)
    bar = tqdm(total=len(steps), initial=len(losses), desc=f"{size.name}, {name}", unit="step")
    with bar:
        for step, batch in list(enumerate(steps))[len(losses) :]:
            for group in optimizer.param_groups:
                group["lr"] = compute_learning_rate(step, len(steps), phase)
            losses.append(_train_step(model, optimizer, batch, tokenizer.pad_token_id))
            record["tokens"] += sum(map(len, batch))
            checkpoint.save_if_due(optimizer)
            bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
            bar.update()


def _train_step(
    model: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    batch: list[list[int]],
    pad: int,
) -> float:
    """Take one step; return the mean loss of the batch in nats per token."""
    width = max(map(len, batch))
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in batch])
    labels = ids.masked_fill(ids == pad, models.IGNORE_INDEX)
    loss = model(input_ids=ids, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def compute_learning_rate(step: int, steps: int, phase: dict) -> float:
    """Return the learning rate of a step: linear warm-up, plateau, then cosine decay."""
    if step < phase["warmup"]:
        return phase["peak_rate"] * (step + 1) / phase["warmup"]
    share = max(0.0, (step / steps - phase["hold"]) / (1 - phase["hold"]))
    fall = phase["peak_rate"] - phase["last_rate"]
    return phase["last_rate"] + fall * (1 + math.cos(math.pi * share)) / 2
