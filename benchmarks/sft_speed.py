"""How fast is a training step, beside other trainers on the same weights and the same tokens?

    python benchmarks/sft_speed.py                                  # on two cores, about 20 minutes
    python benchmarks/sft_speed.py --vocabularies 1024 --rounds 1
    python benchmarks/sft_speed.py --size 13b --subjects "TRL, defaults" "ours, packed"   # on a GPU

A random Llama in NF4 (4 layers, 256 wide, float32), LoRA on all linear layers, dialogues half of
whose tokens carry loss. Every subject trains in a process of its own, in turn, round after round;
the first steps are not counted. Time on a CPU is processor time. Tokens are real ones: padding
counts for nothing.

No parity, no speed: on the same four dialogues each subject must give the loss (relative 1e-5 in
float32, 1e-3 in bfloat16) and the direction of the adapter's gradients (cosine 0.999 or more) of
HF's Trainer with PEFT. `hfu` is the arithmetic of the step (as in `planning.speed`, recomputed
layers counted, the head for every token) over what this machine multiplies in the same time.

Unsloth is a subject where it is installed (it wants a GPU, and weights in a folder).

On a GPU: --size 7b, 13b or 70b, its weights made there layer by layer, bfloat16; rows of
--max-length, --checkpointed-layers for memory. Rows go to sft_speed_gpu.csv.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if "--subjects=Unsloth" in sys.argv:  # it wants to be there before what it patches
    importlib.import_module("unsloth")

import pandas as pd
import torch
from datasets import Dataset
from eval_speed import random_weights
from peft import LoraConfig, get_peft_model
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
)
from transformers import Trainer as HFTrainer
from transformers.integrations.bitsandbytes import dequantize_and_replace
from trl import SFTConfig, SFTTrainer

from clinical_camel import models
from clinical_camel.estimate.shapes import SHAPES
from clinical_camel.sft_qlora import speedups

SMALL = {
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
}
LENGTH, PACKED = {"train_sampling_strategy": "group_by_length"}, {"packing": True}
HEAD, TAIL, CAUSAL, FUSED = speedups.SPEEDUPS
REFERENCE, BEST = "HF Trainer and PEFT", ("TRL, float32", "TRL, by length", "TRL, packed")
SUBJECTS: dict[str, tuple[type, dict[str, Any], tuple[str, ...]]] = {
    REFERENCE: (HFTrainer, {}, ()),
    "TRL, defaults": (SFTTrainer, {"bf16": True, "activation_checkpointing": True}, ()),
    "TRL, float32": (SFTTrainer, {}, ()),
    "TRL, by length": (SFTTrainer, LENGTH, ()),
    "TRL, packed": (SFTTrainer, PACKED, ()),
    "ours, head": (speedups.Trainer, LENGTH, (HEAD,)),
    "ours, head and tail": (speedups.Trainer, LENGTH, (HEAD, TAIL)),
    "ours, head, tail and mask": (speedups.Trainer, LENGTH, (HEAD, TAIL, CAUSAL)),
    "ours": (speedups.Trainer, LENGTH, speedups.SPEEDUPS),
    "ours, unpacked base": (speedups.Trainer, LENGTH, speedups.SPEEDUPS),
    "ours, eager attention": (speedups.Trainer, LENGTH, speedups.SPEEDUPS),
    "ours, layers again": (speedups.Trainer, LENGTH, speedups.SPEEDUPS),
    "ours, packed": (speedups.Trainer, PACKED, speedups.SPEEDUPS),
    "Unsloth": (SFTTrainer, PACKED, ()),
}
MATRICES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARM_UP = 3
H200 = 989e12  # and H100: bfloat16, dense
TOOL = Path(__file__)


def dialogues(count: int, vocabulary: int, longest: int) -> list[dict[str, list[int]]]:
    """Rows of one to four exchanges of random tokens; the second half of each exchange is learned.

    On average they are a sixth of `longest`.
    """
    chance, rows = torch.Generator().manual_seed(0), []
    for _ in range(count):
        ids, labels = [], []
        for _ in range(int(torch.randint(1, 5, (1,), generator=chance))):
            for learned in (False, True):
                size = int(torch.randint(longest // 100, longest // 17, (1,), generator=chance))
                turn = torch.randint(5, vocabulary, (size,), generator=chance).tolist()
                ids += turn
                labels += turn if learned else [models.IGNORE] * size
        rows.append({"input_ids": ids, "labels": labels})
    return rows


class Clock(TrainerCallback):
    """Seconds after each step: the processor's on a CPU, the wall's on a GPU."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ticks.append(time.perf_counter() if torch.cuda.is_available() else time.process_time())


def a_trainer(name: str, asked: argparse.Namespace, rows: list, folder: str) -> HFTrainer:
    """The subject on the base that all share; its adapter is the same in all, and not zero."""
    kind, settings, _ = SUBJECTS[name]
    gpu = torch.cuda.is_available()
    plain = {"bf16": gpu, "disable_tqdm": True, "report_to": "none", "save_strategy": "no"}
    plain |= {"activation_checkpointing": False, "logging_steps": 1000, "max_grad_norm": 1.0}
    plain |= {"per_device_train_batch_size": asked.batch_size, "seed": 0, "use_cpu": not gpu}
    plain |= {"optim": "paged_adamw_8bit" if gpu else "adamw_torch", "learning_rate": 1e-4}
    plain |= {"lr_scheduler_type": "constant", "num_train_epochs": 1, "output_dir": folder}
    plain |= {"dataloader_pin_memory": gpu, "weight_decay": 0.0}
    if settings.get("packing"):
        plain["per_device_train_batch_size"] = 1
    if kind is not HFTrainer:
        plain |= {"max_length": asked.max_length}
    if name == "TRL, defaults":  # slow on a CPU: fewer steps, and all are counted the same way
        plain |= {"max_steps": 3 * WARM_UP}
    lora = LoraConfig(
        r=asked.rank, lora_alpha=asked.rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    tokenizer = models.load_tokenizer("mini")
    if name == "Unsloth":
        model = unsloth_model(asked, tokenizer, folder)
        base = model.get_base_model()
    else:
        base = a_base(name, asked)
        model = get_peft_model(base, lora)
    more = {"train_dataset": Dataset.from_list(rows), "processing_class": tokenizer}
    if kind is HFTrainer:
        pad = DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=models.IGNORE)
        more |= {"data_collator": pad, "args": TrainingArguments(**plain | settings)}
    else:
        more |= {"args": SFTConfig(**plain | settings)}
    trainer = kind(model=model, **more)
    trainer.remove_callback(PrinterCallback)
    torch.manual_seed(0)
    for weight in model.parameters():
        if weight.requires_grad:
            if name != "TRL, defaults":  # it holds the adapter of a 4-bit base in bfloat16
                weight.data = weight.data.float()
            weight.data.copy_(torch.randn(weight.shape) * 0.02)
    speedups.recompute(base, again(name, asked))
    return trainer


def again(name: str, asked: argparse.Namespace) -> int:
    """How many layers our trainer computes a second time; -1 means all."""
    if name == "ours, layers again":
        return -1
    return asked.checkpointed_layers if asked.size and name.startswith("ours") else 0


def a_base(name: str, asked: argparse.Namespace) -> Any:
    config = LlamaConfig(**shape(asked))
    base = random_weights(config, "nf4")
    if "unpacked" in name:
        kind = models.quantization("nf4")
        return dequantize_and_replace(base, kind, dtype=models.compute_dtype())
    if "eager" in name:
        base.set_attn_implementation("eager")
    base.is_loaded_in_4bit = True  # as transformers marks what it loads; PEFT looks for it
    return base


def unsloth_model(asked: argparse.Namespace, tokenizer: Any, folder: str) -> Any:
    """The same weights and adapter as Unsloth has them: it quantises what it reads."""
    random_weights(LlamaConfig(**shape(asked)), "").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    fast = sys.modules["unsloth"].FastLanguageModel
    model, _ = fast.from_pretrained(
        folder,
        max_seq_length=asked.max_length,
        dtype=models.compute_dtype(),
        load_in_4bit=True,
    )
    return fast.get_peft_model(
        model,
        r=asked.rank,
        lora_alpha=asked.rank,
        lora_dropout=0,
        target_modules=MATRICES,
        use_gradient_checkpointing=bool(asked.checkpointed_layers),
    )


def shape(asked: argparse.Namespace) -> dict[str, Any]:
    if asked.size:
        return SHAPES[f"meta-llama/Llama-2-{asked.size}-hf"]
    return SMALL | {"vocab_size": asked.vocabulary}


def loss_and_gradient(name: str, trainer: HFTrainer) -> tuple[float, torch.Tensor]:
    """Of all rows of the trainer, as one batch, divided by their trained tokens."""
    names = SUBJECTS[name][2]
    trainer.model.train()
    batches = list(trainer.get_train_dataloader())
    trained = sum(int((b["labels"][:, 1:] != models.IGNORE).sum()) for b in batches)
    with models.steady(trainer.model):
        shortcuts = speedups.applied(trainer, names) if names else tempfile.TemporaryDirectory()
        with shortcuts, trainer.compute_loss_context_manager():
            total = 0.0
            for batch in batches:
                batch = trainer._prepare_inputs(dict(batch))
                loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=trained)
                loss.backward()
                total += loss.item()
    grads = [p.grad.flatten().cpu() for p in trainer.model.parameters() if p.grad is not None]
    return total, torch.cat(grads)


def one(asked: argparse.Namespace) -> dict[str, float]:
    """Parity of a subject, and its tokens in a second."""
    (name,), vocabulary = asked.subjects, shape(asked)["vocab_size"]
    rows = dialogues(asked.rows, vocabulary, asked.max_length)
    with tempfile.TemporaryDirectory() as folder:
        few = rows[: asked.batch_size]
        loss, gradient = loss_and_gradient(name, a_trainer(name, asked, few, folder))
        place = Path(asked.parity) / f"{name}-{vocabulary}.pt"
        if name == REFERENCE:
            torch.save({"loss": loss, "gradient": gradient}, place)
            theirs, direction = loss, gradient
        else:
            at = torch.load(place.with_name(f"{REFERENCE}-{vocabulary}.pt"), weights_only=True)
            theirs, direction = at["loss"], at["gradient"]
        found = {
            "loss_apart": abs(loss / theirs - 1),
            "cosine": torch.cosine_similarity(gradient.double(), direction.double(), dim=0).item(),
        }
        trainer, clock = a_trainer(name, asked, rows, folder), Clock()
        trainer.add_callback(clock)
        seen = count_tokens(trainer)
        names = SUBJECTS[name][2]
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        shortcuts = speedups.applied(trainer, names) if names else tempfile.TemporaryDirectory()
        with shortcuts, models.steady(trainer.model):
            trainer.train()
    seconds = clock.ticks[-1] - clock.ticks[WARM_UP - 1]
    real, trained = (sum(part[WARM_UP : len(clock.ticks)]) for part in zip(*seen, strict=True))
    return found | {
        "steps": len(clock.ticks) - WARM_UP,
        "tokens_per_second": real / seconds,
        "trained_tokens_per_second": trained / seconds,
        "hfu": work(name, asked, trainer.model) * real / seconds / peak_flops(),
        "peak_mb": peak_mb(),
    }


def work(name: str, asked: argparse.Namespace, model: Any) -> float:
    """Arithmetic for a token: as `planning.speed.training_flops`, the head for every token."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    layers = [m for m in model.modules() if hasattr(m, "base_layer")]
    frozen = sum(m.in_features * m.out_features for m in layers)
    frozen += model.get_base_model().lm_head.weight.numel()
    depth, twice = len(speedups.decoder_layers(model.get_base_model())), again(name, asked)
    twice = depth if twice < 0 else twice
    if SUBJECTS[name][1].get("activation_checkpointing"):
        twice = depth
    return (4 + 2 * twice / depth) * frozen + (6 + 2 * twice / depth) * trained


def count_tokens(trainer: HFTrainer) -> list[tuple[int, int]]:
    """Real and trained tokens of each batch, as the trainer draws them."""
    seen, collate = [], trainer.data_collator

    def counted(rows):
        seen.append(
            (
                sum(len(row["input_ids"]) for row in rows),
                sum(t != models.IGNORE for row in rows for t in row["labels"]),
            )
        )
        return collate(rows)

    trainer.data_collator = counted
    return seen


def peak_flops() -> float:
    """Operations in a second: of two square matrices here, of NVIDIA's data sheet on a GPU."""
    if torch.cuda.is_available():
        return H200
    one = torch.randn(2048, 2048)
    best = 0.0
    for _ in range(5):
        start = time.process_time()
        one @ one
        best = max(best, 2 * 2048**3 / (time.process_time() - start))
    return best


def peak_mb() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() // 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measured(asked: argparse.Namespace, vocabulary: int) -> Iterator[dict[str, Any]]:
    """A row for each subject and round, as it ends."""
    with tempfile.TemporaryDirectory() as parity:
        for turn in range(asked.rounds):
            for name in [REFERENCE, *(s for s in asked.subjects if s != REFERENCE)]:
                if name == "Unsloth" and not importlib.util.find_spec("unsloth"):
                    print("Unsloth: not installed here", flush=True)
                    continue
                given = {"subjects": name, "vocabulary": vocabulary, "parity": parity}
                given |= {k: getattr(asked, k) for k in ("size", "rows", "rank", "max_length")}
                given |= {k: getattr(asked, k) for k in ("batch_size", "checkpointed_layers")}
                words = [w for k, v in given.items() for w in (f"--{k.replace('_', '-')}={v}",)]
                done = subprocess.run(
                    [sys.executable, str(TOOL), "--one", *words], capture_output=True, text=True
                )
                if done.returncode:
                    print(f"{name}: {done.stderr.strip().splitlines()[-1]}", flush=True)
                    continue
                row = json.loads(done.stdout.splitlines()[-1])
                print(vocabulary, turn, name, row, flush=True)
                yield {"vocabulary": vocabulary, "subject": name, "round": turn, **row}


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The median of the rounds; `ratio` to the best stock setting of the same round, with ends."""
    found = []
    for vocabulary, of_size in pd.DataFrame(rows).groupby("vocabulary", sort=False):
        stock = of_size[of_size["subject"].isin(BEST)]
        best = stock.groupby("round")["tokens_per_second"].max()
        for name, group in of_size.groupby("subject", sort=False):
            bfloat = name == "TRL, defaults" or torch.cuda.is_available()
            parity = group["loss_apart"].max() <= (1e-3 if bfloat else 1e-5)
            parity &= group["cosine"].min() >= 0.999
            ratio = (group.set_index("round")["tokens_per_second"] / best).dropna()
            row = {"vocabulary": vocabulary, "subject": name, "parity": bool(parity)}
            row |= {"loss_apart": f"{group['loss_apart'].max():.0e}"}
            row |= {"cosine": round(group["cosine"].min(), 6), "rounds": len(group)}
            if parity:
                row |= {
                    "tokens_per_second": round(group["tokens_per_second"].median()),
                    "trained_tokens_per_second": round(group["trained_tokens_per_second"].median()),
                    "ratio": round(ratio.median(), 2) if len(ratio) else None,
                    "ratio_low": round(ratio.min(), 2) if len(ratio) else None,
                    "ratio_high": round(ratio.max(), 2) if len(ratio) else None,
                    "hfu": round(group["hfu"].median(), 2),
                    "peak_mb": int(group["peak_mb"].max()),
                }
            found.append(row)
    return pd.DataFrame(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabularies", nargs="*", type=int, default=[1024, 8192])
    parser.add_argument("--subjects", nargs="*", default=list(SUBJECTS), choices=list(SUBJECTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--checkpointed-layers", type=int, default=0)
    parser.add_argument("--size", default="", choices=["", "7b", "13b", "70b"], help="on a GPU")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--vocabulary", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--parity", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked)))
        return
    rows = []
    for vocabulary in [32_000] if asked.size else asked.vocabularies:
        rows += measured(asked, vocabulary)
    file = TOOL.with_name("sft_speed_gpu.csv" if asked.size else "sft_speed.csv")
    found = table(rows)
    found.to_csv(file, index=False)
    print(found.to_string(index=False))


if __name__ == "__main__":
    main()
