"""Memory and time of a contrastive step for growing batches, whole and in chunks.

    python benchmarks/gradient_cache.py [--batches 32,64,128,256] [--chunk 32] [--tiny]

CLIP ViT-B/32 with random parameters, images of 224 pixels, captions of 16 tokens. Each row is its own
process: `MB more` is the peak resident memory of the step beyond that before it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from contextlib import nullcontext

import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.protocols import Step
from showtell.systems.clip import CLIP, CLIPConfig, TowerConfig
from showtell.train.gradient_cache import cached_backward
from table import command, table


def peak() -> float:
    """Peak resident memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(batch_size: int, chunk_size: int, tiny: bool) -> dict[str, float]:
    """One step in this process."""
    torch.set_flush_denormal(True)
    towers = (TowerConfig(64, 2, 128, 4), TowerConfig(64, 2, 128, 4)) if tiny else ()
    system = CLIP(CLIPConfig(*towers))
    batch = Batch(
        ImageBatch(pixels=torch.randint(256, (batch_size, 3, 224, 224), dtype=torch.uint8)),
        TextBatch(
            torch.randint(1, 49408, (batch_size, 16)),
            torch.ones(batch_size, 16, dtype=torch.bool),
            owner=torch.arange(batch_size),
        ),
    )
    for parameter in system.parameters():
        parameter.grad = torch.zeros_like(parameter)

    def total(step: Step) -> torch.Tensor:
        return step.losses["contrast"]

    before, started = peak(), time.perf_counter()
    if chunk_size:
        generator = torch.Generator().manual_seed(0)
        cached_backward(system, batch, generator, total, chunk_size=chunk_size, autocast=nullcontext)
    else:
        total(system(batch)).backward()
    return {"seconds": time.perf_counter() - started, "memory": peak() - before}


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", default="32,64,128,256")
    parser.add_argument("--chunk", type=int, default=32)
    parser.add_argument("--tiny", action="store_true", help="a tiny network, to try the script")
    parser.add_argument("--one", type=int, nargs=2, metavar=("BATCH", "CHUNK"), help="one row, as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one, options.tiny)))
        return
    rows = []
    for batch_size in map(int, options.batches.split(",")):
        for chunk_size in (0, options.chunk):
            one = [sys.executable, __file__, "--one", str(batch_size), str(chunk_size)]
            done = subprocess.run([*one, *["--tiny"] * options.tiny], check=True, capture_output=True)
            found = json.loads(done.stdout)
            figures = [f"{found['memory']:.0f}", f"{found['seconds']:.2f}"]
            rows.append([batch_size, chunk_size or "whole", *figures])
    command()
    table(["pairs", "chunk", "MB more", "seconds"], rows)


if __name__ == "__main__":
    main()
