"""The report shows everything it is given, once, in one file, and no section for what it is not given."""

import re

import numpy as np
import pytest

from showtell.errors import UsageError
from showtell.html.maps import ImageMap, ShownImage, WordMap
from showtell.reports.report import (
    Analogy,
    CaptionedImage,
    FoundImage,
    Search,
    SimilarImages,
    SimilarWords,
    write_report,
)
from showtell.tasks.caption import Caption
from showtell.tasks.words import WordScore
from support.html_page import HOSTILE, Page, jpeg


def image(path, caption=""):
    return ShownImage(path, jpeg("green", (32, 24)), caption)


def report(tmp_path, **parts):
    path = tmp_path / "report.html"
    write_report(path, title=HOSTILE, model="show_and_tell 1234", **parts)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    return Page(path.read_text("utf-8"))


def test_every_section_is_shown(tmp_path):
    dog, cat = image("照片/狗.jpg", "a dog"), image("cat.jpg", HOSTILE)
    page = report(
        tmp_path,
        images=[CaptionedImage(dog, [Caption("a dog runs", -2.0, np.log(0.5)), Caption("", -9.0, -4.5)])],
        searches=[
            Search(HOSTILE, "inversion", 0.4321, [FoundImage(dog, 0.98765), FoundImage(cat, -3.5)]),
            Search("two unicorns", "captions", 2.0, []),
        ],
        similar_images=[SimilarImages(dog, [FoundImage(cat, 0.25)])],
        words=[SimilarWords("boy", [WordScore("girl", 0.75), WordScore("<b>", -0.5)])],
        analogies=[Analogy("man", "men", "woman", [WordScore("women", 0.6), WordScore("girls", 0.5)])],
        word_map=WordMap(["boy", "girl"], np.zeros((2, 2))),
        image_map=ImageMap([dog, cat], np.zeros((2, 2))),
        seconds=41.27,
    )
    for shown in (
        "a dog runs 50%",
        "(no words)",
        "1%",
        "狗.jpg",
        "0.988",
        "-3.500",
        "inversion",
        "432 ms",
        "0.250",
    ):
        assert shown in page.text
    for shown in (
        "“two unicorns”",
        "Nothing found",
        "boy",
        "girl",
        "0.75",
        "<b>",
        "women 0.60",
        "girls",
        "41.3 s",
    ):
        assert shown in page.text
    assert "man : men :: woman" in page.text
    assert page.text.count(HOSTILE) == 3  # title, heading, query
    assert [a["style"] for a in page.all("li") if "score" in a.get("style", "")] == [
        "--score:0.750",
        "--score:0.000",
    ]
    links = [a["href"] for a in page.all("a")]
    assert links == [f"#{a['id']}" for a in page.all("section")]
    assert len(links) == 7
    assert not any(
        "src" in a and not a["src"].startswith("data:image/jpeg;base64,") for _, a in page.elements
    )
    assert all(a.get("alt") for a in page.all("img")[:-1])  # the last is the empty frame of the enlarged view
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_without_content_there_are_no_sections(tmp_path):
    page = report(tmp_path)
    assert page.all("section") == []
    assert page.all("a") == []
    assert "show_and_tell 1234" in page.text
    assert "images" not in page.text


@pytest.mark.parametrize("count", [1, 20, 21, 130])
def test_no_image_is_left_out_of_many(tmp_path, count):
    page = report(
        tmp_path, images=[CaptionedImage(image(f"{i}.jpg"), [Caption("x", -1.0, -0.5)]) for i in range(count)]
    )
    assert [a["data-path"] for a in page.all("button") if "data-path" in a] == [
        f"{i}.jpg" for i in range(count)
    ]
    assert len(page.all("details")) == (count > 20)
    assert re.search(rf"\b{count} image{'s' if count > 1 else ''}\b", page.text)


def test_a_report_is_an_html_file(tmp_path):
    with pytest.raises(UsageError, match=r"\.html"):
        write_report(tmp_path / "report.pdf", title="t", model="m")
