"""How long a run is."""

from __future__ import annotations

import math


def epochs(count: float, num_items: int, batch_size: int, *, at_least: int) -> int:
    """Steps that read every item `count` times; few items are read more often.

    >>> epochs(10, 6000, 16, at_least=600), epochs(10, 100, 16, at_least=600)
    (3750, 600)
    """
    return max(math.ceil(count * num_items / batch_size), at_least)
