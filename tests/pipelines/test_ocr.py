"""Printed text is found and read, wherever it stands, and a file without it is no fault."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from showtell.cli.main import run
from showtell.data.images.decode import load_image
from showtell.errors import MissingError, UserError
from showtell.hub.catalogue import package_path
from showtell.hub.onnx import OnnxRunner
from showtell.pipelines.ocr import TextReader, ocr

TEXTS = ["Show it a picture", "and it tells 12345", "Total: 98.76 EUR"]


@pytest.fixture(scope="module")
def reader():
    try:
        package_path("pp-ocrv4")
    except MissingError as error:
        pytest.skip(str(error))
    return TextReader()


@pytest.fixture(scope="module")
def page():
    image = Image.new("RGB", (700, 240), "white")
    draw = ImageDraw.Draw(image)
    for i, text in enumerate(TEXTS):
        draw.text((40, 30 + 60 * i), text, fill="black", font=ImageFont.load_default(28))
    return image


def plain(lines):
    return ["".join(line.text.split()) for line in lines]


WITHOUT_SPACES = ["".join(text.split()) for text in TEXTS]


@pytest.mark.parametrize("angle", [0, 10, -35, 90, 180, 270])
def test_text_is_read_at_any_angle_and_its_box_begins_where_it_does(reader, page, angle) -> None:
    turned = page.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    lines = reader(np.asarray(turned))
    assert plain(lines) == WITHOUT_SPACES
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    middle, new = np.array(page.size) / 2, np.array(turned.size) / 2
    for i, line in enumerate(lines):
        start = np.array([40, 38 + 60 * i]) - middle
        expected = new + np.array([[cos, sin], [-sin, cos]]) @ start
        np.testing.assert_allclose(line.box[0], expected, atol=14)
        assert 0.9 < line.confidence <= 1


def test_spaces_are_read(reader, page) -> None:
    assert [line.text for line in reader(np.asarray(page))][:2] == TEXTS[:2]


def test_light_text_on_dark_and_large_images(reader, page) -> None:
    assert plain(reader(255 - np.asarray(page))) == WITHOUT_SPACES
    large = Image.new("RGB", (5000, 4000), "white")
    large.paste(page.resize((1400, 480)), (2000, 2000))
    lines = reader(np.asarray(large))
    assert plain(lines) == WITHOUT_SPACES
    assert lines[0].box[0] == pytest.approx([2080, 2076], abs=28)


@pytest.mark.parametrize("size", [(1, 1), (300, 200), (9000, 20), (3, 4000)])
def test_an_image_without_text_has_no_lines(reader, size) -> None:
    assert reader(np.full((size[1], size[0], 3), 255, np.uint8)) == []


def test_the_verb_prints_one_object_per_image_and_counts_what_is_unsure(reader, page, tmp_path, ask) -> None:
    page.save(tmp_path / "a.png")
    Image.new("RGB", (60, 40), "white").save(tmp_path / "b.png")
    (tmp_path / "c.png").write_text("no image")
    names = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    status, found, err = ask("ocr", *names)
    assert status == 1
    assert "c.png: is not an image" in err
    first, second = found
    assert plain_json(first) == WITHOUT_SPACES
    assert (first["width"], first["height"], first["unsure"], first["model"]) == (700, 240, 0, "pp-ocrv4")
    assert (second["path"], second["lines"]) == (str(tmp_path / "b.png"), [])
    status, (first, *_), err = ask("ocr", tmp_path / "a.png", "--min-confidence", "1")
    assert (status, first["lines"], first["unsure"]) == (0, [], 3)
    assert "confidence below 1: 3 lines" in err


def plain_json(found):
    return ["".join(line["text"].split()) for line in found["lines"]]


def test_a_large_image_is_said_to_hide_small_text(reader, tmp_path, caplog) -> None:
    Image.new("L", (4000, 3500), "white").save(tmp_path / "large.png")
    (read,) = ocr(tmp_path)
    assert (read.width, read.lines) == (4000, [])
    assert "large.png is large: text lower than 17 pixels is not found" in caplog.text


def test_without_the_package_the_command_is_named(page, tmp_path, monkeypatch, capsys) -> None:
    page.save(tmp_path / "a.png")
    monkeypatch.setattr("showtell.hub.catalogue.find_spec", lambda name: None)
    assert run(["ocr", str(tmp_path / "a.png")]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "pp-ocrv4 are missing: pip install --no-deps --ignore-requires-python rapidocr" in said.err
    assert run(["embed", "--images", str(tmp_path / "a.png"), "--model", "pp-ocrv4"]) == 2


def test_a_damaged_network_is_named(tmp_path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x08\x07 nothing")
    with pytest.raises(UserError, match=r"net\.onnx is damaged"):
        OnnxRunner(tmp_path / "net.onnx")


@pytest.mark.slow
def test_a_receipt(reader, shared_data) -> None:
    """The annotated lines of one receipt, nearly all of its characters."""
    folder = shared_data / "sroie"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    entry = json.loads((folder / "sroie.json").read_text("utf-8"))[0]
    pixels = load_image(folder / "images" / f"{entry['id']}.jpg")
    read = "".join("".join(plain(reader(pixels))).upper())
    words = [w for line in entry["lines"] for w in line["text"].upper().split() if len(w) > 3]
    assert sum(word in read for word in words) > 0.75 * len(words)
