"""The facts of a library add up."""

from showtell.library.info import library_info
from support.library import FakeEncoder, draw, index


def test_facts(tmp_path) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    draw(photos / "a.png", (255, 0, 0))
    (photos / "broken.png").write_bytes(b"not an image")
    index(photos, library, FakeEncoder())
    draw(photos / "b.png", (0, 255, 0))
    index(photos, library, FakeEncoder("model-b", grid=False), captions=False)
    facts = library_info(library)
    assert (facts.newest, facts.skipped) == ("fake@model-b", 1)
    assert facts.bytes == sum(file.stat().st_size for file in library.rglob("*") if file.is_file())
    first, second = facts.sets
    assert (first.hash, first.images, first.captioned, first.up_to_date) == ("model-a", 1, True, False)
    assert (second.hash, second.images, second.captioned, second.up_to_date) == ("model-b", 2, False, True)
    assert (first.width, first.tokens, second.tokens) == (3, 8, 1)
    assert first.indexed <= second.indexed
