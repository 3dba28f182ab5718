import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from showtell.data.images.render.fonts import BUILT_IN, Font, choose, find_font, fonts, open_font
from showtell.errors import UsageError, UserError

GREEK = "λόγος"


def one_that_draws(text: str) -> Font:
    found = next((font for font in fonts() if font.covers(text)), None)
    if found is None:
        pytest.skip(f"no font here draws {text!r}")
    return found


def test_the_built_in_font_is_always_there_and_knows_what_it_draws() -> None:
    assert BUILT_IN in fonts()
    assert BUILT_IN.covers("The quick brown fox, 1234! [MASK]\n\t")
    assert BUILT_IN.missing("dog 猫") == {"猫"}


def test_a_font_of_last_resort_draws_no_text(tmp_path) -> None:
    """As the operating system's or matplotlib's, which show a box with the script's name for any letter."""
    letters = range(ord("a"), ord("f"))
    for name, glyph_of in (("last", dict.fromkeys(letters, "box")), ("plain", {c: chr(c) for c in letters})):
        glyphs = sorted({*glyph_of.values()})
        builder = FontBuilder(1000)
        builder.setupGlyphOrder([".notdef", *glyphs])
        builder.setupCharacterMap(glyph_of)
        builder.setupGlyf({one: TTGlyphPen(None).glyph() for one in (".notdef", *glyphs)})
        builder.setupHorizontalMetrics(dict.fromkeys((".notdef", *glyphs), (500, 0)))
        builder.setupHorizontalHeader(ascent=800, descent=-200)
        builder.setupNameTable({"familyName": name, "styleName": "Regular"})
        builder.setupOS2()
        builder.setupPost()
        builder.save(tmp_path / f"{name}.ttf")
    (last,), (plain,) = (open_font(tmp_path / f"{name}.ttf") for name in ("last", "plain"))
    assert plain.covers("cab")
    assert last.missing("cab") == {*"cab"}


def test_fonts_are_found_in_a_fixed_order() -> None:
    assert list(fonts()[:-1]) == sorted(fonts()[:-1])
    assert len({(font.path, font.index) for font in fonts()}) == len(fonts())


def test_a_font_that_lacks_a_glyph_is_never_chosen() -> None:
    able = one_that_draws(GREEK)
    among = (BUILT_IN, BUILT_IN, able)
    assert not BUILT_IN.covers(GREEK)
    generator = np.random.default_rng(0)
    assert {choose(GREEK, among, generator) for _ in range(50)} == {able}


def test_every_font_that_draws_a_text_is_chosen_as_often() -> None:
    among = [Font(str(n), "") for n in range(4)]  # the same face under four names
    generator = np.random.default_rng(0)
    counts = np.bincount([int(choose("dog", among, generator).name) for _ in range(400)])
    assert (abs(counts - 100) < 4 * (400 * 0.25 * 0.75) ** 0.5).all()


def test_the_characters_that_no_font_draws_are_named() -> None:
    with pytest.raises(UserError, match=r"'猫' \(U\+732B\)"):
        choose("dog 猫", [BUILT_IN], np.random.default_rng(0))


def test_characters_that_no_font_has_together_are_named(tmp_path) -> None:
    able = one_that_draws("猫")
    if able.covers("שלום"):
        pytest.skip(f"{able.name} draws both")
    with pytest.raises(UserError, match="no single font"):
        choose("猫 שלום", [able, one_that_draws("שלום")], np.random.default_rng(0))


def test_a_folder_without_fonts_names_packages_that_bring_some(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(UserError, match=r"holds no fonts .*fonts-dejavu-core.*font-roboto"):
        fonts(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        fonts(tmp_path / "notes.txt")


def test_a_broken_font_file_is_counted_and_the_others_are_found(tmp_path, caplog) -> None:
    (tmp_path / "good.ttf").write_bytes(BUILT_IN.at(10, 0).font_bytes)
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert [font.name for font in fonts(tmp_path)] == ["Aileron Regular"]
    assert fonts(tmp_path)[0].covers("dog")
    assert "1 font file not opened" in caplog.text
    with pytest.raises(UserError, match=r"broken\.ttf is not a font"):
        open_font(tmp_path / "broken.ttf")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert find_font("aileron regular", fonts()) == BUILT_IN
    with pytest.raises(UsageError, match="Aileron Regular"):
        find_font("Aileron Regula", [BUILT_IN])
