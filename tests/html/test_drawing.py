"""Maps as PNG: what has no room is drawn small."""

import io

import numpy as np
from PIL import Image

from showtell.html import drawing
from showtell.html.drawing import draw_images, draw_words
from support.html_page import jpeg


def image_of(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def test_a_word_without_room_is_a_dot_and_the_first_is_kept():
    middle = np.array([[0.5, 0.5]])
    alone, pair = (
        image_of(draw_words(["dog"], middle)),
        image_of(draw_words(["dog", "cat"], middle.repeat(2, 0))),
    )
    assert (alone < 128).sum() > 100  # ink
    assert np.mean(alone != pair) < 1e-4  # the cat is a dot under the dog
    apart = image_of(draw_words(["dog", "cat"], np.array([[0.2, 0.5], [0.8, 0.5]])))
    assert (apart < 128).sum() > 1.5 * (alone < 128).sum() * (18 / 38) ** 2


def test_a_character_that_no_font_has_is_a_dot(monkeypatch):
    monkeypatch.setattr(drawing, "WIDE_FONTS", ())
    drawn = image_of(draw_words(["狗狗狗"], np.array([[0.5, 0.5]])))
    assert 10 < (drawn < 255).sum() < 60


def test_an_image_without_room_is_small_and_on_top():
    drawn = np.asarray(
        Image.open(
            io.BytesIO(draw_images([jpeg("red", (112, 84)), jpeg("blue", (112, 84))], np.full((2, 2), 0.5)))
        )
    )
    blue, red = (drawn[..., 2] > 200) & (drawn[..., 0] < 60), (drawn[..., 0] > 200) & (drawn[..., 2] < 60)
    assert 0 < blue.sum() < 0.3 * red.sum()
    assert blue[drawing.SIZE[1] // 2, drawing.SIZE[0] // 2]
