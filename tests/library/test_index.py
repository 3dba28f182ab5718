import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from showtell.errors import UserError
from showtell.library.search import Library
from showtell.library.verify import verify
from showtell.progress import shown_by
from showtell.protocols import Encoded
from support import hostile
from support.library import FakeEncoder, check, draw, index


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    draw(folder / "red.png", (250, 10, 10))
    draw(folder / "green.PNG", (10, 250, 10))
    draw(folder / "子 folder" / "蓝 100%.png", (10, 10, 250), size=(30, 60))
    return folder


@pytest.fixture
def library(tmp_path) -> Path:
    return tmp_path / "library"


def test_a_new_library_holds_what_was_found(photos, library) -> None:
    seen = []
    with shown_by(lambda what, done, total, note: seen.append((done, total))):
        report = index(photos, library, FakeEncoder())
    check(report, added=3)
    assert seen[-1] == (3, 3)
    opened = Library.open(library)
    assert [p.path for p in opened.rows()] == sorted(p for p in photos.rglob("*.*"))
    blue = opened.rows()[-1]
    assert (blue.width, blue.height) == (30, 60)
    assert blue.caption == "something blue on a table"
    assert verify(library) == []


def test_unchanged_images_are_not_read(photos, library, monkeypatch) -> None:
    encoder = FakeEncoder()
    index(photos, library, encoder)
    monkeypatch.setattr("showtell.library.scan.read_content", lambda path: pytest.fail(f"read {path}"))
    check(index(photos, library, encoder), unchanged=3)
    assert encoder.encoded == 3


def test_each_kind_of_change(photos, library) -> None:
    encoder = FakeEncoder()
    index(photos, library, encoder)
    before = Library.open(library)
    red = before.vectors()[[p.path.name for p in before.rows()].index("red.png")]

    (photos / "red.png").rename(photos / "moved.png")
    draw(photos / "green.PNG", (10, 10, 240))
    os.utime(photos / "子 folder" / "蓝 100%.png")
    shutil.copy(photos / "moved.png", photos / "copy.png")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xffnot really")
    report = index(photos, library, encoder)
    check(report, added=2, updated=1, removed=1, unchanged=1, skipped=1)
    assert encoder.encoded == 4, "only the changed image needs the net"

    after = Library.open(library)
    names = [p.path.name for p in after.rows()]
    assert names == ["copy.png", "green.PNG", "moved.png", "蓝 100%.png"]
    for name in ("copy.png", "moved.png"):
        np.testing.assert_array_equal(after.vectors()[names.index(name)], red)
    assert after.rows()[names.index("green.PNG")].caption == "something blue on a table"
    (skip,) = [json.loads(line) for line in (library / "skipped.jsonl").read_text().splitlines()]
    assert skip["path"] == str(photos / "broken.jpg")
    assert skip["reason"]
    assert verify(library) == []
    check(index(photos, library, encoder), unchanged=4, skipped=1)


def test_what_was_skipped_in_another_folder_stays_listed(photos, library, tmp_path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    broken, mended, gone = photos / "broken.jpg", other / "mended.jpg", other / "gone.jpg"
    for file in (broken, mended, gone):
        file.write_bytes(b"\xff\xd8\xffnot really")
    index(photos, library, FakeEncoder())
    index(other, library, FakeEncoder())
    gone.unlink()
    draw(mended, (1, 2, 3))
    check(index(other, library, FakeEncoder()), added=1)
    (skip,) = [json.loads(line) for line in (library / "skipped.jsonl").read_text().splitlines()]
    assert skip["path"] == str(broken)


def test_contents_that_swap_their_files(photos, library) -> None:
    """The only row with a content may be the one that is replaced."""
    encoder = FakeEncoder()
    index(photos, library, encoder)
    red, green = (photos / "red.png").read_bytes(), (photos / "green.PNG").read_bytes()
    (photos / "red.png").write_bytes(green + b"")
    (photos / "green.PNG").write_bytes(red)
    for name in ("red.png", "green.PNG"):
        os.utime(photos / name, ns=(1, 1))
    check(index(photos, library, encoder), updated=2, unchanged=1)
    assert encoder.encoded == 3
    captions = {p.path.name: p.caption for p in Library.open(library).rows()}
    assert captions["red.png"] == "something green on a table"
    assert captions["green.PNG"] == "something red on a table"
    assert verify(library) == []


def test_copies_in_one_run_share_the_computation(tmp_path, library) -> None:
    """In the same batch, in the next one, and after the first was written."""
    folder = tmp_path / "photos"
    first = draw(folder / "0.png", (9, 90, 9))
    for i in range(100):
        draw(folder / f"{i:03} own.png", (i, 2 * i, 200))
        shutil.copy(first, folder / f"{i:03} copy.png")
    encoder = FakeEncoder()
    check(index(folder, library, encoder), added=201)
    assert encoder.encoded == encoder.captioned == 101
    assert len(Library.open(library)) == 201
    assert verify(library) == []


def test_an_image_that_breaks_is_removed(photos, library) -> None:
    index(photos, library, FakeEncoder())
    (photos / "red.png").write_bytes(b"")
    check(index(photos, library, FakeEncoder()), unchanged=2, removed=1, skipped=1)
    assert "red.png" not in [p.path.name for p in Library.open(library).rows()]


def test_another_folder_adds_and_a_renamed_folder_moves(photos, library, tmp_path) -> None:
    encoder = FakeEncoder()
    index(photos, library, encoder)
    draw(tmp_path / "more" / "grey.png", (90, 90, 90))
    check(index(tmp_path / "more", library, encoder), added=1)
    assert len(Library.open(library)) == 4
    renamed = photos.rename(tmp_path / "renamed")
    check(index(renamed, library, encoder), added=3, removed=3)
    assert len(Library.open(library)) == 4
    assert encoder.encoded == 4
    assert verify(library) == []


def test_own_captions_are_kept_and_followed(photos, library) -> None:
    encoder = FakeEncoder()
    own = {photos / "red.png": ["a poppy", "a flower"]}
    index(photos, library, encoder, own_captions=own)
    opened = Library.open(library)
    assert {p.path.name: p.captions for p in opened.rows()}["red.png"] == ("a poppy", "a flower")
    assert opened.full_text("poppy")[0].path.name == "red.png"
    check(index(photos, library, encoder, own_captions=own), unchanged=3)
    own[photos / "green.PNG"] = ["grass"]
    check(index(photos, library, encoder, own_captions=own), unchanged=2, updated=1)
    assert [m.path.name for m in Library.open(library).full_text("grass")] == ["green.PNG"]
    assert encoder.encoded == encoder.captioned == 3


@pytest.mark.parametrize("grid", [True, False])
def test_captions_can_come_later_without_the_images(photos, library, grid, monkeypatch) -> None:
    encoder = FakeEncoder(grid=grid)
    index(photos, library, encoder, captions=False)
    assert [p.caption for p in Library.open(library).rows()] == [None] * 3
    assert encoder.captioned == 0
    monkeypatch.setattr("showtell.library.scan.read_content", lambda path: pytest.fail(f"read {path}"))
    check(index(photos, library, encoder), updated=3)
    assert "something blue on a table" in [p.caption for p in Library.open(library).rows()]
    assert encoder.encoded == 3
    check(index(photos, library, encoder, captions=False), unchanged=3)


def test_a_new_model_also_serves_the_other_folders(photos, library, tmp_path) -> None:
    index(photos, library, FakeEncoder())
    draw(tmp_path / "more" / "grey.png", (90, 90, 90))
    check(index(tmp_path / "more", library, FakeEncoder("model-b")), added=4)
    assert len(Library.open(library)) == 4


def test_rebuild_computes_everything_again(photos, library) -> None:
    encoder = FakeEncoder()
    index(photos, library, encoder)
    check(index(photos, library, encoder, rebuild=True), added=3)
    assert encoder.encoded == 6
    assert verify(library) == []


def test_rebuild_repairs_a_table_that_cannot_be_read(photos, library) -> None:
    encoder = FakeEncoder()
    index(photos, library, encoder)
    for file in library.rglob("*.lance/**/*"):
        if file.is_file():
            file.write_bytes(b"noise")
    with pytest.raises(UserError, match="--rebuild"):
        Library.open(library)
    with pytest.raises(UserError, match="--rebuild"):
        verify(library)
    with pytest.raises(UserError, match="--rebuild"):
        index(photos, library, encoder)
    check(index(photos, library, encoder, rebuild=True), added=3)
    assert len(Library.open(library)) == 3
    assert verify(library) == []


def test_rebuild_repairs_a_truncated_table(photos, library, tmp_path) -> None:
    """Its version can be opened, its rows cannot be read."""
    index(photos, library, FakeEncoder())
    draw(tmp_path / "more" / "grey.png", (90, 90, 90))
    assert index(tmp_path / "more", library, FakeEncoder()).lost is None
    for file in library.glob("images-*.lance/data/*.lance"):
        file.write_bytes(file.read_bytes()[:300])
    command = f"showtell index FOLDER --library {library} --rebuild"
    for ask in (
        lambda: index(photos, library, FakeEncoder()),
        lambda: index(photos, library, FakeEncoder("model-b")),
        lambda: Library.open(library),
        lambda: verify(library),
    ):
        with pytest.raises(UserError) as told:
            ask()
        assert str(told.value).endswith(command)
    report = index(photos, library, FakeEncoder(), rebuild=True)
    check(report, added=3)
    assert report.lost is not None
    assert "index other folders again" in report.lost
    assert verify(library) == []
    report = index(tmp_path / "more", library, FakeEncoder())
    check(report, added=1)
    assert report.lost is None
    assert len(Library.open(library)) == 4


@pytest.mark.parametrize("part", ["metadata", "docs", "invert", "tokens"])
def test_a_damaged_full_text_index_is_found_and_rebuilt(photos, library, part) -> None:
    index(photos, library, FakeEncoder())
    (file,) = library.glob(f"images-*.lance/_indices/*/*{part}.lance")
    file.write_bytes(file.read_bytes()[:30])
    (problem,) = verify(library)
    assert problem.path == library
    assert "full-text index" in problem.what
    check(index(photos, library, FakeEncoder()), unchanged=3)
    assert verify(library) == []
    assert [m.path.name for m in Library.open(library).full_text("red")] == ["red.png"]


def test_the_library_may_lie_in_the_folder(photos) -> None:
    library = photos / "library"
    index(photos, library, FakeEncoder())
    draw(library / "stray.png", (1, 2, 3))
    check(index(photos, library, FakeEncoder()), unchanged=3)


def test_an_empty_folder_makes_an_empty_library(tmp_path, library) -> None:
    (tmp_path / "photos").mkdir()
    check(index(tmp_path / "photos", library, FakeEncoder()))
    opened = Library.open(library)
    assert (len(opened), opened.rows(), opened.full_text("a")) == (0, [], [])
    assert opened.similar(np.zeros(3, np.float32)) == []
    draw(tmp_path / "photos" / "a.png", (1, 2, 3))
    check(index(tmp_path / "photos", library, FakeEncoder()), added=1)
    (tmp_path / "photos" / "a.png").unlink()
    check(index(tmp_path / "photos", library, FakeEncoder(), prune=True), removed=1)
    assert Library.open(library).rows() == []


def test_mistakes_are_errors(photos, tmp_path, library) -> None:
    with pytest.raises(UserError, match="no folder"):
        index(tmp_path / "absent", library, FakeEncoder())
    with pytest.raises(UserError, match="not a library"):
        index(photos, photos, FakeEncoder())
    with pytest.raises(UserError, match="not a library"):
        Library.open(photos)
    with pytest.raises(UserError, match="there is no library"):
        verify(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        index(photos, tmp_path / "file" / "library", FakeEncoder())
    index(photos, library, FakeEncoder())
    (library / "library.json").write_text('{"table": ')
    with pytest.raises(UserError, match="damaged"):
        Library.open(library)


def test_verify_names_what_is_wrong(photos, library) -> None:
    index(photos, library, FakeEncoder())
    (photos / "red.png").unlink()
    draw(photos / "green.PNG", (1, 1, 1))
    problems = {problem.path.name: problem.what for problem in verify(library)}
    assert problems.keys() == {"red.png", "green.PNG"}
    assert "does not exist" in problems["red.png"]
    assert "changed" in problems["green.PNG"]


def test_a_vector_that_is_not_finite_is_skipped(photos, library) -> None:
    class BrokenEncoder(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> Encoded:
            encoded = super().encode(images)
            encoded.pooled[0] = torch.nan
            encoded.tokens[1] = 1e6  # more than float16 holds
            return encoded

    check(index(photos, library, BrokenEncoder()), added=1, skipped=2)
    assert len(Library.open(library)) == 1
    assert "finite" in (library / "skipped.jsonl").read_text()
    check(index(photos, library, FakeEncoder()), added=2, unchanged=1)


def test_vectors_damaged_on_disk_are_found_and_do_no_harm(photos, library) -> None:
    index(photos, library, FakeEncoder())
    (known,) = json.loads((library / "library.json").read_text())["sets"]
    table = lancedb.connect(library).open_table(known["table"])
    rows = table.to_arrow()
    table.delete("true")
    vectors = pa.array([[np.inf, 0, 0], [1, 2, 3], [0, 0, 0]], rows.schema.field("vector").type)
    table.add(rows.set_column(rows.schema.get_field_index("vector"), rows.schema.field("vector"), vectors))
    table.add(rows.slice(1, 1))
    assert {p.what for p in verify(library)} == {"its vector is not finite", "has 2 rows"}
    opened = Library.open(library)
    assert len(opened) == 3, "of two rows of one file the later counts"
    matches = opened.similar(np.ones(3, np.float32))
    assert all(np.isfinite(match.score) for match in matches)
    check(index(photos, library, FakeEncoder(), rebuild=True), added=3)
    assert verify(library) == []


def test_large_jpegs_keep_their_size_and_rotation(tmp_path, library) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (2000, 1500), (200, 0, 0)).save(tmp_path / "photos" / "turned.jpg", exif=exif)
    index(tmp_path / "photos", library, FakeEncoder())
    (image,) = Library.open(library).rows()
    assert (image.width, image.height) == (1500, 2000)


def test_hostile_folder(tmp_path, library) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    hostile.build(folder)
    unnameable = hostile.build_unnameable(folder)
    report = index(folder, library, FakeEncoder())
    assert report.total == report.added > 0
    assert report.skipped > 0
    skipped = [json.loads(line) for line in (library / "skipped.jsonl").read_text().splitlines()]
    assert len(skipped) == report.skipped
    assert all(skip["path"] and skip["reason"] for skip in skipped)
    assert [s["reason"] for s in skipped].count("its name is not valid UTF-8; rename it") == len(unnameable)
    assert len(Library.open(library)) == report.added
    assert verify(library) == []


def test_vectors_of_another_device_are_moved_at_the_border(photos, library) -> None:
    moved = []

    class Elsewhere(Encoded):
        def to(self, device):
            moved.append(device)
            return super().to(device)

    class OnAnotherDevice(FakeEncoder):
        def encode(self, images):
            encoded = super().encode(images)
            return Elsewhere(encoded.tokens, encoded.pooled)

        def best_captions(self, encoded):
            assert isinstance(encoded, Elsewhere)  # captions are made on the encoder's device
            return super().best_captions(encoded)

    report = index(photos, library, OnAnotherDevice())
    assert report.added == report.total
    assert moved == ["cpu"]
