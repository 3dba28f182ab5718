"""The recipes over a library: a folder's own captions, the vectors a search reads, limits."""

import json
from pathlib import Path

import numpy as np
import pytest

from showtell.cli.main import run
from showtell.errors import UserError
from showtell.library.search import Library
from showtell.recipes.library import index
from showtell.recipes.search import Searcher
from test_library import FakeEncoder, draw


class FakeModel(FakeEncoder):
    """Can all that is asked of it."""

    device = "cpu"

    def can(self, ability: type) -> bool:
        return True

    def require(self, *abilities: type) -> None:
        pass


@pytest.fixture
def photos(tmp_path) -> Path:
    draw(tmp_path / "photos" / "a.png", (250, 10, 10))
    draw(tmp_path / "photos" / "b.png", (10, 250, 10))
    rows = [{"file_name": "a.png", "text": "a poppy"}, {"file_name": "b.png", "text": "grass"}]
    (tmp_path / "photos" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "photos"


def test_what_is_wrong_with_the_captions_is_said(photos, tmp_path, capsys) -> None:
    index(photos, tmp_path / "library", FakeModel())
    assert capsys.readouterr().err == ""
    assert [p.captions for p in Library.open(tmp_path / "library").rows()] == [("a poppy",), ("grass",)]
    (photos / "metadata.jsonl").write_text('{"file_name": "a.png", "te')
    index(photos, tmp_path / "library", FakeModel())
    (line,) = capsys.readouterr().err.splitlines()
    assert "problems, the first: " in line
    assert f"`showtell data check {photos}` lists them" in line


def test_captions_that_cannot_be_read_are_said(photos, tmp_path, capsys, monkeypatch) -> None:
    def refuse(folder: Path) -> None:
        raise UserError(f"{folder}/metadata.jsonl cannot be read: Permission denied")

    monkeypatch.setattr("showtell.recipes.library.read", refuse)
    index(photos, tmp_path / "library", FakeModel())
    assert "metadata.jsonl cannot be read: Permission denied" in capsys.readouterr().err


def test_a_rebuild_says_what_it_could_not_carry_over(
    photos, tmp_path, checkpoint, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("SHOWTELL_MODEL", str(checkpoint))
    arguments = ["index", str(photos), "--library", str(tmp_path / "library"), "--no-captions", "--json"]
    assert run(arguments) == 0
    for file in tmp_path.glob("library/pictures-*.lance/data/*.lance"):
        file.write_bytes(file.read_bytes()[:300])
    capsys.readouterr()
    assert run([*arguments, "--rebuild"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["added"] == 2
    assert "index any other folder again" in err


def test_inversion_reads_no_grid(photos, tmp_path, monkeypatch) -> None:
    index(photos, tmp_path / "library", FakeModel())

    monkeypatch.setattr("showtell.library.search.encoded_of", None)
    pooled = Searcher(tmp_path / "library", FakeModel())._pooled
    assert pooled.shape == (2, 3)
    np.testing.assert_array_equal(pooled.argmax(1), [0, 1])


def test_similar_refuses_pictures_that_are_too_large(
    photos, tmp_path, checkpoint, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("SHOWTELL_MODEL", str(checkpoint))
    library = ["--library", str(tmp_path / "library")]
    assert run(["index", str(photos), *library, "--no-captions"]) == 0
    assert run(["similar", str(photos / "a.png"), *library]) == 0
    capsys.readouterr()
    assert run(["similar", str(photos / "a.png"), *library, "--max-pixels", "100"]) == 1
    assert "a.png" in capsys.readouterr().err
