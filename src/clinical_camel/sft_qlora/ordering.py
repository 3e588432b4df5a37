"""The order of training rows in batches of similar length."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler


class ShuffledBatches(Sampler):
    """The batches of transformers' LengthGroupedSampler, in random order.

    That sampler orders the rows of a block from long to short. So the loss of a step follows the
    length of its rows, and the mean of the last steps is one over short rows. The first batch keeps
    its place, because it holds the longest row: a lack of memory shows at once. An incomplete batch
    stays the last. The order depends on seed and epoch only, so a resumed epoch has the same.
    """

    def __init__(self, grouped: LengthGroupedSampler, batch_size: int, seed: int) -> None:
        self.grouped, self.batch_size, self.seed, self.epoch = grouped, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.grouped.generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order, size = list(self.grouped), self.batch_size
        full = len(order) // size
        later = 1 + torch.randperm(max(0, full - 1), generator=self.grouped.generator)
        for batch in [0, *later.tolist()][:full]:
            yield from order[batch * size : (batch + 1) * size]
        yield from order[full * size :]

    def __len__(self) -> int:
        return len(self.grouped)
