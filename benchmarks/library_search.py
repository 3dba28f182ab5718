"""Exact search in a library of synthetic vectors, against a bare NumPy product over the same numbers.

Both alternate in one run, so that other load on the machine affects both.

    python benchmarks/library_search.py [--images 100000] [--width 300] [--queries 200] [--index]
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from showtell.library import store
from showtell.library.manifest import Manifest, VectorSet
from showtell.library.rows import Content, File, new_rows
from showtell.library.search import Library
from showtell.library.store import Store, table_name
from showtell.protocols import Encoded

CLUSTERS = 200


def build(folder: Path, vectors: np.ndarray) -> None:
    """A library whose images have these vectors."""
    maker = {"model": "synthetic", "preprocessing": "none"}
    name = table_name(**maker)
    no_pixels = np.empty((0, 0, 3), np.uint8)
    with Store.writing(folder) as opened:
        target = VectorSet(name, **maker, name="synthetic", captioned=False)
        opened.publish(Manifest((target,)))
        table = opened.begin(target, vectors.shape[1])
        for start in range(0, len(vectors), 10_000):
            rows = range(start, min(start + 10_000, len(vectors)))
            pooled = torch.from_numpy(vectors[rows.start : rows.stop])
            table.add(
                new_rows(
                    [File(Path(f"/images/{i:09}.jpg"), 0, 0) for i in rows],
                    [Content(i.to_bytes(32), no_pixels, b"", 1, 1) for i in rows],
                    Encoded(pooled[:, None], pooled),
                    [None] * len(rows),
                    **maker,
                )
            )
        opened.tidy(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=300)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument(
        "--index", action="store_true", help="also measure LanceDB's index, which takes minutes to build"
    )
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLUSTERS, arguments.width), np.float32)

    def draw(num: int) -> np.ndarray:
        noise = rng.standard_normal((num, arguments.width), np.float32)
        return centres[rng.integers(0, CLUSTERS, num)] + 0.7 * noise

    vectors, queries = draw(arguments.images), draw(arguments.queries)
    store.APPROXIMATE_FROM = 0 if arguments.index else arguments.images + 1
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        build(Path(folder, "library"), vectors)
        built = time.perf_counter() - started
        started = time.perf_counter()
        library = Library.open(Path(folder, "library"))
        derived = time.perf_counter() - started
        started = time.perf_counter()
        library = Library.open(Path(folder, "library"))
        opened = time.perf_counter() - started
        bare = np.array(library.vectors())

        exact: dict[str, Callable[[np.ndarray], object]] = {
            "bare NumPy product": lambda query: bare @ query,
            "Library.similar, exact": lambda query: library.similar(query, arguments.top),
        }
        times = {name: [] for name in exact} | ({"Library.similar, index": []} if arguments.index else {})
        shared = 0
        for query in queries:
            store.APPROXIMATE_FROM = arguments.images + 1
            for name, search in exact.items():
                started = time.perf_counter()
                answer = search(query)
                times[name].append(time.perf_counter() - started)
            if arguments.index:
                store.APPROXIMATE_FROM = 0
                started = time.perf_counter()
                approximate = library.similar(query, arguments.top)
                times["Library.similar, index"].append(time.perf_counter() - started)
                shared += len({m.row for m in approximate} & {m.row for m in answer})  # type: ignore[attr-defined]

    print(f"$ {shlex.join(['python', *sys.argv])}")
    shape = f"{arguments.images} x {arguments.width} float32"
    print(f"{shape}, {arguments.queries} queries, {os.cpu_count()} cores")
    print(f"built in {built:.1f} s, first opened in {derived:.2f} s, then in {opened:.2f} s\n")
    print(f"{'':24}{'median ms':>12}{'p95 ms':>12}")
    for name, measured in times.items():
        print(f"{name:24}{1000 * np.median(measured):12.2f}{1000 * np.percentile(measured, 95):12.2f}")
    p95 = {name: np.percentile(measured, 95) for name, measured in times.items()}
    medians = {name: np.median(measured) for name, measured in times.items()}
    first, second = list(exact)
    print(
        f"\nexact / bare: p95 {p95[second] / p95[first]:.2f}, median {medians[second] / medians[first]:.2f}"
    )
    if arguments.index:
        print(f"recall@{arguments.top} of the index: {shared / arguments.top / len(queries):.3f}")


if __name__ == "__main__":
    main()
