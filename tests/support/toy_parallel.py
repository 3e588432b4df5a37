"""A small training in each process of a launcher, killed and resumed: data parallel, then FSDP.

    torchrun --standalone --nproc_per_node 2 benchmarks/toy_parallel.py <folder>

accelerate has FSDP on GPUs alone. `rehearse` makes it take gloo for one of them, and the same
trainer cuts the same NF4 base into two parts: everything but the GPU itself.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, DistributedType, PartialState
from tests.support.toy_training import SETTINGS

from clinical_camel import data, models, sft_qlora
from clinical_camel.sft_qlora import data_parallel

CHANGES = {"lora_dropout": 0.0, "optimizer": "adamw_torch", "save_steps": 2}


def train(folder: Path, **changes: Any) -> Any:
    """The log of a training of 8 rows on the shipped base in NF4; the adapter is in `folder`."""
    tokenizer = models.load_tokenizer("mini")
    rows = [data.Dialogue(id=str(i), source="toy", messages=asked(i)) for i in range(8)]
    encoded = sft_qlora.encode_mixture(tokenizer, {"toy": rows}, "assistant", 256)
    cut = changes.pop("sharded", changes.get("parallel") == "fsdp")
    base = models.load_base("mini", "nf4", sharded=cut)
    settings = SETTINGS | CHANGES | changes
    if settings["parallel"] == "fsdp":
        settings["speedups"] = [name for name in SETTINGS["speedups"] if name != "fused_lora"]
    torch.manual_seed(0)
    model, log = sft_qlora.train(base, tokenizer, encoded, folder=folder, **settings)
    model.save_pretrained(folder / f"adapter_{data_parallel.rank()}", save_embedding_layers=False)
    return log


def asked(i: int) -> list[dict[str, str]]:
    """A question and its answer, of another length for each number."""
    answer = " ".join(["No."] * (1 + i % 3))
    return [{"role": "user", "content": f"Is it {i}?"}, {"role": "assistant", "content": answer}]


def rehearse(patch: Any = setattr) -> None:
    """Let FSDP through on a CPU, here only."""
    AcceleratorState._reset_state(reset_partial_state=True)
    patch(PartialState, "_prepare_backend", lambda *_, **__: ("gloo", DistributedType.MULTI_GPU))
    patch(PartialState, "set_device", lambda self: setattr(self, "device", torch.device("cpu")))
    patch(data_parallel, "refusals", lambda setup: iter(()))


def main(folder: Path) -> None:
    for name in sft_qlora.PARALLEL:
        if name == "fsdp":
            rehearse()
        for attempt in ("whole", "resumed"):
            log = train(folder / name, parallel=name, batch_size=2)
            if not data_parallel.rank():
                log.to_csv(folder / f"{name}_{attempt}.csv", index=False)
            if not data_parallel.rank() and attempt == "whole":
                shutil.rmtree(next((folder / name).glob(f"*/checkpoint-{len(log)}")))
            data_parallel.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
