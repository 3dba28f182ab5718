"""Indexing a folder of photographs, against the network alone on prepared pixels; or by the shipped models.

End to end is: find, read, hash, decode, prepare, thumbnail, encode, write, compact, derive vectors. The two
are timed alternately in one run, so that other load on the machine affects both.

    python benchmarks/indexing.py FOLDER [--copies 4] [--rounds 5]

With `--shipped`, the dual encoder and the captioner index in one pass, as `showtell index` does, and then one
after the other.

    python benchmarks/indexing.py FOLDER --shipped [--images 500] [--captions] [--rounds 1]
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from showtell.data.images.decode import load_image
from showtell.data.images.files import find_images
from showtell.data.images.resize import squash
from showtell.hub.backbones import Backbone, load_backbone
from showtell.library.encoder import Indexer, LibraryEncoder
from showtell.library.index import index
from showtell.pipelines.index import index as index_shipped
from showtell.pipelines.model import load_model
from showtell.pipelines.shipped import dual_encoder
from showtell.protocols import Encoded

BATCH = 32

Times = dict[str, list[tuple[float, float]]]
"""Wall-clock and CPU seconds of each round."""


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
    parser.add_argument("--images", type=int, help="only the first so many of the folder")
    parser.add_argument("--copies", type=int, default=4, help="index each photograph this many times")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, help="encode with this model instead of the backbone alone")
    parser.add_argument("--shipped", action="store_true", help="index with both shipped models")
    parser.add_argument(
        "--captions", action="store_true", help="also write captions; not of the backbone alone"
    )
    arguments = parser.parse_args()

    found = find_images(arguments.folder)[: arguments.images]
    print(f"$ {shlex.join(['python', *sys.argv])}")
    if arguments.shipped:
        times = shipped(found, arguments.captions, arguments.rounds)
        num = len(found)
    else:
        times = alone(found, arguments.model, arguments.captions, arguments.copies, arguments.rounds)
        num = len(found) * arguments.copies
    print(f"{num} photographs, {os.cpu_count()} cores, median of {arguments.rounds} rounds\n")
    print(f"{'':20}{'images/s':>12}{'CPU ms/image':>16}")
    for name, pairs in times.items():
        rate, cost = num / statistics.median(w for w, _ in pairs), statistics.median(c for _, c in pairs)
        print(f"{name:20}{rate:12.1f}{1000 * cost / num:16.2f}")
    ratios = [a[0] / b[0] for a, b in zip(*times.values(), strict=True)]
    low, high = min(ratios), max(ratios)
    second, first = reversed(times)
    print(f"\n{second} / {first}: {statistics.median(ratios):.2f} (from {low:.2f} to {high:.2f})")
    work = statistics.median(a[1] / b[1] for a, b in zip(*times.values(), strict=True))
    print(f"the same by CPU time, which other load affects less: {work:.2f}")


def alone(found: list[Path], model: Path | None, captions: bool, copies: int, rounds: int) -> Times:
    """The backbone on prepared pixels, and indexing with it or with a model."""
    backbone = load_backbone()
    encoder: LibraryEncoder = load_model(model) if model else MeanPool(backbone)
    ready = np.stack([squash(load_image(path), backbone.size) for path in found])
    times: Times = {"backbone alone": [], "end to end": []}

    def network() -> None:
        for _ in range(copies):
            for start in range(0, len(ready), BATCH):
                backbone(ready[start : start + BATCH])

    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(scratch, "photos")
        photos.mkdir()
        for i, path in enumerate(found):
            for copy in range(copies):
                # Bytes after the end of an image change the file's hash and no pixel.
                data = path.read_bytes() + bytes(copy)
                (photos / f"{i}-{copy}{path.suffix}").write_bytes(data)

        def end_to_end(library: Path) -> None:
            (report,) = index(photos, library, [Indexer(encoder, captions)])
            assert report.added == len(found) * copies, report

        backbone(ready[:BATCH])
        for turn in range(rounds):
            times["backbone alone"].append(seconds(network))
            library = Path(scratch, f"library-{turn}")
            times["end to end"].append(seconds(partial(end_to_end, library)))
    return times


def shipped(found: list[Path], captions: bool, rounds: int) -> Times:
    """Both shipped models in one pass, and one after the other."""
    times: Times = {"in one pass": [], "one after the other": []}
    with tempfile.TemporaryDirectory() as scratch:
        photos, few = Path(scratch, "photos"), Path(scratch, "few")
        for folder, paths in ((photos, found), (few, found[:1])):
            folder.mkdir()
            for path in paths:
                shutil.copy(path, folder)

        def together(photos: Path, library: Path) -> None:
            index_shipped(photos, library, captions=captions, device="cpu")

        def apart(photos: Path, library: Path) -> None:
            for model in (dual_encoder("cpu"), load_model(device="cpu")):
                index_shipped(photos, library, model, captions=captions)

        together(few, Path(scratch, "library"))  # reads the dual encoder, which is then kept
        for turn in range(rounds):
            for name, work in zip(times, (together, apart), strict=True):
                library = Path(scratch, f"{name}-{turn}")
                times[name].append(seconds(partial(work, photos, library)))
    return times


if __name__ == "__main__":
    main()
