"""How fast is a training step, compared with other trainers on the same weights and tokens?

    python -m benchmarks.sft_speed                                  # two cores, about 20 minutes
    python -m benchmarks.sft_speed --vocabularies 1024 --rounds 1
    python -m benchmarks.sft_speed --size 13b --subjects "TRL, defaults" "ours, packed"   # on a GPU

The base is a random Llama in NF4 (4 layers, 256 wide, float32) with LoRA on all linear layers; half
of the tokens of a dialogue are target tokens. Every subject trains in its own process, in turn,
round after round; the first steps are not counted. On a CPU, time is processor time. Padding does
not count as tokens.

No parity, no speed: on the same four dialogues each subject must give the loss (relative 1e-5, in
bfloat16 1e-3) and the direction of the adapter's gradients (cosine 0.999 or more) of HF's Trainer
with PEFT in float32. A gradient in bfloat16 must be as near to that as the one of HF's Trainer in
bfloat16, or nearer, to 0.001 of the cosine. The memory of HF's Trainer includes that comparison.
With --size it recomputes all layers, else it would not fit, and no speed would have parity.
`hfu` is hardware FLOP utilization: the arithmetic of the step (as in `estimate.speed`, with
recomputed layers, and the head for every token) divided by what this machine multiplies in the same
time.

"TRL, Liger" (Liger's layer kernels; TRL rejects its fused loss) and Unsloth are subjects if they
are installed. Both need a GPU; Unsloth reads its weights from a folder.

With real weights in NF4, their tokenizer and the dialogues of the embedded study, on a CPU:

    python -m benchmarks.sft_speed --model smollm2_135m --compute-dtype bfloat16 --rank 32

In bfloat16, TRL's subjects have the adapter in bfloat16, as TRL makes it; the others in float32.
Rows go to sft_speed_model.csv, where a run replaces the rows of its model and type.

On a GPU: --size 7b, 13b or 70b, with weights made on the GPU layer by layer, in bfloat16; rows of
--max-length, --gradient-checkpointing-layers to save memory. Rows go to sft_speed_gpu.csv; with
--attention, which sets `attn_implementation` of our subjects, to sft_speed_gpu_<attention>.csv.
"""

import argparse
import gc
import importlib.util
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if "--subjects=Unsloth" in sys.argv:  # it must be imported before the packages that it patches
    importlib.import_module("unsloth")

import pandas as pd
import torch
from benchmarks.eval_speed import draw_weights, measure_peak_mb
from benchmarks.tables import RESULTS
from datasets import Dataset
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
from transformers.integrations.liger import apply_liger_kernel
from trl import SFTConfig, SFTTrainer

from clinical_camel import data, models, sft_qlora
from clinical_camel.estimate.shapes import SHAPES
from clinical_camel.sft_qlora import speedups
from clinical_camel.sft_qlora.settings import COMPILE, SPEEDUPS

SMALL = {
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
}
LENGTH, PACKED = {"train_sampling_strategy": "group_by_length"}, {"packing": True}
HEAD, TAIL, CAUSAL, FUSED = SPEEDUPS
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
    "ours": (speedups.Trainer, LENGTH, SPEEDUPS),
    "ours, unpacked base": (speedups.Trainer, LENGTH, SPEEDUPS),
    "ours, eager attention": (speedups.Trainer, LENGTH, SPEEDUPS),
    "ours, layers again": (speedups.Trainer, LENGTH, SPEEDUPS),
    "ours, packed": (speedups.Trainer, PACKED, SPEEDUPS),
    "ours, packed and compiled": (speedups.Trainer, PACKED, (*SPEEDUPS, COMPILE)),
    "TRL, Liger": (SFTTrainer, {**PACKED, "use_liger_kernel": True}, ()),
    "Unsloth": (SFTTrainer, PACKED, ()),
}
OPTIONAL = {"TRL, Liger": "liger_kernel", "Unsloth": "unsloth"}  # packages beyond the project's
MATRICES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARM_UP = 3
ATTENTION = ["", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3"]
DIALOGUES = "outputs/mini_camel/01_dbke/dialogues.jsonl"
H200 = 989e12  # and H100: bfloat16, dense


def make_dialogues(count: int, vocabulary: int, max_length: int) -> list[dict[str, list[int]]]:
    """Make rows of one to four exchanges of random tokens; the second half of each is the target.

    On average a row has a sixth of `max_length` tokens.
    """
    generator, rows = torch.Generator().manual_seed(0), []
    for _ in range(count):
        ids, labels = [], []
        for _ in range(int(torch.randint(1, 5, (1,), generator=generator))):
            for is_target in (False, True):
                low, high = max_length // 100, max_length // 17
                size = int(torch.randint(low, high, (1,), generator=generator))
                turn = torch.randint(5, vocabulary, (size,), generator=generator).tolist()
                ids += turn
                labels += turn if is_target else [models.IGNORE_INDEX] * size
        rows.append({"input_ids": ids, "labels": labels})
    return rows


def load_rows(options: argparse.Namespace) -> list[dict[str, list[int]]]:
    """Return `options.rows` tokenized dialogues: real ones for a real model, else random tokens."""
    if not options.model:
        vocabulary = find_shape(options)["vocab_size"]
        return make_dialogues(options.rows, vocabulary, options.max_length)
    tokenizer = models.load_tokenizer(options.model, options.chat_template)
    dialogues = data.sample(data.load_training_rows(DIALOGUES), options.rows)
    mixture = {DIALOGUES: dialogues}
    return sft_qlora.tokenize_mixture(tokenizer, mixture, "assistant", options.max_length).rows


class Clock(TrainerCallback):
    """Seconds after each step: processor time on a CPU, wall-clock time on a GPU."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ticks.append(time.perf_counter() if torch.cuda.is_available() else time.process_time())


def make_trainer(name: str, options: argparse.Namespace, rows: list, folder: str) -> HFTrainer:
    """Build a subject's trainer on the shared base; all adapters have the same non-zero values."""
    kind, changes, _ = SUBJECTS[name]
    gpu = torch.cuda.is_available()
    is_bfloat16 = gpu or options.compute_dtype == "bfloat16"
    arguments = {
        "output_dir": folder,
        "per_device_train_batch_size": 1 if changes.get("packing") else options.batch_size,
        "num_train_epochs": 1,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "optim": "paged_adamw_8bit" if gpu else "adamw_torch",
        "activation_checkpointing": False,
        "bf16": is_bfloat16,
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "save_strategy": "no",
        "logging_steps": 1000,
        "report_to": "none",
        "disable_tqdm": True,
        "seed": 0,
    }
    if kind is not HFTrainer:
        arguments |= {"max_length": options.max_length}
    if name == "TRL, defaults":  # slow on a CPU: fewer steps, all counted the same way
        arguments |= {"max_steps": 3 * WARM_UP}
    arguments |= changes
    lora = LoraConfig(
        r=options.rank, lora_alpha=options.rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    template = options.chat_template if options.model else ""
    tokenizer = models.load_tokenizer(options.model or "mini", template)
    if name == "Unsloth":
        model = load_unsloth(options, tokenizer, folder)
        base = model.get_base_model()
    else:
        base = make_base(name, options)
        model = get_peft_model(base, lora)
    inputs = {"train_dataset": Dataset.from_list(rows), "processing_class": tokenizer}
    if kind is HFTrainer:
        collator = DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=models.IGNORE_INDEX)
        inputs |= {"data_collator": collator, "args": TrainingArguments(**arguments)}
    else:
        inputs |= {"args": SFTConfig(**arguments)}
    trainer = kind(model=model, **inputs)
    trainer.remove_callback(PrinterCallback)
    if trainer.args.use_liger_kernel:  # at the start of a training, too late for the parity
        apply_liger_kernel(model, trainer.args.liger_kernel_config)
    torch.manual_seed(0)
    for weight in model.parameters():
        if weight.requires_grad:
            if not has_stock_adapter(name, options):
                weight.data = weight.data.float()
            weight.data.copy_(torch.randn(weight.shape) * 0.02)
    speedups.enable_gradient_checkpointing(base, count_recomputed_layers(name, options))
    return trainer


def has_stock_adapter(name: str, options: argparse.Namespace) -> bool:
    """Whether a subject's adapter stays in TRL's type, which is bfloat16 on a 4-bit base."""
    is_stock = options.compute_dtype == "bfloat16" and name.startswith("TRL")
    return name == "TRL, defaults" or is_stock


def count_recomputed_layers(name: str, options: argparse.Namespace) -> int:
    """Return how many layers a subject recomputes in the backward pass; -1 means all."""
    if name == "ours, layers again" or (options.size and name == REFERENCE):
        return -1
    is_large_and_ours = options.size and name.startswith("ours")
    return options.gradient_checkpointing_layers if is_large_and_ours else 0


def make_base(name: str, options: argparse.Namespace) -> Any:
    attention = options.attention if name.startswith("ours") else ""
    attention = "eager" if "eager" in name else attention
    if options.model:
        quantize = "nf4_dequantized" if "unpacked" in name else "nf4"
        return models.load_base(options.model, quantize, attention, options.compute_dtype)
    base = draw_weights(LlamaConfig(**find_shape(options)), "nf4")
    if attention:
        base.set_attn_implementation(attention)
    if "unpacked" in name:
        quantization = models.make_quantization_config("nf4")
        return dequantize_and_replace(base, quantization, dtype=models.choose_dtype())
    base.is_loaded_in_4bit = True  # as transformers marks a loaded model, for PEFT
    return base


def load_unsloth(options: argparse.Namespace, tokenizer: Any, folder: str) -> Any:
    """Load the same weights and adapter with Unsloth, which quantizes them while loading."""
    draw_weights(LlamaConfig(**find_shape(options)), "").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    loader = sys.modules["unsloth"].FastLanguageModel
    model, _ = loader.from_pretrained(
        folder,
        max_seq_length=options.max_length,
        dtype=models.choose_dtype(),
        load_in_4bit=True,
    )
    return loader.get_peft_model(
        model,
        r=options.rank,
        lora_alpha=options.rank,
        lora_dropout=0,
        target_modules=MATRICES,
        use_gradient_checkpointing=bool(options.gradient_checkpointing_layers),
    )


def find_shape(options: argparse.Namespace) -> dict[str, Any]:
    if options.model:
        return models.build_skeleton(options.model).config.to_dict()
    if options.size:
        return SHAPES[f"meta-llama/Llama-2-{options.size}-hf"]
    return SMALL | {"vocab_size": options.vocabulary}


def compute_gradient(name: str, trainer: HFTrainer) -> tuple[float, torch.Tensor]:
    """Compute loss and gradients of all rows as one batch, divided by their target tokens."""
    trainer.model.train()
    batches = list(trainer.get_train_dataloader())
    targets = sum(int((b["labels"][:, 1:] != models.IGNORE_INDEX).sum()) for b in batches)
    total = 0.0
    with (
        models.freeze_quantization(trainer.model),
        speedups.apply_speedups(trainer, SUBJECTS[name][2]),
        trainer.compute_loss_context_manager(),
    ):
        for batch in batches:
            batch = trainer._prepare_inputs(dict(batch))
            loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=targets)
            loss.backward()
            total += loss.item()
    grads = [p.grad.flatten().cpu() for p in trainer.model.parameters() if p.grad is not None]
    return total, torch.cat(grads)


def measure_subject(options: argparse.Namespace) -> dict[str, float]:
    """Measure parity, tokens per second and peak memory of one subject, in this process."""
    (name,), vocabulary = options.subjects, find_shape(options)["vocab_size"]
    rows = load_rows(options)
    with tempfile.TemporaryDirectory() as folder:
        few = rows[: options.batch_size]
        file = Path(options.parity) / f"{REFERENCE}-{vocabulary}.pt"
        if name == REFERENCE:
            exact = argparse.Namespace(**vars(options) | {"compute_dtype": "float32"})
            values = compute_gradient(name, make_trainer(name, exact, few, folder))
            torch.save(dict(zip(("loss", "gradient"), values, strict=True)), file)
        loss, gradient = compute_gradient(name, make_trainer(name, options, few, folder))
        reference = torch.load(file, weights_only=True)
        cosine = torch.cosine_similarity(
            gradient.double(), reference["gradient"].double(), dim=0
        ).item()
        gc.collect()  # the model of the parity
        trainer, clock = make_trainer(name, options, rows, folder), Clock()
        trainer.add_callback(clock)
        batches = count_tokens(trainer)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        used = speedups.apply_speedups(trainer, SUBJECTS[name][2])
        with used, models.freeze_quantization(trainer.model):
            trainer.train()
    if len(clock.ticks) <= WARM_UP:
        raise ValueError(
            f"--rows: {options.rows} rows give {len(clock.ticks)} steps, and the first {WARM_UP} "
            "are not counted; write a larger number"
        )
    seconds = clock.ticks[-1] - clock.ticks[WARM_UP - 1]
    tokens, targets = (
        sum(counts[WARM_UP : len(clock.ticks)]) for counts in zip(*batches, strict=True)
    )
    flops = count_flops_per_token(name, options, trainer.model)
    return {
        "loss_difference": abs(loss / reference["loss"] - 1),
        "cosine": cosine,
        "steps": len(clock.ticks) - WARM_UP,
        "tokens_per_second": tokens / seconds,
        "target_tokens_per_second": targets / seconds,
        "hfu": flops * tokens / seconds / measure_peak_flops(options),
        "peak_mb": measure_peak_mb(),
    }


def count_flops_per_token(name: str, options: argparse.Namespace, model: Any) -> float:
    """Count the arithmetic of a token as `estimate.speed` does, with the head for every token."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    layers = [m for m in model.modules() if hasattr(m, "base_layer")]
    frozen = sum(m.in_features * m.out_features for m in layers)
    frozen += model.get_base_model().lm_head.weight.numel()
    depth = len(speedups.decoder_layers(model.get_base_model()))
    recomputed = count_recomputed_layers(name, options)
    if recomputed < 0 or SUBJECTS[name][1].get("activation_checkpointing"):
        recomputed = depth
    return (4 + 2 * recomputed / depth) * frozen + (6 + 2 * recomputed / depth) * trained


def count_tokens(trainer: HFTrainer) -> list[tuple[int, int]]:
    """Return a list that collects tokens and target tokens of each batch during training."""
    batches, collate = [], trainer.data_collator

    def count_and_collate(rows):
        batches.append(
            (
                sum(len(row["input_ids"]) for row in rows),
                sum(t != models.IGNORE_INDEX for row in rows for t in row["labels"]),
            )
        )
        return collate(rows)

    trainer.data_collator = count_and_collate
    return batches


def measure_peak_flops(options: argparse.Namespace) -> float:
    """Return operations per second: of two square matrices here, of the data sheet on a GPU."""
    if torch.cuda.is_available():
        return H200
    matrix = torch.randn(2048, 2048, dtype=getattr(torch, options.compute_dtype))
    best = 0.0
    for _ in range(5):
        start = time.process_time()
        matrix @ matrix
        best = max(best, 2 * 2048**3 / (time.process_time() - start))
    return best


def measure_all(options: argparse.Namespace, vocabulary: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each subject and round, as it ends."""
    subjects = [REFERENCE, *(name for name in options.subjects if name != REFERENCE)]
    with tempfile.TemporaryDirectory() as parity:
        for number, name in itertools.product(range(options.rounds), subjects):
            if name in OPTIONAL and not importlib.util.find_spec(OPTIONAL[name]):
                print(f"{name}: {OPTIONAL[name]} is not installed here", flush=True)
                continue
            values = vars(options) | {"subjects": name, "vocabulary": vocabulary, "parity": parity}
            words = [
                f"--{option.replace('_', '-')}={value}"
                for option, value in values.items()
                if option not in ("vocabularies", "worker")
            ]
            process = subprocess.run(
                [sys.executable, "-m", "benchmarks.sft_speed", "--worker", *words],
                capture_output=True,
                text=True,
            )
            if process.returncode:
                print(f"{name}: {process.stderr.strip().splitlines()[-1]}", flush=True)
                continue
            row = json.loads(process.stdout.splitlines()[-1])
            print(vocabulary, number, name, row, flush=True)
            yield {"vocabulary": vocabulary, "subject": name, "round": number, **row}


def summarize(rows: list[dict[str, Any]], compute_dtype: str = "float32") -> pd.DataFrame:
    """Return medians over rounds.

    `ratio` compares with the best stock setting of the same round, with its range over rounds.
    """
    table = []
    for vocabulary, of_size in pd.DataFrame(rows).groupby("vocabulary", sort=False):
        stock = of_size[of_size["subject"].isin(BEST)]
        best = stock.groupby("round")["tokens_per_second"].max()
        nearest = of_size.loc[of_size["subject"] == REFERENCE, "cosine"].min()
        for name, group in of_size.groupby("subject", sort=False):
            is_bfloat16 = name == "TRL, defaults" or compute_dtype == "bfloat16"
            is_bfloat16 |= torch.cuda.is_available()
            parity = group["loss_difference"].max() <= (1e-3 if is_bfloat16 else 1e-5)
            parity &= group["cosine"].min() >= (nearest - 1e-3 if is_bfloat16 else 0.999)
            ratio = (group.set_index("round")["tokens_per_second"] / best).dropna()
            row = {
                "vocabulary": vocabulary,
                "subject": name,
                "parity": bool(parity),
                "loss_difference": f"{group['loss_difference'].max():.0e}",
                "cosine": round(group["cosine"].min(), 6),
                "rounds": len(group),
            }
            if parity:
                per_second = ("tokens_per_second", "target_tokens_per_second")
                row |= {column: round(group[column].median()) for column in per_second}
                row |= {
                    "ratio": round(ratio.median(), 2) if len(ratio) else None,
                    "ratio_low": round(ratio.min(), 2) if len(ratio) else None,
                    "ratio_high": round(ratio.max(), 2) if len(ratio) else None,
                    "hfu": round(group["hfu"].median(), 2),
                    "peak_mb": int(group["peak_mb"].max()),
                }
            table.append(row)
    return pd.DataFrame(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabularies", nargs="*", type=int, default=[1024, 8192])
    parser.add_argument("--model", default="", help="a real model, such as smollm2_135m")
    parser.add_argument("--chat-template", default="chatml", help="of the real model")
    parser.add_argument("--compute-dtype", default="float32", choices=["bfloat16", "float32"])
    parser.add_argument("--subjects", nargs="*", default=list(SUBJECTS), choices=list(SUBJECTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--gradient-checkpointing-layers", type=int, default=0)
    parser.add_argument("--size", default="", choices=["", "7b", "13b", "70b"], help="on a GPU")
    parser.add_argument("--attention", default="", choices=ATTENTION, help="of our subjects")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--vocabulary", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--parity", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure_subject(options)))
        return
    if options.compute_dtype == "bfloat16":
        options.subjects = [name for name in options.subjects if name != "TRL, float32"]
    if options.model:
        options.vocabularies = [find_shape(options)["vocab_size"]]
    rows = []
    for vocabulary in [32_000] if options.size else options.vocabularies:
        for row in measure_all(options, vocabulary):
            rows.append(row)
            table = summarize(rows, options.compute_dtype)
            write_table(table, options)  # after each row: an interrupted series keeps its rows
    if not rows:
        raise SystemExit("no subject was measured; the reasons are above")
    print(table.to_string(index=False))


def write_table(table: pd.DataFrame, options: argparse.Namespace) -> None:
    """Write a table of results; the one of real models keeps the rows of other models and types."""
    kind = "_gpu" if options.size else "_model" if options.model else ""
    kind += f"_{options.attention}" if options.attention else ""
    file = RESULTS / f"sft_speed{kind}.csv"
    if options.model:
        described = {"model": options.model, "compute_dtype": options.compute_dtype}
        described |= {"rank": options.rank, "rows": options.rows}
        table = pd.DataFrame([described | row for row in table.to_dict("records")])
        if file.exists():
            before = pd.read_csv(file)
            same = before["model"].eq(options.model)
            same &= before["compute_dtype"].eq(options.compute_dtype)
            table = pd.concat([before[~same], table])
    table.to_csv(file, index=False)


if __name__ == "__main__":
    main()
