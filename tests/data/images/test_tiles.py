"""Tiles: a long text is divided between its lines and words, and nothing of it is lost."""

import numpy as np
import pytest

from showtell.data.images.page import Page, ink_of
from showtell.data.images.render.draw import draw
from showtell.data.images.render.fonts import BUILT_IN
from showtell.data.images.render.style import Style
from showtell.data.images.tiles import line_breaks, tiles

SHORT = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while in the sun."
LONG = " ".join(f"{number}: {SHORT}" for number in range(8))
PAGE = Page(128, 384, 8)


def drawn(text: str, wrap: int = 42, **style) -> np.ndarray:
    return draw(text, Style(BUILT_IN, 20, wrap, **style), None).pixels


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("wrap", [30, 54, 200])
def test_the_tiles_of_a_long_text_hold_all_of_its_ink_once(wrap, inverted) -> None:
    pixels = drawn(LONG, wrap, inverted=inverted)
    found = tiles(pixels, PAGE)
    assert len(found) >= 2
    _, inked = ink_of(pixels)
    times = np.zeros(pixels.shape, int)
    for tile in found:
        tile.of(times)[:] += 1
        assert PAGE.fit(tile.of(pixels)).scale > 0.7 * PAGE.fit(drawn(SHORT)).scale
    assert (times[inked] == 1).all()


def test_a_text_that_fits_is_one_tile() -> None:
    pixels = drawn(SHORT)
    (tile,) = tiles(pixels, PAGE)
    assert tile.box == (0, 0, pixels.shape[1], pixels.shape[0])
    assert tile.breaks
    assert not ink_of(pixels)[1][[*tile.breaks]].any()


def test_breaks_are_between_lines_also_where_dots_stand_apart() -> None:
    pixels = drawn("in ruins in rains in minimis", 9)
    ink, inked = ink_of(pixels)
    breaks = line_breaks(ink)
    assert not inked[breaks].any()
    assert len(breaks) == 2


def test_halves_have_all_lines() -> None:
    (tile,) = tiles(drawn(SHORT, 20), Page(400, 384, 8))
    upper, lower = tile.halves()
    assert (upper.bottom, upper.top, lower.bottom) == (lower.top, tile.top, tile.bottom)
    assert len(upper.breaks) + len(lower.breaks) == len(tile.breaks) - 1
    assert upper.of(np.zeros((400, 400))).shape[0] == upper.bottom


def test_a_blank_image_is_one_tile() -> None:
    assert [tile.box for tile in tiles(np.full((30, 40), 255, np.uint8), PAGE)] == [(0, 0, 40, 30)]
