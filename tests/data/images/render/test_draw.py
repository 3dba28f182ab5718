import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, features

from showtell.data.images.render.draw import MARGIN, draw, draw_page, masked_text
from showtell.data.images.render.fonts import BUILT_IN, fonts
from showtell.data.images.render.layout import lay_out
from showtell.data.images.render.style import ALIGNMENTS, LARGE, SMALL, Style
from showtell.data.images.render.words import face_of

PLAIN = Style(BUILT_IN, wrap=24)
TEXT = "The quick, brown fox jumps over the AVATAR To lazy dog's Wax (office): Ye 1,234 fluff. LTd [MASK]ing"
SPANS = [(0, 3), (4, 9), (9, 10), (11, 16), (17, 20)]


def by_pillow(text: str, style: Style) -> np.ndarray:
    """The page as Pillow draws whole lines, measuring each as it grows."""
    face = face_of(style.font, style.size)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and face.basic.getlength(longer) > style.wrap * face.letter:
            lines.append(word)
        else:
            lines[-1] = longer
    image = Image.new("L", (1200, 60 * len(lines) + 100))
    for row, line in enumerate(lines):
        y = 60 + row * (face.ascent + face.descent)
        ImageDraw.Draw(image).text((60, y), line, 255, face.basic, anchor="ls")
    ink = np.asarray(image)
    rows, columns = ink.any(1).nonzero()[0], ink.any(0).nonzero()[0]
    return np.pad(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], MARGIN)


@pytest.mark.parametrize("size", [13, 15, 20, 31.5])
def test_words_from_the_cache_equal_whole_lines_by_pillow(size: float) -> None:
    style = replace(PLAIN, size=size)
    for _ in range(2):  # drawn, then from the cache
        assert np.array_equal(draw_page(TEXT, style).ink, by_pillow(TEXT, style))


@pytest.mark.slow
def test_in_every_font_of_this_machine() -> None:
    for font in fonts():
        if font.covers(TEXT):
            style = Style(font, wrap=40)
            assert np.array_equal(draw_page(TEXT, style).ink, by_pillow(TEXT, style)), font.name


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12))
def test_any_word_equals_pillow(word: str) -> None:
    assert np.array_equal(draw_page(word, PLAIN).ink, by_pillow(word, replace(PLAIN, wrap=10_000)))


def ink_box(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is black."""
    rows, columns = (pixels < 128).any(1).nonzero()[0], (pixels < 128).any(0).nonzero()[0]
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_the_alignments_are_applied() -> None:
    wide = {
        align: ink_box(draw("a dog", replace(PLAIN, align=align), (40, 300)).pixels) for align in ALIGNMENTS
    }
    assert wide["left"][0] < 20 < 280 < wide["right"][2]
    assert abs(wide["centre"][0] - (300 - wide["centre"][2])) < 12
    tall = {
        align: ink_box(draw("a dog", replace(PLAIN, align=align), (300, 100)).pixels) for align in ALIGNMENTS
    }
    assert tall["up"][1] < 40
    assert tall["down"][3] > 260
    assert abs(tall["centre"][1] - (300 - tall["centre"][3])) < 12
    assert len({*wide.values()} | {*tall.values()}) >= 6


def test_lines_are_set_left_right_or_centred() -> None:
    long, short = "a line that is so long", "short"
    places = {}
    for align in ("left", "right", "centre"):
        words = lay_out(f"{long}\n{short}", replace(PLAIN, align=align), face_of(BUILT_IN, 20))
        places[align] = words[-1].x, words[-1].x + words[-1].word.advance
        widest = words[-2].x + words[-2].word.advance
    assert places["left"][0] == 0
    assert places["right"][1] == pytest.approx(widest, abs=1)
    assert sum(places["centre"]) == pytest.approx(widest, abs=2)


def test_white_on_black_is_the_negative() -> None:
    black, white = (draw(TEXT, replace(PLAIN, inverted=i), 200).pixels for i in (False, True))
    assert np.array_equal(black, 255 - white)
    assert black[0, 0] == 255


def test_the_text_fills_its_canvas_but_for_the_margin() -> None:
    drawing = draw(TEXT, PLAIN, 256)
    left, _, right, _ = ink_box(drawing.pixels)
    assert left == pytest.approx(MARGIN * drawing.scale, abs=2)
    assert 256 - right == pytest.approx(MARGIN * drawing.scale, abs=2)
    page = draw_page(TEXT, PLAIN).ink
    assert drawing.scale == min(256 / page.shape[0], 256 / page.shape[1])


def test_masked_tokens_are_drawn_as_mask() -> None:
    masked, written = draw(TEXT, PLAIN, 256, SPANS, {1}), draw(TEXT.replace("quick", "[MASK]"), PLAIN, 256)
    assert masked.text.startswith("The [MASK], brown")
    assert np.array_equal(masked.pixels, written.pixels)


@pytest.mark.parametrize(
    ("text", "tokens", "masked", "expected"),
    [
        ("giraffe", [(0, 2), (2, 5), (5, 7)], {0, 2}, ("[MASK]raf[MASK]", [(0, 6), (6, 9), (9, 15)])),
        ("a b", [(0, 1), (1, 3)], {1}, ("a [MASK]", [(0, 1), (2, 8)])),  # a byte-level token with its space
        ("x😀y", [(0, 1), (1, 2), (1, 2), (2, 3)], {2}, ("x[MASK]y", [(0, 1), (1, 7), (1, 7), (7, 8)])),
        ("a b", [(0, 1), (1, 1), (2, 3)], {1}, ("a b", [(0, 1), (1, 1), (2, 3)])),  # an empty span
    ],
)
def test_masks_within_words(text, tokens, masked, expected) -> None:
    assert masked_text(text, tokens, masked) == expected


def test_boxes_lie_around_the_ink_of_their_token() -> None:
    drawing = draw(TEXT, PLAIN, (300, 400), SPANS)
    alone = draw_page("quick", PLAIN).ink.shape[1] - 2 * MARGIN
    left, top, right, bottom = drawing.boxes[1]
    assert right - left == pytest.approx(alone * drawing.scale, rel=0.15)
    inside = drawing.pixels[round(top) : round(bottom), round(left) : round(right)]
    assert (inside < 128).mean() > 0.05
    between = drawing.pixels[
        round(top) : round(bottom), round(drawing.boxes[2][2]) + 1 : round(drawing.boxes[3][0])
    ]
    assert (between > 200).all()  # the space before "brown"
    assert (drawing.boxes[:, 0] < drawing.boxes[:, 2]).all()


def test_each_character_has_a_box_where_masks_show_their_own() -> None:
    assert len(draw(TEXT, PLAIN, (300, 400), SPANS).letters) == 0
    drawing = draw("a quick", PLAIN, (60, 300), [(0, 1), (2, 4), (4, 7)], {1}, letters=True)
    assert drawing.text == "a [MASK]ick"
    assert np.isnan(drawing.letters).any(1).tolist() == [c == " " for c in drawing.text]
    around = drawing.letters[2:8]  # of [MASK]
    expected = [*around[:, :2].min(0), *around[:, 2:].max(0)]
    np.testing.assert_allclose(drawing.boxes[1], expected, atol=1e-3)
    left, top, right, bottom = drawing.letters[8]  # i
    ink = drawing.pixels[round(top) : round(bottom), round(left) : round(right)]
    assert (ink < 128).any()


def test_a_token_without_letters_has_no_box() -> None:
    drawing = draw("a  b", PLAIN, 64, [(0, 1), (1, 1), (1, 3), (3, 4)])
    assert np.isnan(drawing.boxes).all(1).tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match="nothing to draw"):
        draw(" \n ", PLAIN, 64)


def test_a_word_longer_than_a_line_is_broken() -> None:
    placed = lay_out("x" * 100, PLAIN, face_of(BUILT_IN, 20))
    limit = 24 * face_of(BUILT_IN, 20).letter
    assert len(placed) > 3
    assert all(one.word.advance <= limit for one in placed)
    assert [one.begin for one in placed] == [0, *(one.end for one in placed[:-1])]


def test_line_breaks_and_blocks_stay() -> None:
    face = face_of(BUILT_IN, 20)
    ys = [one.y // (face.ascent + face.descent) for one in lay_out("a\nb\n\n\n c", PLAIN, face)]
    assert ys == [0, 1, 3]


def test_the_same_every_time() -> None:
    def sampled(seed: int) -> np.ndarray:
        style = SMALL.sample(TEXT, fonts(), np.random.default_rng(seed))
        return draw(TEXT, style, 128, SPANS, {3}).pixels

    assert np.array_equal(sampled(3), sampled(3))
    assert not np.array_equal(sampled(3), sampled(4))


def test_styles_are_sampled_within_their_class() -> None:
    generator = np.random.default_rng(0)
    styles = [LARGE.sample("dog", [BUILT_IN], generator) for _ in range(1000)]
    assert {style.size for style in styles} == {13}
    assert {style.wrap for style in styles} == set(range(30, 75))
    share = sum(style.inverted for style in styles) / 1000
    assert abs(share - 0.5) < 4 * (0.25 / 1000) ** 0.5
    assert {style.align for style in styles} == set(ALIGNMENTS)


def font_for(text: str):
    found = next((font for font in fonts() if font.covers(text)), None)
    if found is None:
        pytest.skip(f"no font here draws {text!r}; apt install fonts-dejavu-core fonts-wqy-microhei")
    return found


def test_chinese_is_broken_anywhere_but_before_a_full_stop() -> None:
    text = "黑猫坐在垫子上。" * 6
    style = Style(font_for(text), wrap=20)
    placed = lay_out(text, style, face_of(style.font, 20))
    assert len({one.y for one in placed}) > 2
    starts = [text[next(line).begin] for _, line in itertools.groupby(placed, key=lambda one: one.y)]
    assert "。" not in starts


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow has no raqm here")
@pytest.mark.parametrize("text", ["שלום", "السلام"])
def test_right_to_left_words_are_what_raqm_draws(text: str) -> None:
    style = Style(font_for(text))
    face = face_of(style.font, 20)
    image = Image.new("L", (600, 100))
    ImageDraw.Draw(image).text((60, 60), text, 255, face.shaped, anchor="ls", direction="rtl")
    ink = np.asarray(image)
    rows, columns = ink.any(1).nonzero()[0], ink.any(0).nonzero()[0]
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert np.array_equal(draw_page(text, style).ink, np.pad(cropped, MARGIN))


def test_right_to_left_runs_from_the_right() -> None:
    text = "אחת שתיים two three ארבע"
    style = Style(font_for(text), wrap=60)
    drawing = draw(text, style, (40, 500), [(0, 3), (4, 9), (10, 13), (14, 19), (20, 24)])
    lefts = drawing.boxes[:, 0].tolist()
    assert lefts[0] > lefts[1] > lefts[3] > lefts[2] > lefts[4]
    inside = draw("abc שלום", Style(font_for("abc שלום")), (40, 300), [(0, 3), (4, 5), (7, 8)]).boxes[:, 0]
    assert inside[0] < inside[2] < inside[1]


def test_a_mask_takes_the_place_of_its_word_whatever_runs_which_way() -> None:
    text = "אחת שתיים שלוש"
    spans = [(0, 3), (4, 9), (10, 14)]
    for masked in range(3):
        lefts = draw(text, Style(font_for(text), wrap=60), (40, 500), spans, {masked}).boxes[:, 0]
        assert lefts[0] > lefts[1] > lefts[2]


def test_a_mask_in_a_font_without_latin_letters_is_drawn_in_another() -> None:
    lacking = next((f for f in fonts() if not f.covers("[MASK]") and f.covers("क")), None)
    if lacking is None:
        pytest.skip("every font here draws [MASK]; apt install fonts-noto-core")
    masked = draw("क क", Style(lacking), (40, 200), [(0, 1), (2, 3)], {1})
    latin = face_of(BUILT_IN, 20)
    page = draw_page("क [MASK]", Style(lacking))
    assert masked.text == "क [MASK]"
    assert np.array_equal(page.words[-1].word.bitmap, lay_out("[MASK]", PLAIN, latin)[0].word.bitmap)
