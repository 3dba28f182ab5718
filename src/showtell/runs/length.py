"""The length of a run, from how much data there is."""

from __future__ import annotations

import math


def epochs(count: float, num_items: int, batch_size: int, *, at_least: int) -> int:
    """Steps that read every item `count` times; few items are read more often.

    >>> epochs(10, 6000, 16, at_least=600), epochs(10, 100, 16, at_least=600)
    (3750, 600)
    """
    return max(math.ceil(count * num_items / batch_size), at_least)


def steps_for_words(most: int, num_words: int, batch_size: int, max_length: int, *, times: int = 20) -> int:
    """`most` steps, or as many as read few words about `times` times, but at least 200.

    >>> steps_for_words(10_000, 10**7, 32, 64), steps_for_words(10_000, 10**5, 32, 64)
    (10000, 977)
    >>> steps_for_words(10_000, 100, 32, 64)
    200
    """
    return min(most, epochs(times, num_words, batch_size * max_length, at_least=200))
