"""A fake encoder, images of one colour, and a check of the counts of indexing."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from showtell.library.encoder import Indexer, LibraryEncoder
from showtell.library.index import IndexReport
from showtell.library.index import index as index_all
from showtell.library.sight import Sight
from showtell.protocols import Encoded

SIZE = 8


class FakeEncoder:
    """The mean colour of an image as its vector, its rows as its tokens; counts its calls."""

    def __init__(self, hash: str = "model-a", grid: bool = True) -> None:
        self.hash, self.name, self.preprocessing = hash, f"fake@{hash}", "fake8-v1"
        self.grid = grid
        self.encoded: int = 0
        self.captioned: int = 0

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(pixels).resize((SIZE, SIZE)))

    def encode(self, images: Sequence[np.ndarray]) -> Encoded:
        self.encoded += len(images)
        pixels = torch.from_numpy(np.stack(images)).float() / 255
        pooled = pixels.mean((1, 2)) + 0.01
        return Encoded(pixels.mean(2) if self.grid else pooled[:, None], pooled)

    def best_captions(self, encoded: Encoded) -> list[str]:
        self.captioned += len(encoded.pooled)
        names = ("red", "green", "blue")
        return [f"something {names[i]} on a table" for i in encoded.pooled.argmax(1).tolist()]


def draw(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def index(
    folder: Path | str,
    library: Path | str,
    encoder: LibraryEncoder,
    *,
    captions: bool = True,
    look: Callable[[Encoded], list[Sight]] | None = None,
    **settings: Any,
) -> IndexReport:
    """Index with one model."""
    (report,) = index_all(folder, library, [Indexer(encoder, captions, look)], **settings)
    return report


def check(report: IndexReport, **expected: int) -> None:
    """Counts that are not given are 0; the total is that of stored images."""
    counts = {name: getattr(report, name) for name in ("added", "updated", "removed", "unchanged", "skipped")}
    assert counts == dict.fromkeys(counts, 0) | expected
    assert report.total == report.added + report.updated + report.unchanged
