"""A training step while threads prepare its batches: plain threads, and those of `prefetch`.

    python benchmarks/preparing.py [--steps 20] [--rounds 5]

SimMIM's step of `vit_mini` on 32 images of 32 px, whose views are drawn in a few milliseconds. The limit is
the step alone, with all views ready. All ways alternate; the threads end with their round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch
from torch import Tensor

from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.augment import SIMMIM, draw_views
from showtell.data.prefetch import prefetch
from showtell.runtime import keep_freed_memory
from showtell.systems.simmim import SimMIM, SimMIMConfig
from showtell.train.config import Precision
from showtell.train.precision import autocast
from table import command, table

AHEAD = 4


def plain(function: Callable[[int], Tensor], items: range, ahead: int) -> Iterator[Tensor]:
    """`prefetch` with ordinary threads."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = [pool.submit(function, item) for item in items[:ahead]]
        for item in items[ahead:]:
            yield pending.pop(0).result()
            pending.append(pool.submit(function, item))
        for future in pending:
            yield future.result()


def stepping(precision: Precision) -> Callable[[Tensor], None]:
    """The update of a new system."""
    torch.manual_seed(0)
    system = SimMIM(SimMIMConfig("vit_mini", "cifar"))
    optimiser = torch.optim.AdamW(system.parameters(), fused=True)
    generator = torch.Generator().manual_seed(0)

    def step(views: Tensor) -> None:
        with autocast(precision, "cpu"):
            loss = system(Batch(ImageBatch(views=views)), generator).losses["masked_pixels"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    keep_freed_memory()  # as the command does
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (32, 3, 32, 32), dtype=torch.uint8, generator=generator)
    recipe = (replace(SIMMIM[0], size=32),)

    def draw(index: int) -> Tensor:
        return draw_views(pixels, recipe, torch.Generator().manual_seed(index))

    steps = range(options.steps)
    ready = [draw(index) for index in steps]
    ways: dict[str, Callable[[], Iterable[Tensor]]] = {
        "nobody": lambda: ready,
        "plain threads": lambda: plain(draw, steps, AHEAD),
        "prefetch": lambda: prefetch(draw, steps, AHEAD),
    }
    rows = []
    precisions: tuple[Precision, ...] = ("float32", "bf16")
    for precision in precisions:
        step = stepping(precision)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds + 1):
            for name, batches in ways.items():
                started = time.perf_counter()
                for views in batches():
                    step(views)
                times[name].append((time.perf_counter() - started) / options.steps)
        # The first round warms up.
        medians = {name: statistics.median(values[1:]) for name, values in times.items()}
        for name, value in medians.items():
            speed = f"{medians['nobody'] / value:.2f}"
            rows.append([precision, name, f"{value * 1000:.0f}", speed])
    command()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    table(["precision", "views drawn meanwhile by", "ms per step", "relative speed of the step"], rows)


if __name__ == "__main__":
    main()
