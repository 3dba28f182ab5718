"""Which library multiplies float32 matrices fastest on this machine: torch's own (MKL), or oneDNN.

A command asks for it (`runtime.prepare_process` sets `SHOWTELL_LINEAR=auto`); a program that imports showtell
computes by torch unless it sets the variable. The measurement takes 20 ms and is kept in the cache folder, by
processor, version of torch and number of threads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.errors import UsageError
from showtell.nn.once_per_machine import once_per_machine

SETTINGS = ("auto", "torch", "onednn")
"""What `SHOWTELL_LINEAR` may say; `torch`, the default of the library, turns the choice off."""
PRODUCTS = ("forward", "input", "weight")
"""Of a linear layer: its output, and the gradients of its input and of its weight."""
ROWS, WIDTH, SECONDS = 256, 512, 0.02
MARGIN = 1.25
"""OneDNN must be so much faster. On AMD it is twice as fast; on Intel it wins these small products by a tenth
and loses those of a transformer (1,500 rows, width 768) by as much."""

Rates = dict[str, dict[str, float]]
"""GFLOP/s and core by product and library."""
clock = time.perf_counter if os.name == "nt" else time.process_time
"""CPU time, which other programs affect less; Windows counts it in steps of 16 ms."""


def multiply_onednn(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """`a b^T + bias` for `a [... K]`, `b [M K]`, by oneDNN; it is slow on a transposed view."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.contiguous(), bias, "none", [], "")
    return product


def by_onednn() -> frozenset[str]:
    """The `PRODUCTS` that oneDNN computes in this process; torch computes the others.

    Raises `UsageError` for a `SHOWTELL_LINEAR` that is none of `SETTINGS`.
    """
    return _chosen(os.environ.get("SHOWTELL_LINEAR", "torch"), torch.get_num_threads())


@lru_cache(maxsize=8)
def _chosen(setting: str, threads: int) -> frozenset[str]:
    if setting not in SETTINGS:
        raise UsageError(f"SHOWTELL_LINEAR={setting} is unknown; give one of {', '.join(SETTINGS)}")
    if setting == "torch" or not has_onednn():
        return frozenset()
    if setting == "onednn":
        return frozenset(PRODUCTS)
    return faster(rates(threads))


def has_onednn() -> bool:
    """Whether this build of torch can multiply by oneDNN."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def faster(rates: Mapping[str, Mapping[str, float]]) -> frozenset[str]:
    """The products in which oneDNN is faster by the `MARGIN`."""
    return frozenset(name for name in PRODUCTS if rates[name]["onednn"] > MARGIN * rates[name]["torch"])


def rates(threads: int) -> Rates:
    """The rate of each product by each library with so many threads, measured once per machine."""
    return once_per_machine("products.json", f"{threads} threads", measure, _read)


def _read(kept: Any) -> Rates:
    return {name: {by: float(kept[name][by]) for by in ("torch", "onednn")} for name in PRODUCTS}


@torch.inference_mode()
def measure() -> Rates:
    """Each product by each library in turns, for `SECONDS` and three times at least; the best one counts."""
    generator = torch.Generator().manual_seed(0)
    x, grad = torch.rand(2, ROWS, WIDTH, generator=generator)
    weight = torch.rand(WIDTH, WIDTH, generator=generator)
    work: dict[tuple[str, str], Callable[[], Tensor]] = {
        ("forward", "torch"): lambda: F.linear(x, weight),
        ("forward", "onednn"): lambda: multiply_onednn(x, weight),
        ("input", "torch"): lambda: grad @ weight,
        ("input", "onednn"): lambda: multiply_onednn(grad, weight.t()),
        ("weight", "torch"): lambda: grad.t() @ x,
        ("weight", "onednn"): lambda: multiply_onednn(grad.t(), x.t()),
    }
    best = dict.fromkeys(work, float("inf"))
    for product in work.values():
        product()
    rounds, began = 0, time.perf_counter()
    while rounds < 3 or time.perf_counter() - began < SECONDS:
        for name, product in work.items():
            started = clock()
            product()
            best[name] = min(best[name], clock() - started)
        rounds += 1
    gigaflops = 2e-9 * ROWS * WIDTH * WIDTH
    return {
        name: {by: round(gigaflops / best[name, by], 1) for by in ("torch", "onednn")} for name in PRODUCTS
    }
