"""Several preprocessings side by side: each network finds its own square, as if it were alone."""

import numpy as np
import pytest

from showtell.data.images.mosaic import Mosaic, preprocessing_of
from showtell.data.images.preprocess import Preprocessing

VERSIONS = ["squash24-v1", "crop32-v1", "squash24-v1", "squash16-bicubic-v1"]


def test_each_square_is_what_its_preprocessing_makes_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    mosaic = Mosaic.of(VERSIONS)
    canvas = mosaic(pixels)
    assert canvas.shape == mosaic.shape == (32, 24 + 32 + 16, 3)
    for version, square in mosaic.squares(np.stack([canvas] * 2)).items():
        expected = Preprocessing.of(version)(pixels)
        assert np.array_equal(square, np.stack([expected] * 2))
    assert list(mosaic.squares(canvas)) == list(dict.fromkeys(VERSIONS))


def test_its_name_is_read_back_and_one_that_is_damaged_is_refused() -> None:
    mosaic = Mosaic.of(VERSIONS)
    assert preprocessing_of(mosaic.version) == mosaic
    assert preprocessing_of("crop32-v1") == Preprocessing.of("crop32-v1")
    with pytest.raises(ValueError, match="no preprocessing 'squash24'"):
        preprocessing_of("crop32-v1+squash24")
