"""Pages: the same text is the same page, whatever its size, colours and margins."""

import numpy as np
import pytest
from PIL import Image

from showtell.data.images.page import MARGIN, Page, letter_height
from showtell.data.images.render.draw import draw
from showtell.data.images.render.fonts import BUILT_IN
from showtell.data.images.render.style import Style

TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while in the sun"
PAGE = Page(128, 384, 8)


def drawn(size: float = 20, **style) -> np.ndarray:
    return draw(TEXT, Style(BUILT_IN, size, 42, **style), None).pixels


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def test_a_drawing_of_its_own_size_is_not_resized() -> None:
    whole = draw(TEXT, Style(BUILT_IN), None)
    assert whole.scale == 1
    assert whole.pixels.shape == draw(TEXT, Style(BUILT_IN), whole.pixels.shape).pixels.shape


@pytest.mark.parametrize("size", [14, 30, 44])
def test_the_size_of_the_letters_makes_no_difference(size) -> None:
    pages = [PAGE.fit(draw(TEXT, Style(BUILT_IN, s, 42), None).pixels) for s in (20, size)]
    assert pages[0].scale * 20 == pytest.approx(pages[1].scale * size, rel=0.12)
    low, high = sorted(np.flatnonzero((page.pixels < 128).any(1))[-1] for page in pages)
    assert high - low <= 6


def test_the_colours_make_no_difference() -> None:
    plain = PAGE.fit(drawn()).pixels
    for paper, ink in ((0, 255), (40, 220), (230, 60)):
        coloured = np.interp(drawn(), (0, 255), (ink, paper)).round().astype(np.uint8)
        assert difference(PAGE.fit(coloured).pixels, plain) < 2
    assert plain.min() < 32
    assert np.median(plain) == 255


def test_the_margins_make_no_difference() -> None:
    wide = np.pad(drawn(), ((70, 10), (3, 200)), constant_values=255)
    assert np.array_equal(PAGE.fit(wide).pixels, PAGE.fit(drawn()).pixels)


def test_a_bracket_that_reaches_the_next_line_is_no_letter() -> None:
    ink = np.zeros((40, 100), np.uint8)
    for top in (5, 17, 29):
        ink[top : top + 8, :80] = 255
    ink[3:40, 90:92] = 255
    assert letter_height(ink) == 8


@pytest.mark.parametrize("letter", [0, 200])
def test_a_text_is_as_large_as_fits_and_no_larger(letter) -> None:
    page = Page(64, 400, letter)
    ys, xs = (page.fit(drawn()).pixels < 200).nonzero()
    assert xs.min() >= MARGIN - 1
    assert ys.max() < 64 - MARGIN + 1
    assert xs.max() > 400 - 2 * MARGIN or ys.max() > 64 - 2 * MARGIN


def test_boxes_go_to_the_page_and_back() -> None:
    image = draw(TEXT, Style(BUILT_IN), None, [(0, 3), (4, 9)])
    fitted = PAGE.fit(image.pixels)
    placed = fitted.place(image.boxes)
    np.testing.assert_allclose(fitted.origin(placed), image.boxes, atol=1 / fitted.scale)
    left, top, right, bottom = (placed[1] * [384, 128, 384, 128]).round().astype(int)
    assert (fitted.pixels[top:bottom, left:right] < 128).any()


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_blank_image_is_a_blank_page(value) -> None:
    assert (PAGE(np.full((30, 50, 3), value, np.uint8)) == 255).all()


def test_a_photograph_is_some_page_and_no_error() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 150, 3), np.uint8)
    assert PAGE(noise).shape == (128, 384, 3)
    assert PAGE(np.asarray(Image.fromarray(noise).resize((1, 1)))).shape == (128, 384, 3)


def test_another_version_is_no_page() -> None:
    assert Page.of(PAGE.version) == PAGE
    with pytest.raises(ValueError, match="page12"):
        Page.of("page12-v1")
