"""Words painted into boxes: inside them alone, in the image's own colours."""

import numpy as np
import pytest

from showtell.data.images.render.fonts import BUILT_IN
from showtell.data.images.render.paint import paint


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (10, 240)])
def test_the_word_has_the_colours_of_what_it_replaces(paper, ink) -> None:
    image = np.full((40, 120), paper, np.uint8)
    image[12:28, 20:100:3] = ink
    before = image.copy()
    paint(image, (20, 8, 100, 32), "dog", BUILT_IN)
    inside = image[8:32, 20:100]
    assert np.median(inside) == paper
    assert abs(int(inside.max() if ink > paper else inside.min()) - ink) < 40
    outside = np.ones(image.shape, bool)
    outside[8:32, 20:100] = False
    assert np.array_equal(image[outside], before[outside])


def test_a_long_word_is_squeezed_and_a_short_one_not_stretched() -> None:
    widths = []
    for word in ("I", "incomprehensibilities"):
        image = np.full((30, 90), 255, np.uint8)
        image[10:20, 10] = 0
        paint(image, (5, 3, 85, 27), word, BUILT_IN)
        columns = np.flatnonzero((image < 128).any(0))
        widths.append(columns.max() - columns.min() + 1)
    assert widths[0] < 10
    assert 70 < widths[1] <= 80


def test_a_box_outside_of_the_image_changes_nothing() -> None:
    image = np.full((20, 20, 3), 255, np.uint8)
    paint(image, (30, 30, 50, 50), "dog", BUILT_IN)
    assert (image == 255).all()


def test_no_word_leaves_the_paper() -> None:
    image = np.full((20, 20), 255, np.uint8)
    image[8:12, 8:12] = 0
    paint(image, (2, 2, 18, 18), "", BUILT_IN)
    assert (image == 255).all()
