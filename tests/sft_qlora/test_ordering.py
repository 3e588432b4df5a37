"""Tests of sft_qlora.ordering: batches of similar length, in random order."""

import numpy as np
import torch
from transformers.trainer_pt_utils import LengthGroupedSampler

from clinical_camel.sft_qlora.ordering import ShuffledBatches

LENGTHS = [int(x) for x in np.random.default_rng(0).lognormal(5, 1, 403)]
SIZE, ACCUMULATED = 4, 2


def make_sampler(seed=0):
    grouped = LengthGroupedSampler(SIZE * ACCUMULATED, lengths=LENGTHS)
    return ShuffledBatches(grouped, SIZE, seed)


def split(lengths):
    """Logarithms of the lengths, in batches."""
    return [np.log(lengths[i : i + SIZE]) for i in range(0, len(lengths), SIZE)]


def test_each_row_comes_once_and_the_longest_in_the_first_batch():
    sampler = make_sampler()
    order = list(sampler)
    assert sorted(order) == list(range(len(sampler))) == list(range(len(LENGTHS)))
    assert order[0] == LENGTHS.index(max(LENGTHS))


def test_a_batch_has_rows_of_similar_length_and_its_place_says_nothing_of_its_length():
    lengths = [LENGTHS[i] for i in make_sampler()]
    batches = split(lengths)
    assert np.mean([np.ptp(batch) for batch in batches]) < 0.3  # of all rows: about 6
    means = [batch.mean() for batch in batches]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3
    stock = make_sampler().grouped
    stock.generator = torch.Generator().manual_seed(0)
    grouped = [LENGTHS[i] for i in stock]
    means = [batch.mean() for batch in split(grouped)]
    assert np.corrcoef(means[:-1], means[1:])[0, 1] > 0.5  # what is mended here


def test_the_order_depends_on_seed_and_epoch_only():
    sampler, other = make_sampler(), make_sampler()
    first = list(sampler)
    assert list(sampler) == first == list(other)
    sampler.set_epoch(1)
    second = list(sampler)
    assert first != second != list(make_sampler(seed=2))
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_few_rows_are_one_incomplete_batch():
    grouped = LengthGroupedSampler(4, lengths=[3, 9])
    assert sorted(ShuffledBatches(grouped, 4, 0)) == [0, 1]
