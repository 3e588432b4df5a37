"""Does a training go on as if nothing had happened, when it is killed or its files are damaged?

    python drills/checkpoint.py               50 kills and every damage
    python drills/checkpoint.py 8 SIGKILL     8 kills; the other rows stay

A small training (the shipped base in NF4, LoRA with dropout, a part of the rows held out, the best
checkpoint kept) is run once undisturbed. Then

- damage: it is stopped after step 7 with checkpoints of steps 4 and 6; each file of the newer one
  is removed, cut in half, zeroed, or has one bit flipped; and it is run again: with our choice of
  the checkpoint, and, for the files that it reads, with the trainer's own
  (`resume_from_checkpoint=True`).
- SIGKILL, SIGTERM: at random moments from the first line of `train` on, and run again, until it
  ends; then anew. A checkpoint is saved at every second step, so that many of them meet a save.

Each run is a process of its own. What counts is that it ends in the same numbers, all of them: the
log (loss, gradient, validation, tokens of each step) and the bytes of the adapter. Writes
checkpoint_drill.csv; how many kills met a save differs from run to run. Fails if one of our runs
ends in other numbers. Ten minutes on two free cores.
"""

import csv
import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from tests.support import toy_training
from transformers.trainer_utils import get_last_checkpoint

from clinical_camel import models, sft_qlora
from clinical_camel.data import Dialogue
from clinical_camel.sft_qlora import training

TABLE = Path(__file__).with_name("results") / "checkpoint.csv"
OURS, STOCK = "by manifest", "trainer's own"
SETTINGS = toy_training.SETTINGS | {"validation_fraction": 0.25, "save_steps": 2}
STOPPED_AFTER = 7
READ = {  # by the trainer when it goes on
    *("adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "rng_state.pth"),
    *("scheduler.pt", "trainer_state.json"),
}


@dataclass
class Row:
    """One damage, or all kills of one kind."""

    fault: str
    file: str
    checkpoint: str  # who chooses what to go on from
    goes_on_from: str
    numbers: str  # of the whole run: the same as undisturbed, others, or none
    says: str


# --------------------------------------------------------------------------- the small training


def train(folder: Path, chooser: str, stop_after: int) -> None:
    """In a process of its own: the training, and what it ended in as `folder`/result.json."""
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if chooser == STOCK:
        training.checkpoints.newest_whole = lambda place, _: get_last_checkpoint(str(place))
    if stop_after:
        training.Progress.on_step_begin = lambda _, args, state, *rest, **more: (
            os.kill(os.getpid(), signal.SIGKILL) if state.global_step == stop_after else None
        )
    tokenizer = models.load_tokenizer("mini")
    words = [("user", "What helps in case {}?"), ("assistant", "Answer {}: rest, and water.")]
    rows = [
        Dialogue(
            id=str(i),
            source="drill",
            messages=[{"role": role, "content": text.format(i)} for role, text in words],
        )
        for i in range(16)
    ]
    encoded = sft_qlora.encode_mixture(tokenizer, {"drill": rows}, "assistant", 256)
    base = models.load_base("mini", "nf4")
    torch.manual_seed(0)
    (folder / "begun").touch()
    model, log = sft_qlora.train(base, tokenizer, encoded, folder=folder, **SETTINGS)
    digest = hashlib.sha256()
    for _, parameter in sorted(model.named_parameters(), key=lambda pair: pair[0]):
        if parameter.requires_grad:
            digest.update(parameter.detach().numpy().tobytes())
    result = {"log": log.to_dict("list"), "adapter": digest.hexdigest()}
    (folder / "result").write_text(json.dumps(result))
    (folder / "result").replace(folder / "result.json")


class Run:
    """A folder in which the training is run, killed, and run again."""

    context = multiprocessing.get_context("forkserver")  # torch is imported once

    def __init__(self, folder: Path, chooser: str = OURS) -> None:
        self.folder, self.chooser = folder, chooser
        folder.mkdir(exist_ok=True)

    def start(self, stop_after: int = 0) -> multiprocessing.Process:
        for name in ("output", "begun"):
            (self.folder / name).unlink(missing_ok=True)
        arguments = (self.folder, self.chooser, stop_after)
        process = self.context.Process(target=train, args=arguments)
        process.start()
        while process.is_alive() and not (self.folder / "begun").exists():
            time.sleep(0.01)
        return process

    def result(self) -> str:
        file = self.folder / "result.json"
        return file.read_text() if file.exists() else ""

    def output(self) -> str:
        file = self.folder / "output"
        return file.read_text(errors="replace") if file.exists() else ""

    def went_on_from(self) -> str:
        """The first step that was logged tells, whoever chose."""
        steps = re.findall(r"^step +(\d+) of", self.output(), re.MULTILINE)
        return f"step {int(steps[0]) - 1}" if steps else "-"

    def saved(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoints-*/checkpoint-*"), key=_number)


def _number(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


# ----------------------------------------------------------------------------------- damage


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "missing": Path.unlink,
    "truncated": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "zeroed": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "bit flipped": flip,
}


def damaged(stopped: Path, place: Path, fault: str, name: str, chooser: str, expected: str) -> Row:
    """Run again after one file of the newest checkpoint was damaged."""
    run = Run(place / f"{fault} {name} {chooser}", chooser)
    shutil.copytree(stopped, run.folder, dirs_exist_ok=True)
    newest = run.saved()[-1]
    DAMAGES[fault](newest / name)
    process = run.start()
    process.join()
    said = [line for line in run.output().splitlines() if line.startswith(newest.name)]
    if process.exitcode:
        said = re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception|Interrupt))\b", run.output(), re.M)
        said = [f"stops: {said[-1] if said else 'without a reason'}"]
    numbers = "none" if not run.result() else "the same" if run.result() == expected else "others"
    from_ = run.went_on_from() if run.result() else "-"
    shutil.rmtree(run.folder)
    return Row(fault, name, chooser, from_, numbers, said[-1] if said else "nothing")


def all_damage(place: Path, expected: str) -> Iterator[Row]:
    stopped = Run(place / "stopped")
    stopped.start(STOPPED_AFTER).join()
    names = [checkpoint.name for checkpoint in stopped.saved()]
    if names != ["checkpoint-4", "checkpoint-6"]:
        raise RuntimeError(f"not stopped as it should be: {names}\n{stopped.output()}")
    files = sorted(file.name for file in stopped.saved()[-1].iterdir())
    cases = [
        (fault, name, chooser)
        for chooser in (OURS, STOCK)
        for name in files
        for fault in DAMAGES
        if chooser == OURS or name in READ
    ]
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(lambda c: damaged(stopped.folder, place, *c, expected), cases):
            print(*asdict(row).values(), sep=" | ", flush=True)
            yield row


# ------------------------------------------------------------------------------------ kills


def kills(
    number: int, kind: signal.Signals, place: Path, expected: str, seconds: float
) -> Iterator[Row]:
    """So many signals at random moments; the row so far after each training."""
    dice, sent, ends, met_a_save, went_on, lost = random.Random(0), 0, [], 0, 0, 0
    while sent < number:
        run, reached = Run(place / f"{kind.name} {len(ends)}"), 0
        while not run.result():
            process = run.start()
            if sent < number:
                process.join(dice.uniform(0, seconds))
            if sent < number and process.is_alive():
                os.kill(process.pid, kind)
                sent += 1
            process.join()
            if process.exitcode not in (0, -kind) or (process.exitcode == 0 and not run.result()):
                raise RuntimeError(f"exit {process.exitcode}: {run.output()}")
            went_on += "going on from checkpoint-" in run.output()
            whole = [_number(c) for c in run.saved() if not sft_qlora.damage(c)]
            met_a_save += len(whole) < len(run.saved())
            lost += max(whole, default=0) < reached
            reached = max(whole, default=0)
        ends.append(run.result() == expected)
        shutil.rmtree(run.folder)
        says = (
            f"{sent} at random moments; {len(ends)} runs ended, {sum(ends)} of them the same; "
            f"{met_a_save} signals left half a checkpoint; {went_on} runs went on from a "
            f"checkpoint; {lost} lost a whole one"
        )
        print(f"{kind.name}: {says}", flush=True)
        numbers = "the same" if all(ends) and not lost else "others"
        yield Row(kind.name, "-", OURS, "the newest whole", numbers, says)


def keep(new: Row) -> None:
    """Put a row into the table, in the place of an earlier one of the same name."""
    rows = []
    if TABLE.exists():
        with TABLE.open(newline="", encoding="utf-8") as file:
            rows = [Row(**row) for row in csv.DictReader(file)]
    named = {(row.fault, row.file, row.checkpoint): row for row in (*rows, new)}
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(named[name]) for name in sorted(named))


def main() -> None:
    """Undisturbed, killed, damaged."""
    number = next((int(text) for text in sys.argv[1:] if text.isdecimal()), 50)
    wanted = [text for text in sys.argv[1:] if not text.isdecimal()]
    Run.context.set_forkserver_preload(["clinical_camel.sft_qlora", "transformers.trainer_utils"])
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        whole, again = Run(place / "whole"), Run(place / "again")
        whole.start().join()  # the server starts, modules are read
        process, began = again.start(), time.monotonic()
        process.join()
        seconds, expected = time.monotonic() - began, whole.result()
        if not expected or again.result() != expected:
            raise RuntimeError(f"two undisturbed runs are not the same\n{again.output()}")
        parts = {
            "SIGKILL": lambda: kills(number, signal.SIGKILL, place, expected, seconds),
            "SIGTERM": lambda: kills(number // 10 + 1, signal.SIGTERM, place, expected, seconds),
            "damage": lambda: all_damage(place, expected),
        }
        wrong = []
        for row in (row for part in wanted or parts for row in parts[part]()):
            keep(row)
            wrong += [row] if row.checkpoint == OURS and row.numbers != "the same" else []
    if wrong:
        raise SystemExit(f"{len(wrong)} of our runs ended in other numbers, first {wrong[0]}")


if __name__ == "__main__":
    main()
