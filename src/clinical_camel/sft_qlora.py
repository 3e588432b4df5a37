"""Step 02: dialogues and a base model become an adapter, with loss on the assistant's words only.

The rows are tokenised and masked here, once, so that what is shown and counted is exactly what
TRL's SFTTrainer trains on. A dialogue too long for `max_length` loses whole exchanges from its end,
never an end token: an answer cut in the middle teaches a model not to stop.
"""

import hashlib
import itertools
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from datasets import Dataset
from matplotlib.figure import Figure
from peft import LoraConfig
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from clinical_camel import data, models
from clinical_camel.data import Article, Dialogue

LOSS_ON = ("assistant", "all")
LR_SCHEDULERS = ("cosine", "linear", "constant", "constant_with_warmup")
OPTIMIZERS = (
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_bnb_8bit",
    "adafactor",
    "sgd",
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows ready for training, and for each source what became of its rows."""

    rows: list[dict[str, list[int]]]
    counts: pd.DataFrame


def encode_mixture(
    tokenizer: PreTrainedTokenizerBase,
    mixture: Mapping[str, Sequence[Dialogue | Article]],
    loss_on: str,
    max_length: int,
) -> Encoded:
    """`input_ids` and `labels` of every row of every source, in order, at most `max_length` long.

    `counts`: source, rows, shortened (lost exchanges from its end), dropped (first exchange does
    not fit), tokens, trained_tokens, trained_share. Articles are plain text, every token trained,
    cut into windows. Raises ValueError for an unknown `loss_on`, for text that the tokenizer does
    not know, or when nothing is left.
    """
    if loss_on not in LOSS_ON:
        raise ValueError(f"loss_on: {loss_on!r} is not one of {', '.join(LOSS_ON)}")
    rows, counts = [], []
    for source, items in mixture.items():
        encoded, shortened, dropped = [], 0, 0
        _refuse_unknown(tokenizer, source, items)
        for item in items:
            if isinstance(item, Article):
                encoded += encode_windows(tokenizer, item, max_length)
                continue
            row, lost = encode_within(tokenizer, item, loss_on, max_length)
            shortened += bool(row) and lost > 0
            dropped += not row
            encoded += [row] if row else []
        tokens = sum(len(row["input_ids"]) for row in encoded)
        trained = sum(trained_tokens(row) for row in encoded)
        counts.append(
            {
                "source": source,
                "rows": len(items),
                "shortened": shortened,
                "dropped": dropped,
                "tokens": tokens,
                "trained_tokens": trained,
                "trained_share": trained / tokens if tokens else 0.0,
            }
        )
        rows += encoded
    if not rows:
        raise ValueError(f"mixture: no row fits max_length {max_length}; nothing to train on")
    return Encoded(rows, pd.DataFrame(counts))


def _refuse_unknown(
    tokenizer: PreTrainedTokenizerBase, source: str, items: Sequence[Dialogue | Article]
) -> None:
    """A word without a token becomes the unknown token, and a model learns to write that."""
    unknown = {item.id: words for item in items if (words := unknown_words(tokenizer, _text(item)))}
    for name, words in itertools.islice(unknown.items(), 1):
        raise ValueError(
            f"mixture: {source}: the tokenizer does not know a word of {len(unknown)} of "
            f"{len(items)} rows, first of {name}: {', '.join(words[:5])}; take those rows out, or "
            "choose a base whose tokenizer has bytes to fall back on"
        )


def unknown_words(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """The words of a text that the tokenizer can only write as its unknown token."""
    unknown = tokenizer.unk_token_id
    if unknown in (None, tokenizer.eos_token_id, tokenizer.bos_token_id):  # GPT-2: no text is
        return []
    if unknown not in tokenizer.encode(text, add_special_tokens=False):
        return []
    words = [word for word in text.split() if tokenizer.unk_token not in word]
    return [w for w in words if unknown in tokenizer.encode(w, add_special_tokens=False)]


def _text(item: Dialogue | Article) -> str:
    if isinstance(item, Article):
        return data.article_text(item)
    return "\n".join(message["content"] for message in item.messages)


def encode_within(
    tokenizer: PreTrainedTokenizerBase, dialogue: Dialogue, loss_on: str, max_length: int
) -> tuple[dict[str, list[int]], int]:
    """One dialogue without the exchanges that do not fit, and how many those are."""
    messages, lost = list(dialogue.messages), 0
    while len(messages) >= 2:
        row = models.encode_dialogue(tokenizer, messages, loss_on)
        if len(row["input_ids"]) <= max_length:
            return row, lost
        messages, lost = messages[:-2], lost + 1
    return {}, lost


def encode_windows(
    tokenizer: PreTrainedTokenizerBase, article: Article, max_length: int
) -> list[dict[str, list[int]]]:
    """An article as plain text in windows of at most `max_length` tokens."""
    row = models.encode_text(tokenizer, data.article_text(article))
    starts = range(0, len(row["input_ids"]), max_length)
    return [{key: ids[i : i + max_length] for key, ids in row.items()} for i in starts]


def trained_tokens(row: Mapping[str, Sequence[int]]) -> int:
    """How many tokens of a row carry loss. The first has nothing before it to be predicted from."""
    return sum(label != models.IGNORE for label in row["labels"][1:])


def trained_turns(row: Mapping[str, Sequence[int]]) -> int:
    """How many separate stretches of a row carry loss: the assistant turns of a dialogue.

    >>> trained_turns({"labels": [-100, 5, 6, -100, 7]})
    2
    """
    kept = [label != models.IGNORE for label in row["labels"]]
    return sum(now and not before for before, now in zip([False, *kept], kept, strict=False))


def show_mask(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Sequence[int]]) -> str:
    """A row as text, [[what carries loss]] in brackets and, where the screen can, in colour."""
    marked = zip(row["input_ids"], (label != models.IGNORE for label in row["labels"]), strict=True)
    shown = []
    for trained, piece in itertools.groupby(marked, key=lambda pair: pair[1]):
        text = tokenizer.decode([token for token, _ in piece])
        shown.append(f"\x1b[1;34m[[{text}]]\x1b[0m" if trained else text)
    return "".join(shown)


def train(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    encoded: Encoded,
    *,
    folder: Path,
    max_length: int,
    packing: bool,
    lora_rank: int,
    lora_alpha: int,
    lora_dropout: float,
    lora_targets: Sequence[str],
    learning_rate: float,
    lr_scheduler: str,
    warmup_ratio: float,
    weight_decay: float,
    max_grad_norm: float,
    num_epochs: float,
    batch_size: int,
    gradient_accumulation_steps: int,
    optimizer: str,
    gradient_checkpointing: bool,
    validation_fraction: float,
    save_steps: int,
    seed: int,
) -> tuple[Any, pd.DataFrame]:
    """Trains a LoRA adapter on a (quantised) base with TRL; returns the model and its log.

    Checkpoints go to `folder`, under a name made from everything that decides the result, so that a
    killed run goes on where it stopped and never mixes two recipes. The log has one row a step:
    step, fraction, loss (mean over the batch's trained tokens), learning_rate, grad_norm, tokens,
    validation_loss. The adapter is kept in float32: in bfloat16, SFTTrainer's default for a
    quantised base, a resumed run is another run.
    """
    settings = {k: v for k, v in locals().items() if k not in ("model", "encoded", "folder")}
    settings["tokenizer"] = tokenizer.get_vocab()
    base = model.config.to_dict()  # its quantisation too
    settings["base"] = {name: base[name] for name in sorted(base) if name != "_name_or_path"}
    checkpoints = folder / f"checkpoints-{_key(settings, encoded.rows)}"
    data = Dataset.from_list(encoded.rows)
    parts = {"train": data, "test": None}
    if validation_fraction > 0:
        parts = data.train_test_split(test_size=validation_fraction, seed=seed)
    dtype = models.compute_dtype()
    config = SFTConfig(
        output_dir=str(checkpoints),
        max_length=max_length,
        packing=packing,
        packing_strategy="bfd",  # whole documents; `wrapped` lets documents see each other
        eval_packing=False,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=batch_size,
        gradient_accumulation_steps=gradient_accumulation_steps,
        num_train_epochs=num_epochs,
        learning_rate=learning_rate,
        lr_scheduler_type=lr_scheduler,
        warmup_steps=warmup_ratio,  # below 1 it is a share of all steps
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
        optim=optimizer,
        activation_checkpointing=gradient_checkpointing,
        bf16=str(dtype) == "torch.bfloat16",
        fp16=str(dtype) == "torch.float16",
        use_cpu=models.device() == "cpu",
        dataloader_pin_memory=models.device() != "cpu",
        eval_strategy="steps" if parts["test"] is not None else "no",
        eval_steps=save_steps,
        save_steps=save_steps,
        save_total_limit=2,
        load_best_model_at_end=parts["test"] is not None,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=parts["train"],
        eval_dataset=parts["test"],
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=lora_rank,
            lora_alpha=lora_alpha,
            lora_dropout=lora_dropout,
            target_modules="all-linear"
            if list(lora_targets) == ["all-linear"]
            else list(lora_targets),
            task_type="CAUSAL_LM",
        ),
        callbacks=[Progress()],
    )
    trainer.remove_callback(PrinterCallback)
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    trainer.train(resume_from_checkpoint=newest_checkpoint(checkpoints))
    return trainer.model, training_log(trainer.state.log_history)


def _key(settings: Mapping[str, Any], rows: Sequence[Mapping[str, Sequence[int]]]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for row in rows:
        digest.update(json.dumps([row["input_ids"], row["labels"]]).encode())
    return digest.hexdigest()[:12]


def newest_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint; one without its trainer state was cut short: passed over."""
    whole = [
        path
        for path in folder.glob("checkpoint-*")
        if (path / "trainer_state.json").is_file() and (path / "optimizer.pt").is_file()
    ]
    newest = max(whole, key=lambda path: int(path.name.split("-")[1]), default=None)
    return str(newest) if newest else None


class Progress(TrainerCallback):
    """A line of text every tenth of the run: step, loss, time left."""

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.start, self.first = time.monotonic(), state.global_step

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if "loss" not in (logs or {}) or state.global_step % max(1, state.max_steps // 10):
            return
        spent = time.monotonic() - self.start
        left = (
            spent / max(1, state.global_step - self.first) * (state.max_steps - state.global_step)
        )
        print(
            f"step {state.global_step:>5} of {state.max_steps}   loss {logs['loss']:.4f}   "
            f"{left:.0f} s left",
            flush=True,
        )


def training_log(history: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """The trainer's history as one row a step: what `train` describes."""
    steps = [entry for entry in history if "loss" in entry]
    validation = {e["step"]: e["eval_loss"] for e in history if "eval_loss" in e}
    last, offset, previous = steps[-1]["step"], 0.0, 0.0
    rows = []
    for entry in steps:
        tokens = entry.get("num_tokens", 0.0)
        if tokens < previous:  # the trainer's count starts again when it resumes
            offset += previous
        previous = tokens
        rows.append(
            {
                "step": int(entry["step"]),
                "fraction": entry["step"] / last,
                "loss": entry["loss"],
                "learning_rate": entry["learning_rate"],
                "grad_norm": entry["grad_norm"],
                "tokens": int(tokens + offset),
                "validation_loss": validation.get(entry["step"], float("nan")),
            }
        )
    return pd.DataFrame(rows)


def save_adapter(
    model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, base: str
) -> pd.DataFrame:
    """Adapter (safetensors), tokenizer and chat template in `folder`; checkpoints beside it go.

    Returns what was written: part, parameters, share of the base. `base` is recorded as the name
    of the base model, in place of a path of this machine.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
        config.target_modules = sorted(config.target_modules)  # a set: another order each run
    # Embeddings are not trained; asking PEFT to find that out would ask the hub.
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a form to fill in, not a card
    tokenizer.save_pretrained(folder)
    for old in folder.parent.glob("checkpoints-*"):
        shutil.rmtree(old)
    trainable, total = model.get_nb_trainable_parameters()
    parts = {"adapter": trainable, "base": total - trainable}
    return pd.DataFrame(
        {"part": name, "parameters": n, "share_of_base": n / parts["base"]}
        for name, n in parts.items()
    )


def plot_loss(log: pd.DataFrame) -> Figure:
    """Loss and its running mean over a twentieth of the run, against the step."""
    figure, axes = plt.subplots(figsize=(7, 3))
    window = max(1, len(log) // 20)
    axes.plot(log["step"], log["loss"], alpha=0.3, label="each step")
    axes.plot(log["step"], log["loss"].rolling(window, min_periods=1).mean(), label="running mean")
    checked = log.dropna(subset=["validation_loss"])
    if len(checked):
        axes.plot(checked["step"], checked["validation_loss"], "o-", label="validation")
    axes.set(xlabel="step", ylabel="loss, nats per trained token", ylim=(0, None))
    axes.legend()
    return figure
