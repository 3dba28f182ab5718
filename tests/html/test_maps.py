"""Maps are single files that load nothing, whatever stands on them."""

import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from showtell.errors import UsageError, UserError
from showtell.html import drawing
from showtell.html.maps import ImageMap, ShownImage, WordMap, write_map
from showtell.html.page import environment
from support.html_page import HOSTILE, Page, jpeg


def write(tmp_path, content, title="A map"):
    path = tmp_path / "folder" / "map.html"
    png = write_map(path, content, title)
    assert sorted(p.name for p in path.parent.iterdir()) == ["map.html", "map.png"]
    return path.read_text("utf-8"), Image.open(png)


def test_a_word_map_is_one_file_that_loads_nothing(tmp_path):
    words = ["dog", "狗", HOSTILE]
    html, png = write(tmp_path, WordMap(words, np.array([[0, 0], [0.5, 1], [1, 0.25]])), HOSTILE)
    page = Page(html)
    assert [a["style"] for a in page.all("li")] == [
        f"--x:{x};--y:{y}" for x, y in [("0.0000", "0.0000"), ("0.5000", "1.0000"), ("1.0000", "0.2500")]
    ]
    assert [a["title"] for a in page.all("span") if "title" in a] == words
    assert page.text.count(HOSTILE) == 3  # title, heading, word
    assert not any("href" in a or a.get("src", "data:")[:5] != "data:" for _, a in page.elements)
    assert not re.search(r"https?:|url\(|@import", html)
    assert len(page.all("script")) == 1
    assert png.size == drawing.SIZE


def test_only_our_script_may_run(tmp_path):
    """The policy in the page names the script's own hash, as a browser computes it."""
    import base64
    import hashlib

    html, _ = write(tmp_path, WordMap(["a"], np.zeros((1, 2))))
    policy = next(a["content"] for a in Page(html).all("meta") if "http-equiv" in a)
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_an_image_map_shows_thumbnails_with_their_caption_and_path(tmp_path):
    images = [ShownImage("照片/狗.jpg", jpeg("red"), "a dog"), ShownImage(f"{HOSTILE}.jpg", jpeg("blue"))]
    html, png = write(tmp_path, ImageMap(images, np.array([[0.0, 0.0], [1.0, 1.0]])))
    page = Page(html)
    marks = [a for a in page.all("button") if a.get("class") == "thumbnail"]
    assert [(a["data-path"], a["data-caption"]) for a in marks] == [(p.path, p.caption) for p in images]
    assert [a["alt"] for a in page.all("img")][:2] == ["a dog", f"{HOSTILE}.jpg"]
    corner, far = (
        png.getpixel((drawing.MARGIN,) * 2),
        png.getpixel(tuple(s - drawing.MARGIN for s in png.size)),
    )
    assert corner[0] > 200 > 60 > corner[2]
    assert far[2] > 200 > 60 > far[0]


@settings(deadline=None, max_examples=25)
@given(st.text(), st.text())
def test_no_name_or_caption_breaks_out(path, caption):
    macros = environment().get_template("macros.html.j2").module
    button = Page(macros.thumbnail(ShownImage(path, b"", caption)))
    assert [tag for tag, _ in button.elements] == ["button", "img"]
    figure = Page(macros.map_figure(WordMap([caption], np.zeros((1, 2)))))
    assert len(figure.all("li")) == 1


@pytest.mark.parametrize("content", [WordMap([], np.zeros((0, 2))), ImageMap([], np.zeros((0, 2)))])
def test_an_empty_map_is_a_page_too(tmp_path, content):
    html, png = write(tmp_path, content)
    assert Page(html).all("li") == []
    assert png.convert("L").getextrema() == (255, 255)


def test_a_file_name_that_is_not_unicode_is_shown_as_far_as_it_can_be(tmp_path):
    path = os.fsdecode(b"caf\xe9.jpg")
    html, _ = write(tmp_path, ImageMap([ShownImage(path, jpeg("red"))], np.zeros((1, 2))))
    assert "caf?.jpg" in html


@pytest.mark.parametrize("name", ["map.png", "map", "map.html.txt"])
def test_a_map_is_an_html_file(tmp_path, name):
    with pytest.raises(UsageError, match=r"\.html"):
        write_map(tmp_path / name, WordMap([], np.zeros((0, 2))), "t")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named_and_left_clean(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*map\.html"):
        write_map(tmp_path / "file" / "map.html", WordMap([], np.zeros((0, 2))), "t")
    (tmp_path / "map.html").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*map\.html"):
        write_map(tmp_path / "map.html", WordMap([], np.zeros((0, 2))), "t")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "map.html"]
