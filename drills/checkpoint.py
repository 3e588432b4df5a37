"""Does a killed or damaged training resume to the same result?

    python -m drills.checkpoint               50 kills, half as many requests to stop, every damage
    python -m drills.checkpoint 8 SIGKILL     8 kills; the other rows stay

A small training (the shipped base in NF4, LoRA with dropout, validation rows, the best checkpoint
used) runs once without interruption. Then

- damage: it is stopped after step 7 with checkpoints of steps 4 and 6. Each file of the newer one
  is deleted, cut in half, zeroed, or has one bit flipped. Then it runs again: with our choice of
  the checkpoint, and, for the files that it reads, with the trainer's own
  (`resume_from_checkpoint=True`).
- SIGKILL, SIGTERM: at random moments from the first line of `train` on, and run again, until it
  ends; then anew. A checkpoint is saved at every second step, so many signals arrive during a save.

Each run is its own process. A run counts as the same only if it ends in the same numbers, all of
them: the log (loss, gradient, validation, tokens of each step) and the bytes of the adapter. Writes
results/checkpoint.csv; how many signals arrive during a save differs from run to run. Fails if one
of our runs ends in other numbers. Ten minutes on two free cores.
"""

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
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from tests.support.project import make_messages
from tests.support.toy_training import DAMAGES, toy_recipe
from transformers.trainer_utils import get_last_checkpoint

from clinical_camel import models, sft_qlora
from clinical_camel.data import Dialogue
from clinical_camel.sft_qlora import training

TABLE = Path(__file__).with_name("results") / "checkpoint.csv"
OURS, STOCK = "by manifest", "trainer's own"
RECIPE = toy_recipe(validation_fraction=0.25, save_steps=2)
STOPPED_AFTER = 7
STOPS = "SIGTERM: stops after this step"  # printed by `interruption`, once training has begun
READ_BY_TRAINER = {
    *("adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "rng_state.pth"),
    *("scheduler.pt", "trainer_state.json"),
}


@dataclass
class Row:
    """One damage, or all signals of one kind."""

    fault: str
    file: str
    chosen: str  # how the checkpoint to resume from is chosen
    resumed_from: str
    numbers: str  # of the complete run: the same as without interruption, others, or none
    message: str


# --------------------------------------------------------------------------- the small training


def train(folder: Path, chosen: str, stop_after: int) -> None:
    """Train in this process, and write the final numbers to `folder`/result.json."""
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if chosen == STOCK:
        training.checkpoints.find_newest_complete = lambda place, _: get_last_checkpoint(str(place))
    if stop_after:
        training.Progress.on_step_begin = lambda _, args, state, *rest, **more: (
            os.kill(os.getpid(), signal.SIGKILL) if state.global_step == stop_after else None
        )
    tokenizer = models.load_tokenizer("mini")
    rows = []
    for i in range(16):
        messages = make_messages(f"What helps in case {i}?", f"Answer {i}: rest, and water.")
        rows.append(Dialogue(id=str(i), source="drill", messages=messages))
    tokenized = sft_qlora.tokenize_mixture(tokenizer, {"drill": rows}, "assistant", 256)
    base = models.load_base("mini", "nf4")
    torch.manual_seed(0)
    (folder / "begun").touch()
    model, log = sft_qlora.train(base, tokenizer, tokenized, RECIPE, folder=folder)
    digest = hashlib.sha256()
    for _, parameter in sorted(model.named_parameters(), key=lambda pair: pair[0]):
        if parameter.requires_grad:
            digest.update(parameter.detach().numpy().tobytes())
    result = {"log": log.to_dict("list"), "adapter": digest.hexdigest()}
    (folder / "result").write_text(json.dumps(result))
    (folder / "result").replace(folder / "result.json")


class Run:
    """A folder in which the training runs, is killed, and runs again."""

    context = multiprocessing.get_context("forkserver")  # torch is imported once

    def __init__(self, folder: Path, chosen: str = OURS) -> None:
        self.folder, self.chosen = folder, chosen
        folder.mkdir(exist_ok=True)

    def start(self, stop_after: int = 0) -> multiprocessing.Process:
        for name in ("output", "begun"):
            (self.folder / name).unlink(missing_ok=True)
        arguments = (self.folder, self.chosen, stop_after)
        process = self.context.Process(target=train, args=arguments)
        process.start()
        while process.is_alive() and not (self.folder / "begun").exists():
            time.sleep(0.01)
        return process

    def result(self) -> str:
        return self._read("result.json")

    def output(self) -> str:
        return self._read("output")

    def _read(self, name: str) -> str:
        file = self.folder / name
        return file.read_text(errors="replace") if file.exists() else ""

    def resumed_from(self) -> str:
        """Return the step before the first logged one, whoever chose the checkpoint."""
        steps = re.findall(r"^step +(\d+) of", self.output(), re.MULTILINE)
        return f"step {int(steps[0]) - 1}" if steps else "-"

    def checkpoints(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoints-*/checkpoint-*"), key=_number)


def _number(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


# ----------------------------------------------------------------------------------- damage


def damage(stopped: Path, place: Path, fault: str, name: str, chosen: str, expected: str) -> Row:
    """Damage one file of the newest checkpoint, and run again."""
    run = Run(place / f"{fault} {name} {chosen}", chosen)
    shutil.copytree(stopped, run.folder, dirs_exist_ok=True)
    newest = run.checkpoints()[-1]
    DAMAGES[fault](newest / name)
    process = run.start()
    process.join()
    messages = [line for line in run.output().splitlines() if line.startswith(newest.name)]
    if process.exitcode:
        errors = re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception|Interrupt))\b", run.output(), re.M)
        messages = [f"stops: {errors[-1] if errors else 'without a reason'}"]
    numbers = "none" if not run.result() else "the same" if run.result() == expected else "others"
    step = run.resumed_from() if run.result() else "-"
    shutil.rmtree(run.folder)
    return Row(fault, name, chosen, step, numbers, messages[-1] if messages else "nothing")


def damage_all(place: Path, expected: str) -> Iterator[Row]:
    stopped = Run(place / "stopped")
    stopped.start(STOPPED_AFTER).join()
    names = [checkpoint.name for checkpoint in stopped.checkpoints()]
    if names != ["checkpoint-4", "checkpoint-6"]:
        raise RuntimeError(f"not stopped after step {STOPPED_AFTER}: {names}\n{stopped.output()}")
    files = sorted(file.name for file in stopped.checkpoints()[-1].iterdir())
    cases = [
        (fault, name, chosen)
        for chosen in (OURS, STOCK)
        for name in files
        for fault in DAMAGES
        if chosen == OURS or name in READ_BY_TRAINER
    ]
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(lambda case: damage(stopped.folder, place, *case, expected), cases):
            print(*asdict(row).values(), sep=" | ", flush=True)
            yield row


# ---------------------------------------------------------------------------------- signals


def kill(
    number: int, kind: signal.Signals, place: Path, expected: str, seconds: float
) -> Iterator[Row]:
    """Send `number` signals at random moments; yield the row so far after each training."""
    dice, sent, ends, during_save, resumed, lost = random.Random(0), 0, [], 0, 0, 0
    after_step = 0
    while sent < number:
        run, newest = Run(place / f"{kind.name} {len(ends)}"), 0
        while not run.result():
            process = run.start()
            if sent < number:
                process.join(dice.uniform(0, seconds))
            if sent < number and process.is_alive():
                os.kill(process.pid, kind)
                sent += 1
            process.join()
            is_stopped = process.exitcode == -kind or STOPS in run.output()
            if not is_stopped and not run.result():
                raise RuntimeError(f"exit {process.exitcode}: {run.output()}")
            after_step += STOPS in run.output() and not run.result()
            resumed += "resuming from checkpoint-" in run.output()
            checkpoints = run.checkpoints()
            complete = [
                _number(c) for c in checkpoints if not training.checkpoints.check_checkpoint(c)
            ]
            during_save += len(complete) < len(checkpoints)
            lost += max(complete, default=0) < newest
            newest = max(complete, default=0)
        ends.append(run.result() == expected)
        shutil.rmtree(run.folder)
        message = (
            f"{sent} at random moments; {len(ends)} runs ended, {sum(ends)} of them the same; "
            f"{during_save} signals left half a checkpoint; {resumed} runs resumed from a "
            f"checkpoint; {lost} lost a complete one"
            + (f"; {after_step} ended their step first" if kind == signal.SIGTERM else "")
        )
        print(f"{kind.name}: {message}", flush=True)
        numbers = "the same" if all(ends) and not lost else "others"
        yield Row(kind.name, "-", OURS, "the newest complete", numbers, message)


def write_row(new: Row) -> None:
    """Write a row into the table, replacing an earlier one of the same case."""
    table, case = pd.DataFrame([new]), ["fault", "file", "chosen"]
    if TABLE.exists():
        table = pd.concat([pd.read_csv(TABLE, keep_default_na=False), table])
    table = table.drop_duplicates(case, keep="last").sort_values(case)
    table.to_csv(TABLE, index=False, lineterminator="\n")


def main() -> None:
    """Run without interruption, with signals, and with damage."""
    number = next((int(text) for text in sys.argv[1:] if text.isdecimal()), 50)
    names = [text for text in sys.argv[1:] if not text.isdecimal()]
    Run.context.set_forkserver_preload(["clinical_camel.sft_qlora", "transformers.trainer_utils"])
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        first, second = Run(place / "first"), Run(place / "second")
        first.start().join()  # the fork server starts and imports modules
        process, began = second.start(), time.monotonic()
        process.join()
        seconds, expected = time.monotonic() - began, first.result()
        if not expected or second.result() != expected:
            raise RuntimeError(f"two runs without interruption differ\n{second.output()}")
        parts = {
            "SIGKILL": lambda: kill(number, signal.SIGKILL, place, expected, seconds),
            "SIGTERM": lambda: kill(number // 2, signal.SIGTERM, place, expected, seconds),
            "damage": lambda: damage_all(place, expected),
        }
        wrong = []
        for row in (row for part in names or parts for row in parts[part]()):
            write_row(row)
            wrong += [row] if row.chosen == OURS and row.numbers != "the same" else []
    if wrong:
        raise SystemExit(f"{len(wrong)} of our runs ended in other numbers, first {wrong[0]}")


if __name__ == "__main__":
    main()
