import io

import numpy as np
import pytest
from PIL import Image

from showtell.data.images.decode import load_image
from showtell.data.images.resize import squash, thumbnail
from support import hostile


def test_squash_ignores_the_aspect_ratio() -> None:
    pixels = np.zeros((60, 200, 3), np.uint8)
    pixels[:, 100:] = 255
    square = squash(pixels, 50)
    assert square.shape == (50, 50, 3)
    assert square.dtype == np.uint8
    assert square[:, :24].max() == 0
    assert square[:, 26:].min() == 255


def test_squash_does_not_alias() -> None:
    """Stripes finer than the new pixels become grey, not other stripes."""
    stripes = np.zeros((300, 300, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(squash(stripes, 40)[:, 2:-2].astype(int) - 127).max() < 12


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (3, 2, 3)])
def test_squash_enlarges_the_smallest(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(squash(np.full(shape, 77, np.uint8), 224), np.full((224, 224, 3), 77))


def test_squash_returns_an_image_of_the_size_unchanged() -> None:
    pixels = np.asarray(hostile.photograph(1, 64, 64))
    np.testing.assert_array_equal(squash(pixels, 64), pixels)


def test_squash_is_how_the_training_images_were_made(shared_data) -> None:
    """The same photographs, squashed here and by the makers of the data."""
    noise = []
    for path in sorted((shared_data / "photos").glob("*.jpg"))[:20]:
        theirs = load_image(shared_data / "flickr8k" / "images" / path.name)
        noise.append(np.mean((squash(load_image(path), 224).astype(float) - theirs) ** 2))
    assert 10 * np.log10(255**2 / np.median(noise)) > 30


@pytest.mark.parametrize(
    ("shape", "size"), [((300, 600, 3), (128, 64)), ((50, 20, 3), (20, 50)), ((1, 9000, 3), (128, 1))]
)
def test_thumbnail(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    data = thumbnail(np.full(shape, 90, np.uint8))
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("JPEG", size)
    assert len(data) < 8000
    assert abs(image.getpixel((0, 0))[0] - 90) < 3
