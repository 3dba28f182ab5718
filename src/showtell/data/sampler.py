"""Shuffled batches as a pure function of the step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

logger = logging.getLogger(__name__)


@lru_cache(maxsize=4)
def _order(num_items: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(num_items)


class Sampler:
    """Batches of indices: a new permutation per epoch, each item once per epoch.

    The epochs are concatenated and cut into batches of equal size: the last batch of an epoch continues with
    the first items of the next, so no batch is short and no item is dropped. A batch across the boundary can
    therefore hold the same item twice.

    Where an item must not be its own negative, `distinct` drops what remains of each epoch after its last
    full batch (other items each time), so no batch crosses. With fewer items than the batch size, every batch
    is all of them.

    >>> sampler = Sampler(num_items=5, batch_size=2, seed=0)
    >>> sorted(i for step in range(5) for i in sampler(step))
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    >>> sampler(3) == Sampler(num_items=5, batch_size=2, seed=0)(3)
    True
    >>> distinct = Sampler(num_items=5, batch_size=2, seed=0, distinct=True)
    >>> [len(set(distinct(step))) for step in range(5)], distinct.epoch(2)
    ([2, 2, 2, 2, 2], 1)
    """

    def __init__(self, num_items: int, batch_size: int, seed: int = 0, *, distinct: bool = False) -> None:
        if num_items < 1 or batch_size < 1:
            raise ValueError(f"a sampler needs items and a batch size, not {num_items} and {batch_size}")
        if num_items < batch_size:
            holds = "is all of them" if distinct else "holds some more than once"
            logger.warning(
                "a batch of %d is more than the %d items to train on: each %s", batch_size, num_items, holds
            )
        self.num_items, self.seed = num_items, seed
        self.batch_size = min(batch_size, num_items) if distinct else batch_size
        self._per_epoch = num_items - num_items % self.batch_size if distinct else num_items

    @property
    def batches_per_epoch(self) -> int:
        """The number of whole batches of an epoch."""
        return self._per_epoch // self.batch_size

    def __call__(self, step: int) -> list[int]:
        """The items of batch `step`, from 0. A pure function: threads may call it in any order."""
        position, end = step * self.batch_size, (step + 1) * self.batch_size
        items: list[int] = []
        while position < end:
            epoch, start = divmod(position, self._per_epoch)
            order = _order(self.num_items, self.seed, epoch)
            items += order[start : start + end - position].tolist()
            position = step * self.batch_size + len(items)
        return items

    def epoch(self, step: int) -> int:
        """The epoch of the first item of batch `step`, from 0."""
        return step * self.batch_size // self._per_epoch


class SimilarLengths:
    """Batches of items that are about as long as each other, so that little is padding.

    As a `Sampler` with `distinct`, but each epoch is sorted by length before it is cut into batches, which
    then come in random order. Items of equal length meet others each time. `lengths` gives those of all items
    in an epoch.

    >>> sampler = SimilarLengths(6, 2, lambda epoch: [5, 1, 5, 1, 9, 9])
    >>> sorted(sorted(sampler(step)) for step in range(3))
    [[0, 2], [1, 3], [4, 5]]
    """

    def __init__(
        self, num_items: int, batch_size: int, lengths: Callable[[int], Sequence[int]], seed: int = 0
    ) -> None:
        self._plain = Sampler(num_items, batch_size, seed, distinct=True)
        self._batches = lru_cache(maxsize=4)(self._sorted)
        self._lengths = lengths

    def __call__(self, step: int) -> list[int]:
        """The items of batch `step`, from 0. A pure function: threads may call it in any order."""
        per_epoch = self._plain.batches_per_epoch
        return self._batches(step // per_epoch)[step % per_epoch].tolist()

    def epoch(self, step: int) -> int:
        """The epoch of batch `step`, from 0."""
        return self._plain.epoch(step)

    def _sorted(self, epoch: int) -> np.ndarray:
        """The batches of an epoch, `int64 [batches, items]`."""
        count, lengths = self._plain.batches_per_epoch, np.asarray(self._lengths(epoch))
        order = np.array([self._plain(epoch * count + batch) for batch in range(count)]).ravel()
        batches = order[np.argsort(lengths[order], kind="stable")].reshape(count, -1)
        return np.random.default_rng((self._plain.seed, epoch, 1)).permutation(batches)
