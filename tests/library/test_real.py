"""Photographs through the real backbone: a copy at another size and quality is the nearest image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showtell.data.images.decode import load_image
from showtell.data.images.resize import squash
from showtell.data.images.samples import sample_photographs
from showtell.hub.backbones import load_backbone
from showtell.library.search import Library
from showtell.library.verify import verify
from showtell.protocols import Encoded
from support.library import index


class MeanPool:
    def __init__(self) -> None:
        self.backbone = load_backbone()
        self.hash, self.preprocessing = self.backbone.hash, self.backbone.preprocessing
        self.name = "mean pool"

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return squash(pixels, self.backbone.size)

    def encode(self, images: Sequence[np.ndarray]) -> Encoded:
        grid = self.backbone(np.stack(images))
        return Encoded(grid, grid.mean(1))

    def best_captions(self, encoded: Encoded) -> list[str]:
        return ["an image"] * len(encoded.pooled)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for path in sample_photographs()[:8]:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_smaller_worse_copy_finds_its_original(photographs, tmp_path) -> None:
    encoder = MeanPool()
    report = index(photographs, tmp_path / "library", encoder)
    assert report.added == report.total == len(list(photographs.iterdir())) >= 4
    assert verify(tmp_path / "library") == []
    library = Library.open(tmp_path / "library", encoder)
    assert library.tokens([0]).shape == (1, 49, 1280)
    for image in library.rows():
        copy = tmp_path / "copy.jpg"
        pixels = Image.fromarray(load_image(image.path))
        assert pixels.size == (image.width, image.height)
        pixels.resize((pixels.width * 2 // 3, pixels.height * 2 // 3)).save(copy, quality=40)
        encoded = encoder.encode([encoder.prepare(load_image(copy))])
        first, second = library.similar(encoded.pooled[0], 2)
        assert first.path == image.path
        assert first.score > second.score + 0.05
