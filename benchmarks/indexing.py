"""Indexing a folder of photographs, against the network alone on prepared pixels.

End to end is: find, read, hash, decode, prepare, thumbnail, encode, write, compact, derive vectors. The two
are timed alternately in one run, so that other load on the machine affects both.

    python benchmarks/indexing.py FOLDER [--copies 4] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from showtell.data.images.decode import load_image
from showtell.data.images.files import find_images
from showtell.data.images.resize import squash
from showtell.hub.backbones import Backbone, load_backbone
from showtell.library.encoder import LibraryEncoder
from showtell.library.index import index
from showtell.protocols import Encoded

BATCH = 32


class MeanPool:
    """The backbone as an encoder without captions: the mean of its features."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self.hash, self.preprocessing = backbone.hash, backbone.preprocessing
        self.name = "mean pool"

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Resized to a square."""
        return squash(pixels, self.backbone.size)

    def encode(self, images: Sequence[np.ndarray]) -> Encoded:
        """One vector per image."""
        pooled = self.backbone(np.stack(images)).mean(1)
        return Encoded(pooled[:, None], pooled)

    def best_captions(self, encoded: Encoded) -> list[str]:
        """None: captions are off."""
        raise NotImplementedError


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=4, help="index each photograph this many times")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, help="encode with this model instead of the backbone alone")
    parser.add_argument("--captions", action="store_true", help="also write captions; needs --model")
    arguments = parser.parse_args()

    backbone = load_backbone()
    encoder: LibraryEncoder = MeanPool(backbone)
    if arguments.model:
        from showtell.pipelines.model import load_model

        encoder = load_model(arguments.model)
    found = find_images(arguments.folder)
    ready = np.stack([squash(load_image(path), backbone.size) for path in found])
    times: dict[str, list[tuple[float, float]]] = {"backbone alone": [], "end to end": []}
    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(scratch, "photos")
        photos.mkdir()
        for i, path in enumerate(found):
            for copy in range(arguments.copies):
                # Bytes after the end of an image change the file's hash and no pixel.
                data = path.read_bytes() + bytes(copy)
                (photos / f"{i}-{copy}{path.suffix}").write_bytes(data)
        num = len(found) * arguments.copies

        def alone() -> None:
            for _ in range(arguments.copies):
                for start in range(0, len(ready), BATCH):
                    backbone(ready[start : start + BATCH])

        def end_to_end(library: Path) -> None:
            report = index(photos, library, encoder, captions=arguments.captions)
            assert report.added == num, report

        backbone(ready[:BATCH])
        for turn in range(arguments.rounds):
            times["backbone alone"].append(seconds(alone))
            times["end to end"].append(seconds(lambda: end_to_end(Path(scratch, f"library-{turn}"))))  # noqa: B023

    print(f"$ {shlex.join(['python', *sys.argv])}")
    print(f"{num} photographs, {os.cpu_count()} cores, median of {arguments.rounds} rounds\n")
    print(f"{'':16}{'images/s':>12}{'CPU ms/image':>16}")
    for name, pairs in times.items():
        rate, cost = num / statistics.median(w for w, _ in pairs), statistics.median(c for _, c in pairs)
        print(f"{name:16}{rate:12.1f}{1000 * cost / num:16.2f}")
    ratios = [a[0] / b[0] for a, b in zip(*times.values(), strict=True)]
    low, high = min(ratios), max(ratios)
    print(f"\nend to end / backbone alone: {statistics.median(ratios):.2f} (from {low:.2f} to {high:.2f})")
    work = statistics.median(a[1] / b[1] for a, b in zip(*times.values(), strict=True))
    print(f"the same by CPU time, which other load affects less: {work:.2f}")


if __name__ == "__main__":
    main()
