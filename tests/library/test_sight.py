"""Tags and familiarity beside the vectors: stored, moved along, and missing in older libraries."""

import logging
from pathlib import Path

import pytest

from showtell.library.search import Library
from showtell.library.sight import Sight, Tag
from showtell.library.store import Store
from showtell.library.verify import verify
from showtell.protocols import Encoded
from support.library import FakeEncoder, check, draw, index


def look(encoded: Encoded) -> list[Sight]:
    """The strongest colour as a tag; blue images are unfamiliar, and grey ones have no tag."""
    seen = []
    for vector in encoded.pooled:
        name = ("red", "green", "blue")[vector.argmax()]
        grey = bool(vector.max() - vector.min() < 0.1)
        seen.append(
            Sight([] if grey else [Tag(name, 0.75)], None if grey else 0.5 if name == "blue" else 1.5)
        )
    return seen


RED, BLUE = Sight([Tag("red", 0.75)], 1.5), Sight([Tag("blue", 0.75)], 0.5)


@pytest.fixture
def photos(tmp_path) -> Path:
    for name, colour in {"red": (250, 10, 10), "grey": (90, 90, 90), "blue": (10, 10, 250)}.items():
        draw(tmp_path / "photos" / f"{name}.png", colour)
    return tmp_path / "photos"


def seen(library: Path) -> dict[str, Sight | None]:
    return {image.path.stem: image.sight for image in Library.open(library).rows()}


def test_what_was_seen_is_stored_and_moves_with_the_image(photos, tmp_path) -> None:
    library, encoder = tmp_path / "library", FakeEncoder()
    index(photos, library, encoder, look=look)
    assert seen(library) == {"red": RED, "grey": Sight([], None), "blue": BLUE}
    assert (RED.familiar, BLUE.familiar, Sight([], None).familiar) == (True, False, None)
    (photos / "red.png").rename(photos / "moved.png")
    check(index(photos, library, encoder, look=look), added=1, removed=1, unchanged=2)
    assert encoder.encoded == 3
    assert seen(library) == {"moved": RED, "grey": Sight([], None), "blue": BLUE}
    opened = Library.open(library)
    assert opened.unseen == ""
    hits = opened.similar(opened.vectors()[0], top=2)
    assert (hits[0].path.stem, hits[0].sight) == ("blue", BLUE)
    assert verify(library) == []


def test_a_library_of_an_older_showtell_opens_and_says_what_is_missing(photos, tmp_path, caplog) -> None:
    library, encoder = tmp_path / "library", FakeEncoder()
    index(photos, library, encoder)
    store = Store.open(library)
    store.table(store.manifest().sets[0]).drop_columns(["tags", "familiarity"])
    assert seen(library) == {"red": None, "grey": None, "blue": None}
    assert "3 images" in Library.open(library).unseen
    assert verify(library) == []

    draw(photos / "blue again.png", (20, 20, 240))
    with caplog.at_level(logging.WARNING):
        check(index(photos, library, encoder, look=look), added=1, unchanged=3)
    assert seen(library) == {"red": None, "grey": None, "blue": None, "blue again": BLUE}
    (warning,) = (record.message for record in caplog.records)
    assert "3 images" in warning
    assert f"showtell index FOLDER --library {library} --rebuild" in warning
    check(index(photos, library, encoder, look=look, rebuild=True), added=4)
    assert seen(library) == {"red": RED, "grey": Sight([], None), "blue": BLUE, "blue again": BLUE}
