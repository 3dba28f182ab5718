"""Whether products in bfloat16 are faster than in float32 on a device.

A processor with matrix units (AMX) multiplies several times faster in bfloat16, a GPU as well. One whose
vector units alone know bfloat16 (AVX-512) may win or lose by two, and is measured: 20 ms, once per machine.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch.nn import functional as F

from showtell.nn.fastest import MARGIN, ROWS, WIDTH, clock, has_onednn, rates
from showtell.nn.once_per_machine import once_per_machine


def has_fast_bfloat16(device: str) -> bool:
    """Whether bfloat16 saves time; many processors only emulate it."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.cpu._is_amx_tile_supported():
        return True
    return has_onednn() and torch.cpu._is_avx512_bf16_supported() and _wins(torch.get_num_threads())


@lru_cache(maxsize=8)
def _wins(threads: int) -> bool:
    """Whether a product beats the faster one of float32 by the margin that casts take."""
    rate = once_per_machine("bfloat16.json", f"{threads} threads", measure, float)
    return rate > MARGIN * max(rates(threads)["forward"].values())


@torch.inference_mode()
def measure() -> float:
    """The rate of a product in bfloat16, GFLOP/s and core: the best of some."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.rand(rows, WIDTH, generator=generator).bfloat16() for rows in (ROWS, WIDTH))
    best = float("inf")
    for _ in range(10):
        started = clock()
        F.linear(x, weight)
        best = min(best, clock() - started)
    return round(2e-9 * ROWS * WIDTH * WIDTH / best, 1)
