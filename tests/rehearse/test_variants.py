"""Variants of a training: the same recipe, other batches and recomputed layers."""

import pytest
from tests.support.toy_training import toy_recipe

from clinical_camel.estimate.memory import count_checkpointed, estimate_optimizer_states
from clinical_camel.rehearse import variants
from clinical_camel.rehearse.record import Trial
from clinical_camel.sft_qlora import OPTIMIZERS

LAYERS, BATCH, BATCHES = variants.LAYERS, variants.BATCH, variants.BATCHES


class Machine:
    """A machine of so many bytes on which a layer that is not recomputed takes 10 for each row."""

    def __init__(self, memory: int, layers: int = 16) -> None:
        self.memory, self.layers, self.used = memory, layers, 0

    def find_need(self, recipe) -> int:
        full = self.layers - count_checkpointed(recipe, self.layers)
        return 100 + 10 * full * recipe.batch_size

    def run(self, recipe) -> tuple[float, str]:
        self.used = self.find_need(recipe)
        if self.used > self.memory:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        recomputed = count_checkpointed(recipe, self.layers) / self.layers
        return recipe.batch_size**0.9 * (2 + recomputed), "model"


@pytest.fixture
def explore(monkeypatch):
    def trials(machine: Machine, recipe, on_gpu: bool = False) -> list[Trial]:
        monkeypatch.setattr(variants, "measure_peak", lambda: machine.used)
        monkeypatch.setattr(variants, "reset_peak", lambda: None)
        monkeypatch.setattr(variants.torch.cuda, "is_available", lambda: on_gpu)
        need = machine.find_need(recipe)
        return list(variants.explore(machine.run, recipe, machine.layers, need, machine.memory))

    return trials


def recipe_of(batch: int, batches: int, layers: int):
    return toy_recipe(**{BATCH: batch, BATCHES: batches, LAYERS: layers})


def test_the_fewest_layers_that_fit_are_found_with_two_measurements(explore):
    trials = explore(Machine(memory=200), recipe_of(1, 1, -1))
    assert [trial.settings[LAYERS] for trial in trials] == [14, 8]
    assert all(trial.fits for trial in trials)
    assert variants.USABLE * 200 < 100 + 10 * (16 - 7)  # one layer fewer does not fit


def test_the_product_of_batch_and_accumulation_stays(explore):
    trials = explore(Machine(memory=100_000), recipe_of(2, 6, 0))
    assert [(t.settings[BATCH], t.settings[BATCHES]) for t in trials] == [(4, 3), (12, 1)]


def test_nothing_is_tried_on_a_cpu_that_may_need_more_than_there_is(explore):
    assert explore(Machine(memory=400), recipe_of(1, 8, 0)) == []
    assert explore(Machine(memory=700), recipe_of(1, 3, 0)) == []  # the next batch has three rows


def test_no_larger_batch_is_tried_after_one_that_does_not_fit(explore):
    machine, recipe = Machine(memory=400), recipe_of(1, 8, 0)
    assert [trial.fits for trial in explore(machine, recipe, on_gpu=True)] == [False]
    machine = Machine(memory=600)
    assert [trial.fits for trial in explore(machine, recipe, on_gpu=True)] == [True, False]


class SlowMachine(Machine):
    """A row takes the same time in a batch of any size."""

    def run(self, recipe) -> tuple[float, str]:
        super().run(recipe)
        return float(recipe.batch_size), "model"


def test_no_larger_batch_is_tried_after_one_that_is_not_faster(explore):
    trials = explore(SlowMachine(memory=100_000), recipe_of(1, 8, 0))
    assert list_settings(trials) == [(2, 4, 0, True), (4, 2, 0, True)]


def list_settings(trials: list[Trial]) -> list[tuple]:
    return [(*(t.settings[name] for name in (BATCH, BATCHES, LAYERS)), t.fits) for t in trials]


class UnevenMachine(Machine):
    """Each further layer that is not recomputed takes more than the one before."""

    def find_need(self, recipe) -> int:
        return 100 + (self.layers - count_checkpointed(recipe, self.layers)) ** 2


def test_layers_are_halved_if_the_calculated_ones_do_not_fit(explore):
    trials = explore(UnevenMachine(memory=200), recipe_of(1, 1, -1))
    layers = [(trial.settings[LAYERS], trial.fits) for trial in trials]
    expected = [(14, True), (0, False), (7, True), (3, False), (5, False), (6, True)]
    assert layers == expected


def test_layers_are_halved_if_the_first_ones_do_not_fit(explore):
    trials = explore(Machine(memory=115), recipe_of(1, 1, -1))
    assert list_settings(trials) == [(1, 1, 14, False), (1, 1, 15, True)]


def test_batches_between_the_largest_that_fits_and_one_that_does_not_are_tried(explore):
    recipe = recipe_of(2, 6, 0)
    first = [(4, 3, 0, True), (12, 1, 0, False)]
    for memory, fits in ((1100, True), (900, False)):
        trials = explore(Machine(memory), recipe, on_gpu=True)
        assert list_settings(trials) == [*first, (6, 2, 0, fits)]


def test_larger_batches_start_with_the_fewest_layers_that_fit(explore):
    trials = explore(Machine(memory=100_000), recipe_of(1, 4, -1))
    layers = [(1, 4, 14, True), (1, 4, 0, True)]
    assert list_settings(trials) == [*layers, (2, 2, 0, True), (4, 1, 0, True)]


def test_larger_batches_have_the_layers_of_the_study_if_none_fits_with_fewer(explore):
    trials = explore(Machine(memory=200), recipe_of(1, 2, -1), on_gpu=True)
    layers = [(1, 2, 14, True), (1, 2, 8, True)]
    assert list_settings(trials) == [*layers, (2, 1, 8, False), (2, 1, -1, True)]


def test_out_of_memory_is_a_trial_that_does_not_fit_and_other_errors_are_raised():
    trial, model = variants.try_recipe(Machine(memory=50).run, recipe_of(1, 1, 0))
    assert (trial.fits, trial.reason, model) == (False, "out of memory", None)

    def fail(_):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        variants.try_recipe(fail, recipe_of(1, 1, 0))


def test_smaller_recipes_recompute_more_and_then_have_smaller_batches():
    recipes = list(variants.list_smaller(recipe_of(4, 2, 0), layers=8))
    assert [getattr(recipe, LAYERS) for recipe in recipes] == [2, 4, 6, -1, -1, -1]
    assert [getattr(recipe, BATCH) for recipe in recipes] == [4, 4, 4, 4, 2, 1]
    assert {recipe.batch_size * recipe.gradient_accumulation_steps for recipe in recipes} == {8}


def test_only_a_clear_gain_is_worth_a_change():
    settings = {BATCH: 1, BATCHES: 4, LAYERS: 0}
    current = Trial(settings, fits=True, seconds=10.0)
    faster = Trial(settings | {BATCH: 2, BATCHES: 2}, fits=True, seconds=8.0)
    same = Trial(settings | {BATCH: 4, BATCHES: 1}, fits=True, seconds=9.9)
    too_large = Trial(settings | {BATCH: 8}, fits=False, reason="out of memory")
    assert variants.choose_best([same, too_large], current) is None
    best = variants.choose_best([same, faster, too_large], current)
    assert (
        variants.describe_change(best, current) == "batch_size: 2, gradient_accumulation_steps: 2"
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_of_a_trial_has_states_that_torch_counts_of_the_same_size(optimizer):
    used = variants.replace_paged(toy_recipe(optimizer=optimizer)).optimizer
    assert "paged" not in used
    assert used == optimizer or "paged" in optimizer
    shapes = [(64, 4096), (8, 16)]
    assert estimate_optimizer_states(used, shapes) == estimate_optimizer_states(optimizer, shapes)
