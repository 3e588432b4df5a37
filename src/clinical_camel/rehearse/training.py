"""Step 02: some optimizer steps, a checkpoint written, a training resumed, variants tried."""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from clinical_camel import sft_qlora
from clinical_camel.estimate.memory import count_checkpointed
from clinical_camel.rehearse import variants
from clinical_camel.rehearse.intervals import forecast_part
from clinical_camel.rehearse.process import has_gpu, measure_available, measure_peak, reset_peak
from clinical_camel.rehearse.record import Part, Trial
from clinical_camel.rehearse.stopwatch import Stopwatch
from clinical_camel.rehearse.task import Task
from clinical_camel.sft_qlora import speedups, training
from clinical_camel.sft_qlora.settings import Recipe
from clinical_camel.sft_qlora.tokenization import TokenizedMixture

STEPS, RESUMED_STEPS = 4, 2  # at least; the first step is not counted, because it warms up
SHARE = 0.55  # of the seconds, for the steps of the study
FORWARD_SHARE = 1 / 3  # of a training step: the time of a forward pass alone (plan: 2 of 6)


def replace_training(task: Task) -> Callable[..., tuple[Any, pd.DataFrame]]:
    """Return the function that takes the place of `sft_qlora.train` in the notebook."""

    def train(
        model: Any, tokenizer: Any, tokenized: TokenizedMixture, recipe: Recipe, *, folder: Path
    ) -> tuple[Any, pd.DataFrame]:
        with task.replace():
            return _Rehearsed(task, model, tokenizer, tokenized, recipe, folder).run()

    return train


class _Rehearsed:
    """The rehearsal of one training; each trial starts from the untrained base.

    On a GPU, a paged optimizer is replaced (`variants.replace_paged`).
    """

    def __init__(
        self,
        task: Task,
        base: Any,
        tokenizer: Any,
        tokenized: TokenizedMixture,
        recipe: Recipe,
        folder: Path,
    ) -> None:
        self.task, self.base, self.tokenizer = task, base, tokenizer
        self.tokenized, self.recipe, self.folder = tokenized, recipe, folder
        if has_gpu() and recipe.optimizer in variants.COUNTED:
            self.recipe = variants.replace_paged(recipe)
            task.measured.remarks.append(
                f"measured with {self.recipe.optimizer} instead of {recipe.optimizer}, assumed to "
                "take as long; its states count as GPU memory here, while paged ones can move to "
                "main memory"
            )
        self.layers = len(speedups.decoder_layers(base))

    def run(self) -> tuple[Any, pd.DataFrame]:
        """Measure, write the parts, and return the tuned model and its log."""
        start = time.monotonic()
        current = self.warm_up()
        recipe = self.shorten(current.seconds / self.recipe.gradient_accumulation_steps)
        scale = self.recipe.gradient_accumulation_steps / recipe.gradient_accumulation_steps
        first, overhead = self.train(recipe, self.task.seconds * SHARE, STEPS)
        is_stopped = len(first.times) < first.all_steps
        last = first
        if is_stopped:
            self.strip()
            last, _ = self.train(recipe, 0.0, RESUMED_STEPS)
            self.require_resumed(first, last)
        self.write_parts(first, scale, overhead)
        self.task.measured.facts |= {
            "resumed": is_stopped,
            "checkpoint_bytes": self.measure_checkpoint(),
            "lora_weights": sum(p.numel() for p in last.model.parameters() if p.requires_grad),
            "recomputed": count_checkpointed(self.recipe, self.layers) / self.layers,
        }
        self.task.measured.peak = current.memory = max(current.memory, measure_peak())
        self.task.save()
        tuned, log = last.model, last.log
        seconds = self.task.seconds - (time.monotonic() - start)
        if tried := self.try_variants(current, seconds):
            tuned = tried
        for place in self.folder.glob("checkpoints-*"):
            shutil.rmtree(place)
        return tuned, log

    def warm_up(self) -> Trial:
        """Train two batches of the longest rows; return what they need.

        The first pass of a process compiles and allocates, and the second one has the states of the
        optimizer: the largest memory of the training. If it does not fit, the first smaller variant
        that fits is rehearsed instead.
        """
        trial, _ = variants.try_recipe(self.try_once, self.recipe)
        if trial.fits:
            return trial
        self.task.measured.trials.append(trial)
        for recipe in variants.list_smaller(self.recipe, self.layers):
            smaller, _ = variants.try_recipe(self.try_once, recipe)
            self.task.measured.trials.append(smaller)
            if smaller.fits:
                change = variants.describe_change(smaller, trial)
                self.task.measured.facts["does_not_fit"] = change
                self.recipe = recipe
                return smaller
        raise MemoryError("this training does not fit on this machine, whatever is recomputed")

    def try_once(self, recipe: Recipe) -> tuple[float, Any]:
        """Train two batches of the longest rows; return seconds of the second, and the model."""
        self.strip()
        recipe = recipe.model_copy(update=variants.ONE_BATCH)
        watch, _ = self.train(recipe, 0.0, 2, list_longest(self.tokenized, recipe))
        return watch.times[-1], watch.model

    def require_resumed(self, first: Stopwatch, last: Stopwatch) -> None:
        """Raise RuntimeError unless the second training continued where the first one stopped."""
        if last.first_step != len(first.times):
            raise RuntimeError(
                f"the training resumed at step {last.first_step}, but its checkpoint is of step "
                f"{len(first.times)}"
            )

    def shorten(self, batch_seconds: float) -> Recipe:
        """Return the recipe with fewer accumulated batches if its steps take too long here."""
        batches, count = self.recipe.gradient_accumulation_steps, STEPS + RESUMED_STEPS
        allowed = int(self.task.seconds * SHARE / max(batch_seconds, 1e-6) / count)
        if allowed >= batches or batches == 1:
            return self.recipe
        used = max(1, allowed)
        self.task.measured.remarks.append(
            f"steps of {used} instead of {batches} accumulated batches were measured and multiplied"
        )
        return self.recipe.model_copy(update={"gradient_accumulation_steps": used})

    def train(
        self, recipe: Recipe, seconds: float, steps: int, rows: TokenizedMixture | None = None
    ) -> tuple[Stopwatch, float]:
        """Train until the stopwatch stops it; return it, and the seconds besides steps and saves.

        Raises TrainingError for a training that stopped for another reason.
        """
        watch, start = Stopwatch(seconds, steps), time.monotonic()
        try:
            training.train(
                self.base,
                self.tokenizer,
                rows or self.tokenized,
                recipe,
                folder=self.folder,
                callbacks=[watch],
            )
        except sft_qlora.TrainingError:
            if not watch.has_stopped:
                raise
        return watch, time.monotonic() - start - sum(watch.times) - sum(watch.saves)

    def write_parts(self, watch: Stopwatch, scale: float, overhead: float) -> None:
        """Forecast the complete training from the steps and checkpoints of `watch`."""
        task = self.task
        times = watch.times[1:] if len(watch.times) > 3 else watch.times
        is_exact = scale == 1 and task.facts.get("rows_complete")
        steps = watch.all_steps if is_exact else task.facts["optimizer_steps"]
        parts = [forecast_part("steps", "optimizer steps", [scale * t for t in times], steps)]
        parts[0].measured = sum(times)
        saves = count_saves(self.recipe, steps, parts[0].seconds)
        parts.append(forecast_part("checkpoints", "checkpoints", watch.saves, saves))
        parts.append(forecast_part("start of the trainer", "starts", [overhead], 1))
        if validation := task.facts.get("validation_tokens"):
            rate = parts[0].seconds / max(1, task.facts["training_tokens"])
            seconds = FORWARD_SHARE * rate * validation
            parts.append(
                Part("validation", "tokens", 0, validation, 0.0, seconds, 0.0, 2 * seconds)
            )
        task.measured.parts = parts
        task.save()

    def measure_checkpoint(self) -> int:
        newest = max(
            self.folder.glob("checkpoints-*/checkpoint-*"), key=lambda f: f.stat().st_mtime
        )
        return sum(file.stat().st_size for file in newest.rglob("*") if file.is_file())

    def try_variants(self, current: Trial, seconds: float) -> Any:
        """Try variants of the recipe for some seconds; return the last tuned model, or None."""
        deadline, tuned = time.monotonic() + seconds, None

        def run(recipe: Recipe) -> tuple[float, Any]:
            nonlocal tuned
            result = self.try_once(recipe)
            tuned = result[1]
            return result

        if seconds <= 0:
            recomputed = count_checkpointed(self.recipe, self.layers)
            if recomputed or self.recipe.gradient_accumulation_steps > 1:
                self.task.measured.remarks.append(
                    "no time to try fewer recomputed layers or larger batches; give more --minutes"
                )
            return None
        explored = variants.explore(
            run, self.recipe, self.layers, current.memory, measure_available()
        )
        for trial in explored:
            self.task.measured.trials.append(trial)
            self.task.save()
            if time.monotonic() > deadline:
                break
        best = variants.choose_best(self.task.measured.trials, current)
        if best is not None:
            gain = current.seconds / best.seconds
            change = variants.describe_change(best, current)
            self.task.measured.facts["faster"] = f"{change} is {gain:.2f} times as fast"
        reset_peak()
        return tuned

    def strip(self) -> None:
        """Take the adapter and the recomputation out of the base, so that it can train again."""
        strip_adapter(self.base)
        for layer in speedups.decoder_layers(self.base):
            layer.gradient_checkpointing = False
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def strip_adapter(base: Any) -> None:
    """Replace every LoRA layer of a base by the layer that it wraps."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(base.named_modules()):
        if isinstance(module, LoraLayer):
            parent, _, child = name.rpartition(".")
            setattr(base.get_submodule(parent), child, module.get_base_layer())
    base.__dict__.pop("peft_config", None)
    base._hf_peft_config_loaded = False
    for parameter in base.parameters():
        parameter.requires_grad_(False)


def list_longest(tokenized: TokenizedMixture, recipe: Recipe) -> TokenizedMixture:
    """Return rows for two batches of the longest row; with packing, of rows that fill them."""
    row = max(tokenized.rows, key=lambda row: len(row["input_ids"]))
    count = 2 * recipe.batch_size
    if recipe.packing:
        per_row = max(1, recipe.max_length // max(1, len(row["input_ids"])))
        count *= per_row
    return TokenizedMixture([row] * count, tokenized.counts, ["longest"] * count)


def limit_rows(task: Task, load: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Return `data.load_training_rows` with fewer rows of a large source, evenly spaced."""

    def load_rows(spec: str, share: float = 1.0, seed: int = 0) -> list[Any]:
        rows = load(spec, share, seed)
        limit = task.facts.get("rows_per_source", 0)
        if limit and len(rows) > limit:
            task.facts["rows_complete"] = False
            rows = rows[:: -(-len(rows) // limit)]
        return rows

    return load_rows


def count_saves(recipe: Recipe, steps: int, seconds: float) -> int:
    """Return the checkpoints of a training of so many steps and seconds, the last one included.

    >>> count_saves(Recipe(save_steps=200), 450, 7200.0)
    3
    >>> count_saves(Recipe(save_steps=200, save_minutes=20.0), 450, 7200.0)
    6
    """
    by_steps = math.ceil(steps / recipe.save_steps)
    by_time = seconds / (60 * recipe.save_minutes) if recipe.save_minutes else 0.0
    return max(1, by_steps, math.floor(by_time))
