"""Images that keep their aspect ratio go into rows of one length and come out as they were."""

import numpy as np
import pytest
import torch

from showtell.data.images.fit import Fit, unpacked

SHAPES = [(30, 40), (90, 41), (20, 32), (64, 64), (7, 9), (4, 400), (400, 4)]


@pytest.mark.parametrize("shortest", [64, 10])
def test_rows_hold_images_of_any_shape(shortest: int) -> None:
    rng, fit = np.random.default_rng(0), Fit(shortest, 16)
    images = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in SHAPES]
    batch = unpacked(np.stack([fit.pack(image) for image in images]))
    for place, image in enumerate(images):
        expected = torch.from_numpy(fit(image)).permute(2, 0, 1)
        high, wide = expected.shape[1:] if batch.sizes is None else batch.sizes[place].tolist()
        assert torch.equal(batch.pixels[place, :, :high, :wide], expected)
        assert not batch.pixels[place, :, high:].any()
        assert not batch.pixels[place, :, :, wide:].any()


def test_images_of_one_shape_are_not_padded() -> None:
    fit = Fit(16, 8)
    batch = unpacked(np.stack([fit.pack(np.full((20, 30, 3), value, np.uint8)) for value in (1, 2)]))
    assert batch.sizes is None
    assert batch.pixels.shape == (2, 3, 16, 24)
