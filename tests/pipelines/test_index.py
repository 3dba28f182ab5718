"""Indexing a folder: its own captions, the vectors that a search reads, limits."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from showtell.cli.main import run
from showtell.errors import UserError
from showtell.library.search import Library
from showtell.pipelines.engines.inversion import Inversion
from showtell.pipelines.index import index
from support.library import FakeEncoder, draw


class FakeModel(FakeEncoder):
    """Keeps every protocol."""

    device = "cpu"

    def can(self, ability: type) -> bool:
        return True

    def require(self, *abilities: type) -> None:
        pass


@pytest.fixture
def warned(capsys, caplog):
    """The messages since the last call, one per line."""

    def warned() -> str:
        text = capsys.readouterr().err + "".join(f"{message}\n" for message in caplog.messages)
        caplog.clear()
        return text

    return warned


@pytest.fixture
def photos(tmp_path) -> Path:
    draw(tmp_path / "photos" / "a.png", (250, 10, 10))
    draw(tmp_path / "photos" / "b.png", (10, 250, 10))
    rows = [{"file_name": "a.png", "text": "a poppy"}, {"file_name": "b.png", "text": "grass"}]
    (tmp_path / "photos" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "photos"


def test_problems_with_captions_are_reported(photos, tmp_path, warned) -> None:
    index(photos, tmp_path / "library", FakeModel())
    assert warned() == ""
    assert [p.captions for p in Library.open(tmp_path / "library").rows()] == [("a poppy",), ("grass",)]
    (photos / "metadata.jsonl").write_text('{"file_name": "a.png", "te')
    index(photos, tmp_path / "library", FakeModel())
    line, stay = warned().splitlines()
    assert line.startswith("1 problem, the first: ")
    assert f"`showtell data check {photos}` lists them" in line
    assert "keep the stored ones" in stay
    assert f"{photos}/metadata.jsonl:1: is not valid JSON" in stay


def stored(library: Path) -> dict[str, tuple[str, ...]]:
    return {image.path.name: image.captions for image in Library.open(library).rows()}


BOTH = {"a.png": ("a poppy",), "b.png": ("grass",)}
BROKEN = {
    "cut in its first row": (b'{"file_name": "a.png", "te', BOTH),
    "cut in its second row": (
        b'{"file_name": "a.png", "text": "a rose"}\n{"file_na',
        BOTH | {"a.png": ("a rose",)},
    ),
    "another column": (b'{"file_name": "a.png", "txet": "a rose"}', BOTH),
    "another encoding": ('{"file_name": "a.png", "text": "a ros\xe9"}'.encode("latin-1"), BOTH),
}


@pytest.mark.parametrize("name", BROKEN)
def test_captions_hidden_by_a_broken_file_stay(photos, tmp_path, warned, name) -> None:
    library = tmp_path / "library"
    index(photos, library, FakeModel())
    (photos / "metadata.jsonl").write_bytes(BROKEN[name][0])
    index(photos, library, FakeModel())
    assert stored(library) == BROKEN[name][1]
    assert "keep the stored ones" in warned()
    index(photos, library, FakeModel(), rebuild=True)
    index(photos, library, FakeModel("another"))
    assert stored(library) == BROKEN[name][1]


def test_captions_of_a_file_that_may_not_be_opened_stay(photos, tmp_path, warned, monkeypatch) -> None:
    (photos / "metadata.jsonl").rename(tmp_path / "old")
    (photos / "table.csv").write_text("image,caption\na.png,a poppy\nb.png,grass\n")
    index(photos, tmp_path / "library", FakeModel())
    assert stored(tmp_path / "library") == BOTH
    allowed = io.open

    def refuse(file: object, *arguments: object, **options: object) -> object:
        if str(file).endswith("table.csv"):  # a mode of 000 does not stop who is root
            raise PermissionError(13, "Permission denied", str(file))
        return allowed(file, *arguments, **options)

    monkeypatch.setattr(io, "open", refuse)
    index(photos, tmp_path / "library", FakeModel())
    assert stored(tmp_path / "library") == BOTH
    assert "table.csv: cannot be read: Permission denied" in warned()


def test_captions_taken_away_go(photos, tmp_path, warned) -> None:
    library = tmp_path / "library"
    index(photos, library, FakeModel())
    (photos / "metadata.jsonl").write_text('{"file_name": "b.png", "text": "grass"}\n')
    index(photos, library, FakeModel())
    assert stored(library) == {"a.png": (), "b.png": ("grass",)}
    missing = '{"file_name": "gone.png", "text": "a ghost"}\n{"file_name": "b.png", "text": ""}\n'
    (photos / "metadata.jsonl").write_text(missing)  # wrong, but nothing is hidden by it
    index(photos, library, FakeModel())
    assert stored(library) == {"a.png": (), "b.png": ()}
    (photos / "metadata.jsonl").write_text('{"file_name": "b.png", "text": "grass"}\n')
    index(photos, library, FakeModel())
    (photos / "metadata.jsonl").unlink()
    index(photos, library, FakeModel())
    assert stored(library) == {"a.png": (), "b.png": ()}
    assert "stored" not in warned()


def test_unreadable_captions_are_reported(photos, tmp_path, warned, monkeypatch) -> None:
    def refuse(folder: Path) -> None:
        raise UserError(f"{folder}/metadata.jsonl cannot be read: Permission denied")

    monkeypatch.setattr("showtell.pipelines.index.read_captions", refuse)
    index(photos, tmp_path / "library", FakeModel())
    assert "metadata.jsonl cannot be read: Permission denied" in warned()


def test_captions_of_a_folder_that_cannot_be_read_stay(photos, tmp_path, warned, monkeypatch) -> None:
    index(photos, tmp_path / "library", FakeModel())

    def refuse(folder: Path) -> None:
        raise UserError(f"{folder} cannot be read: Input/output error")

    monkeypatch.setattr("showtell.pipelines.index.read_captions", refuse)
    index(photos, tmp_path / "library", FakeModel())
    assert stored(tmp_path / "library") == BOTH
    assert "stored ones stay" in warned()


def test_a_rebuild_reports_what_it_lost(photos, tmp_path, checkpoint, capsys, monkeypatch) -> None:
    monkeypatch.setenv("SHOWTELL_MODEL", str(checkpoint))
    arguments = ["index", str(photos), "--library", str(tmp_path / "library"), "--no-captions", "--json"]
    assert run(arguments) == 0
    for file in tmp_path.glob("library/images-*.lance/data/*.lance"):
        file.write_bytes(file.read_bytes()[:300])
    capsys.readouterr()
    assert run([*arguments, "--rebuild"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["added"] == 2
    assert "index other folders again" in err


def test_what_cannot_be_indexed_is_said_before_a_model_is_loaded(photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("showtell.pipelines.index.load_model", None)
    (tmp_path / "file").write_text("text")
    with pytest.raises(UserError, match="is a file, not a library"):
        index(photos, tmp_path / "file")
    with pytest.raises(UserError, match="holds other files and is not a library"):
        index(photos, photos)
    with pytest.raises(UserError, match=r"no folder .*nowhere$"):
        index(tmp_path / "nowhere", tmp_path / "library")


def test_a_folder_that_is_gone_is_pruned(photos, tmp_path) -> None:
    library = tmp_path / "library"
    stored = index(photos, library, FakeModel()).total
    photos.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="--prune drops them"):
        index(photos, library, FakeModel())
    for prune in (False, True):  # a folder that was mistyped has nothing to drop
        with pytest.raises(UserError, match=r"there is no folder .*nowhere$"):
            index(tmp_path / "nowhere", library, FakeModel(), prune=prune)
    pruned = index(photos, library, FakeModel(), prune=True)
    assert (pruned.removed, pruned.total) == (stored, 0)
    assert not (tmp_path / "other").exists()
    with pytest.raises(UserError, match="there is no folder"):
        index(photos, tmp_path / "other", FakeModel(), prune=True)


def test_inversion_reads_no_grid(photos, tmp_path, monkeypatch) -> None:
    index(photos, tmp_path / "library", FakeModel())

    monkeypatch.setattr("showtell.library.search.encoded_of", None)
    pooled = Inversion(Library.open(tmp_path / "library"), FakeModel())._pooled
    assert pooled.shape == (2, 3)
    np.testing.assert_array_equal(pooled.argmax(1), [0, 1])


def test_similar_refuses_images_that_are_too_large(photos, tmp_path, checkpoint, capsys, monkeypatch) -> None:
    monkeypatch.setenv("SHOWTELL_MODEL", str(checkpoint))
    library = ["--library", str(tmp_path / "library")]
    assert run(["index", str(photos), *library, "--no-captions"]) == 0
    assert run(["similar", str(photos / "a.png"), *library]) == 0
    capsys.readouterr()
    assert run(["similar", str(photos / "a.png"), *library, "--max-pixels", "100"]) == 1
    assert "a.png" in capsys.readouterr().err
