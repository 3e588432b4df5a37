"""Variants of a training with the same recipe: fewer recomputed layers, larger batches.

`batch_size` x `gradient_accumulation_steps` stays the same, so every variant takes the same steps
on the same rows; only time and memory differ. Each is tried with two batches of the longest rows.
"""

import math
from collections.abc import Callable, Generator, Iterator
from typing import Any

import torch

from clinical_camel.estimate.memory import count_checkpointed
from clinical_camel.models.workers import is_out_of_memory
from clinical_camel.rehearse.process import measure_peak, reset_peak
from clinical_camel.rehearse.record import Trial
from clinical_camel.sft_qlora.settings import Recipe

LAYERS, BATCH, BATCHES = (
    *("gradient_checkpointing_layers", "batch_size", "gradient_accumulation_steps"),
)
# one epoch over the rows for two batches, with nothing but training
ONE_BATCH: dict[str, Any] = {
    **{BATCHES: 1, "num_epochs": 1.0, "validation_fraction": 0.0, "warmup_steps": 0.0},
    **{
        "load_best_model_at_end": False,
        "group_by_length": False,
        "save_steps": 100_000,
        "save_minutes": 0.0,
    },
}
USABLE = 0.92  # share of the memory; the rest is lost to fragments: assumed
GAIN = 1.03  # times as fast; less is no reason to change a setting
# for an optimizer whose states torch does not count: one with the same bytes of states
COUNTED = {"paged_adamw_32bit": "adamw_torch", "paged_adamw_8bit": "adamw_bnb_8bit"}
Try = Callable[[Recipe], tuple[float, Any]]  # returns seconds of a batch, and the tuned model


def try_recipe(run: Try, recipe: Recipe) -> tuple[Trial, Any]:
    """Try two batches; return the trial, and the tuned model or None if memory ran out."""
    settings = {name: getattr(recipe, name) for name in (BATCH, BATCHES, LAYERS)}
    reset_peak()
    try:
        seconds, model = run(recipe)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return Trial(settings, fits=False, reason="out of memory"), None
    seconds *= recipe.gradient_accumulation_steps
    return Trial(settings, fits=True, seconds=seconds, memory=measure_peak()), model


def replace_paged(recipe: Recipe) -> Recipe:
    """Return the recipe for trials on a GPU: with an optimizer whose states torch counts.

    bitsandbytes takes the states of a paged optimizer from cudaMallocManaged and never frees them.
    torch counts them only in a resumed training, where they are ordinary tensors.
    """
    return recipe.model_copy(update={"optimizer": COUNTED.get(recipe.optimizer, recipe.optimizer)})


def list_smaller(recipe: Recipe, layers: int) -> Iterator[Recipe]:
    """Yield recipes that need less and less memory: more recomputed layers, smaller batches."""
    count = count_checkpointed(recipe, layers)
    steps = {count + math.ceil((layers - count) * share) for share in (0.25, 0.5, 0.75, 1)}
    for more in sorted(steps - {count}):
        yield recipe.model_copy(update={LAYERS: -1 if more == layers else more})
    batch, batches = recipe.batch_size, recipe.gradient_accumulation_steps
    while batch > 1:
        factor = next(n for n in range(2, batch + 1) if batch % n == 0)
        batch, batches = batch // factor, batches * factor
        yield recipe.model_copy(update={LAYERS: -1, BATCH: batch, BATCHES: batches})


def explore(run: Try, recipe: Recipe, layers: int, peak: int, available: int) -> Iterator[Trial]:
    """Yield trials of fewer recomputed layers, then of larger batches.

    `peak`: bytes that `recipe` needs; `available`: bytes of this machine, 0: unknown. The fewest
    layers are calculated from two measurements and then tried. Larger batches start with the fewest
    layers that fit; if none fits with these, with the layers of `recipe`. After a trial that does
    not fit, those between it and the last that fits are tried by halves. On a CPU running out of
    memory ends the process, so nothing is tried there that may need more than `available`.
    """
    best, memory = recipe, peak
    for trial in _explore_layers(run, recipe, layers, peak, available):
        yield trial
        if trial.fits:  # with fewer layers than any before that fits
            best, memory = recipe.model_copy(update=trial.settings), trial.memory
    has_fitted = yield from _explore_batches(run, best, memory, available)
    if not has_fitted and best is not recipe:
        yield from _explore_batches(run, recipe, peak, available)


def _explore_batches(
    run: Try, recipe: Recipe, memory: int, available: int
) -> Generator[Trial, None, bool]:
    """Yield trials of larger batches while they are faster; return whether one fitted."""
    batch, batches = recipe.batch_size, recipe.gradient_accumulation_steps
    rows, best = batch * batches, 0.0  # optimizer steps per second
    while batches > 1:
        fitting = batch
        factor = next(n for n in range(2, batches + 1) if batches % n == 0)
        if not torch.cuda.is_available() and factor * memory >= USABLE * available:
            break
        batch, batches = batch * factor, batches // factor
        trial, _ = try_recipe(run, recipe.model_copy(update={BATCH: batch, BATCHES: batches}))
        yield trial
        if not trial.fits:
            between = [n for n in range(fitting + 1, batch) if rows % n == 0]
            changes = [{BATCH: n, BATCHES: rows // n} for n in between]
            has_fitted = yield from _try_between(run, recipe, changes)
            return has_fitted or best > 0
        if 1 / trial.seconds < GAIN * best:
            return True
        best, memory = 1 / trial.seconds, trial.memory
    return best > 0


def _explore_layers(
    run: Try, recipe: Recipe, layers: int, peak: int, available: int
) -> Iterator[Trial]:
    count = count_checkpointed(recipe, layers)
    if not count or not available:
        return
    changes = [{LAYERS: n} for n in reversed(range(count))]  # one layer fewer, two, ...
    fewer = max(1, count // 8)
    trial, _ = try_recipe(run, recipe.model_copy(update=changes[fewer - 1]))
    yield trial
    if not trial.fits:
        yield from _try_between(run, recipe, changes[: fewer - 1])
        return
    per_layer = (trial.memory - peak) / fewer
    room = USABLE * available - peak
    most = count if per_layer <= 0 else min(count, int(room / per_layer))
    if most > fewer:
        trial, _ = try_recipe(run, recipe.model_copy(update=changes[most - 1]))
        yield trial
        if not trial.fits:
            yield from _try_between(run, recipe, changes[fewer : most - 1])


def _try_between(
    run: Try, recipe: Recipe, changes: list[dict[str, int]]
) -> Generator[Trial, None, bool]:
    """Yield trials until the last change that fits is found; return whether one fits.

    `changes`: each needs more memory than the one before.
    """
    has_fitted = False
    while changes:
        middle = len(changes) // 2
        trial, _ = try_recipe(run, recipe.model_copy(update=changes[middle]))
        yield trial
        has_fitted |= trial.fits
        changes = changes[middle + 1 :] if trial.fits else changes[:middle]
    return has_fitted


def choose_best(trials: list[Trial], current: Trial) -> Trial | None:
    """Return the fastest trial that fits, if it is faster than the current settings by GAIN."""
    fitting = [trial for trial in trials if trial.fits and trial.seconds]
    best = min(fitting, key=lambda trial: trial.seconds, default=None)
    if best is None or (current.fits and best.seconds * GAIN > current.seconds):
        return None
    return best


def describe_change(trial: Trial, current: Trial) -> str:
    """Return the settings of `trial` that differ from the current ones, as in a params file."""
    changed = {n: v for n, v in trial.settings.items() if current.settings.get(n) != v}
    return ", ".join(f"{name}: {value}" for name, value in changed.items())
