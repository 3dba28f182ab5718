"""A training step of the captioners, as a share of the rate of this machine's matrix product.

    python benchmarks/training.py [--steps 20]

Batches hold random features and captions of realistic lengths (mean 11, at most 25 tokens). The operations
counted are those of real tokens (no padding): the multiply-adds of every weight matrix that a token or image
passes, twice for forward, four times for backward. The peak is a float32 product of 2048 x 2048, measured in
the same run, alternately with the steps.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.recipes.show_and_tell import show_and_tell
from showtell.recipes.show_attend_and_tell import show_attend_and_tell
from table import command, table

TOKENS, PER_IMAGE, VOCABULARY = 49, 5, 3478


def make_batch(images: int, feature_width: int, seed: int) -> Batch:
    """Captions of about 11 tokens, five per image."""
    generator = torch.Generator().manual_seed(seed)
    lengths = (torch.randn(images * PER_IMAGE, generator=generator) * 3.7 + 10.8).round().clamp(4, 25).int()
    ids, keep = pad([[1, *[4 + (7 * i) % 3000 for i in range(n)], 2] for n in lengths.tolist()])
    grid = torch.rand(images, TOKENS, feature_width, generator=generator)
    return Batch(
        ImageBatch(features=grid),
        TextBatch(ids, keep, owner=torch.arange(images).repeat_interleave(PER_IMAGE)),
    )


def operations(system: nn.Module, batch: Batch) -> float:
    """Floating-point operations of one step, counted from the weight matrices."""
    tokens = int(batch.texts.keep[:, 1:].sum())
    images = len(batch.images.features)
    total = 0
    for name, weight in system.named_parameters():
        if weight.ndim != 2 or (name == "word_embedding.weight" and hasattr(system, "output")):
            continue  # biases; an embedding that is looked up, not multiplied
        if name.startswith(("image", "attention.key")):
            total += weight.numel() * images * (TOKENS if hasattr(system, "attention") else 1)
        elif name.startswith("first"):
            total += weight.numel() * images
        else:
            total += weight.numel() * tokens
    return 6.0 * total


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    a, b = torch.rand(2, 2048, 2048)
    rows = []
    for build in (show_and_tell, show_attend_and_tell):
        recipe = build(6000)
        config = replace(recipe.system, vocab_size=VOCABULARY)
        system = config.build()
        optimiser = torch.optim.AdamW(system.parameters(), fused=True)
        batches = [
            make_batch(recipe.train.batch_size, config.feature_width, seed) for seed in range(options.steps)
        ]

        def step(batch: Batch, system=system, optimiser=optimiser) -> None:
            losses = system(batch).losses
            optimiser.zero_grad()
            sum(system.loss_weights[name] * value for name, value in losses.items()).backward()
            nn.utils.clip_grad_norm_(system.parameters(), 2.0)
            optimiser.step()

        for batch in batches[:2]:
            step(batch)
        taken, peak = [], []
        for batch in batches:
            taken.append(seconds(lambda batch=batch: step(batch)))
            peak.append(2 * 2048**3 / seconds(lambda: a @ b) / 1e9)
        work = statistics.mean(operations(system, batch) for batch in batches)
        step_seconds, best = statistics.median(taken), statistics.median(peak)
        rate = work / step_seconds / 1e9
        minutes = recipe.train.steps * step_seconds / 60
        rows.append(
            [
                build.__name__,
                recipe.train.batch_size,
                f"{1000 * step_seconds:.0f}",
                f"{rate:.0f}",
                f"{best:.0f}",
                f"{rate / best:.0%}",
                f"{minutes:.0f}",
            ]
        )
    command()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; a default run reads 6,000 images\n")
    table(
        [
            "recipe",
            "images per step",
            "ms per step",
            "GFLOP/s",
            "product's GFLOP/s",
            "share",
            "minutes per default run",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
