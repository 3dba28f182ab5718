"""Several models that index at once: each file is read once, and each model gets what it lacks."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from showtell.library import scan
from showtell.library.encoder import Indexer
from showtell.library.index import index as index_all
from showtell.library.search import Library
from showtell.library.store import Store
from showtell.library.verify import verify
from showtell.progress import shown_by
from showtell.protocols import Encoded
from support.library import FakeEncoder, check, draw, index


@pytest.fixture
def photos(tmp_path) -> Path:
    for i in range(12):
        draw(tmp_path / "photos" / f"{i:02}.png", (20 * i, 10, 99))
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def decoded(monkeypatch) -> list[Path]:
    """The files decoded, in the order in which they were."""
    files: list[Path] = []

    def decode(data: bytes, path: Path, *limits: int) -> np.ndarray:
        files.append(path)
        return whole(data, path, *limits)

    whole = scan.decode_image
    monkeypatch.setattr(scan, "decode_image", decode)
    return files


def both() -> tuple[FakeEncoder, FakeEncoder]:
    return FakeEncoder("model-a"), FakeEncoder("model-b", grid=False)


def test_a_file_is_decoded_once_for_all(photos, library, decoded) -> None:
    a, b = both()
    (photos / "12.png").write_bytes(b"none")
    for report in index_all(photos, library, [Indexer(a, captions=False), Indexer(b)]):
        check(report, added=12, skipped=1)
    assert sorted(decoded) == sorted(photos.iterdir())
    assert (a.encoded, a.captioned, b.encoded, b.captioned) == (12, 0, 12, 12)
    (line,) = (library / "skipped.jsonl").read_text().splitlines()
    assert json.loads(line)["path"] == str(photos / "12.png")
    assert [known.name for known in Store.open(library).manifest().sets] == [a.name, b.name]
    assert Library.open(library, a).behind is None
    assert verify(library) == []
    assert index(photos, library, FakeEncoder("model-a"), captions=False).unchanged == 12


def test_each_vector_is_that_of_the_model_alone(photos, library, tmp_path) -> None:
    index_all(photos, library, [Indexer(each) for each in both()])
    for each in both():
        index(photos, tmp_path / each.hash, each)
        alone, together = Library.open(tmp_path / each.hash, each), Library.open(library, each)
        assert together.rows() == alone.rows()
        np.testing.assert_array_equal(together.tokens(range(12)), alone.tokens(range(12)))


def test_a_model_encodes_only_what_it_lacks(photos, library, decoded, tmp_path) -> None:
    a, b = both()
    index(photos, library, a)
    (photos / "03.png").rename(photos / "moved.png")
    draw(photos / "new.png", (1, 250, 2))
    a.encoded = 0
    decoded.clear()
    first, second = index_all(photos, library, [Indexer(a), Indexer(b)])
    check(first, added=2, removed=1, unchanged=11)
    check(second, added=13)
    assert (a.encoded, b.encoded) == (1, 13)
    assert (first.beside, second.beside) == ((), (a.name,))
    assert len(decoded) == 13
    decoded.clear()
    for report in index_all(photos, library, [Indexer(a), Indexer(b)]):
        check(report, unchanged=13)
    assert decoded == []


def test_a_kill_loses_no_row_of_either(photos, library, monkeypatch) -> None:
    """Also of a table that is not part of the library yet."""

    class Killed(BaseException):
        pass

    class Weak(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> Encoded:
            if self.encoded >= 8:
                raise Killed
            return super().encode(images)

    monkeypatch.setattr("showtell.library.run.BATCH", 2)
    monkeypatch.setattr("showtell.library.run.COMMIT_ROWS", 2)
    index(photos, library, FakeEncoder("model-c"))
    with pytest.raises(Killed):
        index_all(photos, library, [Indexer(FakeEncoder("model-a")), Indexer(Weak("model-b", grid=False))])
    a, b = both()
    for report in index_all(photos, library, [Indexer(a), Indexer(b)]):
        assert (report.added + report.unchanged, report.total) == (12, 12)
    assert (a.encoded, b.encoded) == (2, 4)
    assert verify(library) == []


def test_progress_is_that_of_the_slowest(photos, library, monkeypatch) -> None:
    monkeypatch.setattr("showtell.library.run.BATCH", 4)
    monkeypatch.setattr("showtell.library.run.COMMIT_ROWS", 4)
    seen: list[tuple[int, int]] = []

    class Late(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> Encoded:
            assert all(done <= self.encoded for done, _ in seen)
            return super().encode(images)

    with shown_by(lambda what, done, total, note: seen.append((done, total))):
        index_all(photos, library, [Indexer(FakeEncoder("model-a")), Indexer(Late("model-b"))])
    assert (seen[0], seen[-1]) == ((0, 12), (12, 12))
    assert seen == sorted(seen)


def test_what_one_model_cannot_encode_is_skipped_for_it_alone(photos, library) -> None:
    class Dividing(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> Encoded:
            found = super().encode(images)
            bad = torch.where(found.pooled[:, :1] > 0.8, torch.nan, found.pooled)
            return Encoded(bad[:, None], bad)

    indexers = [Indexer(Dividing("model-a")), Indexer(FakeEncoder("model-b"))]
    first, second = index_all(photos, library, indexers)
    check(first, added=11, skipped=1)
    check(second, added=12)
    (line,) = (library / "skipped.jsonl").read_text().splitlines()
    assert "not finite" in line
    assert Library.open(library, FakeEncoder("model-a")).behind == "fake@model-b"
