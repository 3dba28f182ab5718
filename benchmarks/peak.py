"""The best product that was measured: in float32 of torch's own (MKL) and oneDNN the faster one."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from showtell.nn.fastest import has_onednn, multiply_onednn

SIDE = 2048


@torch.inference_mode()
def peak(clock: Callable[[], float] = time.perf_counter, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations per second of a product of 2048 x 2048, each library once."""
    a, b = torch.rand(2, SIDE, SIDE).to(dtype)
    other = has_onednn() and dtype == torch.float32  # torch's own product in bfloat16 is oneDNN's
    products = [lambda: a @ b.t(), *([lambda: multiply_onednn(a, b)] if other else [])]
    taken = []
    for product in products:
        started = clock()
        product()
        taken.append(clock() - started)
    return 2 * SIDE**3 / min(taken)
