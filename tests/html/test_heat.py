"""Heat maps drawn: colours by sign, opacity by size, in the place that was seen."""

import io

import numpy as np
from PIL import Image

from showtell.html.heat import HeatMap, draw_heat

WHOLE = 0.0, 0.0, 1.0, 1.0


def drawn(pixels, seen, *maps) -> np.ndarray:
    png = draw_heat(pixels, seen, [HeatMap(str(i), heat) for i, heat in enumerate(maps)])
    return np.asarray(Image.open(io.BytesIO(png))).astype(int)


def test_red_raises_blue_lowers_and_the_rest_is_grey() -> None:
    heat = np.zeros((32, 32))
    heat[:16, :16], heat[16:, 16:] = 2, -1
    image = drawn(np.full((400, 400, 3), (200, 100, 50), np.uint8), WHOLE, heat)
    assert image.shape == (400, 400, 3)
    red, blue, grey = image[100, 100], image[300, 300], image[100, 300]
    assert red[0] > red[1] + 100
    assert blue[2] > blue[0] + 30
    assert red[0] - red[2] > blue[2] - blue[0]  # half as hot
    assert grey.max() - grey.min() <= 2


def test_a_few_hot_pixels_do_not_hide_the_others() -> None:
    heat = np.ones((64, 64))
    heat[0, 0] = 1e4
    image = drawn(np.full((640, 640, 3), 128, np.uint8), WHOLE, heat)
    assert image[400, 400, 0] > image[400, 400, 2] + 100


def test_what_was_cropped_is_dark_without_heat() -> None:
    image = drawn(np.full((300, 600, 3), 200, np.uint8), (0.25, 0.0, 0.75, 1.0), np.ones((8, 8)))
    assert np.abs(np.diff(image[150, 100])).max() == 0
    assert image[150, 100, 0] < 100
    assert image[150, 300, 0] > image[150, 300, 2] + 100
    assert (image[:, 148] == image[:, 148, :1]).all()
    assert not (image[:, 152] == image[:, 152, :1]).all()


def test_maps_of_several_tokens_stand_side_by_side_on_one_scale() -> None:
    pixels = np.full((320, 320, 3), 128, np.uint8)
    image = drawn(pixels, WHOLE, np.full((4, 4), 0.1), np.ones((4, 4)))
    assert image.shape == (320 + 30 + 16, 2 * 328 + 8, 3)
    assert (image[160, 168, 0] - image[160, 168, 2]) * 5 < image[160, 496, 0] - image[160, 496, 2]
    assert (image[330:350] < 128).any()  # labels
