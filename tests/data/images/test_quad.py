"""A part of an image inside four corners, straightened."""

import numpy as np
import pytest
from PIL import Image

from showtell.data.images.quad import straighten


@pytest.fixture(scope="module")
def image():
    """Red grows to the right, green downwards."""
    y, x = np.mgrid[:100, :200]
    return Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8))


def test_an_upright_box_is_a_crop(image) -> None:
    found = straighten(image, np.array([(20, 10), (60, 10), (60, 40), (20, 40)], np.float64))
    assert np.array_equal(np.asarray(found), np.asarray(image)[10:40, 20:60])


def test_the_first_corner_becomes_the_top_left(image) -> None:
    corners = np.array([(60, 10), (60, 40), (20, 40), (20, 10)], np.float64)
    found = np.asarray(straighten(image, corners)).astype(int)
    assert found.shape == (40, 30, 3)
    expected = np.rot90(np.asarray(image)[10:40, 20:60]).astype(int)
    assert abs(found - expected).max() <= 1


def test_each_place_of_a_quadrilateral_comes_from_where_the_perspective_maps_it(image) -> None:
    """The diagonals' crossing stays their crossing, as under any perspective."""
    corners = np.array([(20, 10), (120, 20), (150, 90), (10, 70)], np.float64)
    found = np.asarray(straighten(image, corners)).astype(float)
    height, width = found.shape[:2]
    assert width == pytest.approx(np.hypot(140, 20), abs=1)
    assert found[0, 0, :2] == pytest.approx(corners[0], abs=2)
    assert found[-1, -1, :2] == pytest.approx(corners[2], abs=2)
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    t, _ = np.linalg.solve([[cx - ax, bx - dx], [cy - ay, by - dy]], [bx - ax, by - ay])
    crossing = corners[0] + t * (corners[2] - corners[0])
    assert found[height // 2, width // 2, :2] == pytest.approx(crossing, abs=2)


def test_outside_is_white_and_nothing_is_one_pixel(image) -> None:
    found = np.asarray(straighten(image, np.array([(-40, 0), (40, 0), (40, 30), (-40, 30)], np.float64)))
    assert (found[5:-5, 2:35] == 255).all()
    assert straighten(image, np.zeros((4, 2))).size == (1, 1)
    assert max(straighten(image, np.array([(0, 0), (1e6, 1), (1e6, 2), (0, 1)])).size) <= 8000
