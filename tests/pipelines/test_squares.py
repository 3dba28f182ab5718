"""Pixels of a prepared image and the patches of the image that they show."""

import numpy as np
import pytest

from showtell.data.images.mosaic import preprocessing_of
from showtell.data.images.page import Page
from showtell.pipelines.squares import Squares


def blank(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_one_square_is_cut_into_patches_row_by_row() -> None:
    squares = Squares(preprocessing_of("squash6-v1"), blank(40, 90))
    assert squares.seen == (0, 0, 1, 1)
    assert squares.patches(3, 3).tolist() == np.arange(9).reshape(3, 3).repeat(2, 0).repeat(2, 1).tolist()
    heat = np.random.default_rng(0).random((6, 6)).astype(np.float32)
    assert np.array_equal(squares.on_image(heat), heat)


def test_two_squares_of_an_image_show_the_same_patches() -> None:
    """Of an image twice as wide as high the crop shows the middle half."""
    squares = Squares(preprocessing_of("squash8-v1+crop4-v1"), blank(30, 60))
    assert squares.seen == (0, 0, 1, 1)
    patches = squares.patches(4, 4)
    assert patches.shape == (8, 12)
    assert patches[0, :8].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert patches[0, 8:].tolist() == [1, 1, 2, 2]
    assert patches[3, 8:].tolist() == [13, 13, 14, 14]
    heat = np.zeros((8, 12))
    heat[:4, 8:] = 1  # the whole crop
    image = squares.on_image(heat)
    assert image.sum() == pytest.approx(16)
    assert not image[:, :2].any()
    assert not image[:, 6:].any()


def test_of_a_crop_alone_the_patches_cover_the_crop() -> None:
    squares = Squares(preprocessing_of("crop4-v1"), blank(30, 60))
    assert squares.seen == (0.25, 0, 0.75, 1)
    assert squares.patches(2, 2)[0].tolist() == [0, 0, 1, 1]


def test_heat_of_a_page_is_drawn_over_the_page() -> None:
    page = Page.of("page32x64of7-v1")
    squares = Squares(page, blank(30, 60))
    assert squares.image.shape == (32, 64, 3)
    assert squares.seen == (0, 0, 1, 1)
    assert squares.patches(2, 4)[:, ::16].tolist() == [[0, 1, 2, 3]] * 16 + [[4, 5, 6, 7]] * 16
    heat = np.random.default_rng(0).random((32, 64)).astype(np.float32)
    assert np.array_equal(squares.on_image(heat), heat)
