"""Memory and time of a training step for growing batches, whole and in chunks.

    python benchmarks/gradient_cache.py [--system clip] [--batches 32,64,128,256] [--chunk 32] [--tiny]

`clip` is CLIP ViT-B/32, images of 224 pixels: a contrastive loss. `blip` is BLIP with six blocks of 384 over
the features of a frozen encoder: its three losses, a teacher and a queue of 1,024. Parameters are random,
captions of 16 tokens. Each row is its own process. `MB live` is the most that the tensors of a step take at
once, the batch included, parameters and their gradients not; `MB peak` the most memory of the process, and
so what the C library keeps of it. For `blip` a step of one chunk comes first, so that the difference is what
more pairs cost.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch.profiler import ProfilerActivity, profile

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.protocols import Step
from showtell.runtime import WAITING
from showtell.systems.blip import BLIP, BLIPConfig
from showtell.systems.clip import CLIP, CLIPConfig, TowerConfig
from showtell.train.gradient_cache import cached_backward
from table import command, table


def peak() -> float:
    """Peak resident memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(step: Callable[[], None]) -> dict[str, float]:
    """Seconds of a step and the process's peak; then, of a second one, the most that its tensors take; MB."""
    started = time.perf_counter()
    step()
    found = {"seconds": time.perf_counter() - started, "peak": peak()}
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    return {**found, "live": most / 2**20}


def captions_of(batch_size: int, words: int) -> TextBatch:
    """A caption of each image."""
    return TextBatch(
        torch.randint(1, words, (batch_size, 16)),
        torch.ones(batch_size, 16, dtype=torch.bool),
        owner=torch.arange(batch_size),
    )


def measure_blip(batch_size: int, chunk_size: int, tiny: bool) -> dict[str, float]:
    """One step of BLIP in this process, after one of a single chunk."""
    torch.set_flush_denormal(True)
    width, depth = (32, 2) if tiny else (384, 6)
    sizes = {"width": width, "depth": depth, "mlp_dim": 4 * width, "num_heads": width // 16}
    tower = TowerConfig(width, width // 16, 4 * width, 1)
    system = BLIP(
        BLIPConfig(
            image=tower,
            feature_width=1280,
            vocab_size=8000,
            decode_id=7998,
            encode_id=7999,
            max_length=40,
            queue_size=1024,
            **sizes,
        )
    )
    system.chunk_size = chunk_size

    def step(items: int) -> None:
        images = ImageBatch(features=torch.randn(items, 49, 1280))
        losses = system(Batch(images, captions_of(items, 7000)), torch.Generator().manual_seed(0)).losses
        torch.stack([*losses.values()]).sum().backward()

    step(chunk_size or 32)
    return measured(lambda: step(batch_size))


def measure(batch_size: int, chunk_size: int, tiny: bool) -> dict[str, float]:
    """One step of CLIP in this process."""
    torch.set_flush_denormal(True)
    towers = (TowerConfig(64, 2, 128, 4), TowerConfig(64, 2, 128, 4)) if tiny else ()
    system = CLIP(CLIPConfig(*towers))
    batch = Batch(
        ImageBatch(pixels=torch.randint(256, (batch_size, 3, 224, 224), dtype=torch.uint8)),
        captions_of(batch_size, 49408),
    )
    for parameter in system.parameters():
        parameter.grad = torch.zeros_like(parameter)

    def total(step: Step) -> torch.Tensor:
        return step.losses["contrast"]

    def step() -> None:
        if chunk_size:
            generator = torch.Generator().manual_seed(0)
            cached_backward(system, batch, generator, total, chunk_size=chunk_size, autocast=nullcontext)
        else:
            total(system(batch)).backward()

    return measured(step)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", choices=["clip", "blip"], default="clip")
    parser.add_argument("--batches", default="32,64,128,256")
    parser.add_argument("--chunk", type=int, default=32)
    parser.add_argument("--tiny", action="store_true", help="a tiny network, to try the script")
    parser.add_argument("--one", type=int, nargs=2, metavar=("BATCH", "CHUNK"), help="one row, as JSON")
    options = parser.parse_args()
    if options.one:
        ways = {"clip": measure, "blip": measure_blip}
        print(json.dumps(ways[options.system](*options.one, options.tiny)))
        return
    os.environ.update(WAITING)  # as every command does, for the processes below
    rows = []
    for batch_size in map(int, options.batches.split(",")):
        for chunk_size in (0, options.chunk):
            one = [sys.executable, __file__, "--system", options.system]
            one += ["--one", str(batch_size), str(chunk_size)]
            done = subprocess.run([*one, *["--tiny"] * options.tiny], check=True, capture_output=True)
            found = json.loads(done.stdout)
            figures = [f"{found[name]:.0f}" for name in ("live", "peak")]
            figures.append(f"{found['seconds']:.2f}")
            rows.append([batch_size, chunk_size or "whole", *figures])
    command()
    table(["pairs", "chunk", "MB live", "MB peak", "seconds"], rows)


if __name__ == "__main__":
    main()
