"""The division of a data set into training and held-out items, by a hash of each item's key.

Captioned images are keyed by file name, labelled images by their name in the data set, texts by content. An
item stays on its side when others come or go, and equal keys stay together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def position(key: bytes) -> float:
    """A number in 0..1 that depends on the key alone, spread evenly."""
    return int.from_bytes(hashlib.sha256(key).digest()[:8]) / 2**64


def held_out(keys: Sequence[bytes], share: float = 1.0, *, most: int | None = None) -> list[bool]:
    """Which items are held out for validation: about `share` of them, at least one, and at most `most`.

    Those are the items with the lowest positions.

    >>> held_out([b"a", b"b", b"c", b"a"], share=0.0)
    [False, False, True, False]
    >>> sum(held_out([b"%d" % n for n in range(1000)], share=0.1))
    106
    >>> sum(held_out([b"%d" % n for n in range(1000)], most=30))
    30
    """
    return lowest(np.array([position(key) for key in keys], np.float64), share, most).tolist()


def parted(items: Sequence[Item], out: Iterable[bool]) -> tuple[list[Item], list[Item]]:
    """The items to train on, and those that are held out.

    >>> parted("abc", [False, True, False])
    (['a', 'c'], ['b'])
    """
    pairs = list(zip(items, out, strict=True))
    return [item for item, held in pairs if not held], [item for item, held in pairs if held]


def lowest(positions: np.ndarray, share: float, most: int | None = None) -> np.ndarray:
    """Which of `positions [N]` are held out: `bool [N]`; see `held_out`."""
    ascending = np.sort(positions)[:most]
    chosen = ascending[ascending <= share]
    limit = chosen[-1] if len(chosen) else ascending[0] if len(ascending) else 0.0
    return positions <= limit
