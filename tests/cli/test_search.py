"""`showtell search`: mistakes are named before the library is opened, and what is gone is said."""

import json
from pathlib import Path

import pytest

from showtell.cli.main import run
from showtell.cli.results import print_hits
from showtell.library.hit import Hit
from support.library import FakeEncoder, draw, index


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """With vectors of a model that is not here."""
    draw(tmp_path / "images" / "red.png", (250, 0, 0))
    index(tmp_path / "images", tmp_path / "library", FakeEncoder())
    return tmp_path / "library"


def test_a_model_that_an_engine_does_not_take_is_no_fault_of_the_library(library, capsys) -> None:
    command = ["search", "a dog", "--library", str(library), "--model", "default"]
    assert run([*command, "--engine", "rerank"]) == 2
    assert "is not a pair scorer" in capsys.readouterr().err
    assert run([*command, "--engine", "likelihood"]) == 1
    assert "has no vectors of" in capsys.readouterr().err


@pytest.fixture
def _no_model(monkeypatch) -> None:
    """No model may be loaded."""
    for name in ("model.load_model", "shipped.load_model", "shipped.dual_encoder"):
        monkeypatch.setattr(f"showtell.pipelines.{name}", None)


@pytest.mark.usefixtures("_no_model")
def test_what_needs_no_model_to_be_wrong_is_said_before_one_is_loaded(library, ask) -> None:
    at = ["--library", library]
    status, _, said = ask("search", " ", *at)
    assert (status, "the query is empty" in said) == (2, True)
    for command in (["search", "a dog"], ["search", "-"], ["similar", library.parent / "images/red.png"]):
        status, _, said = ask(*command, "--library", library.parent / "my none", stdin="a dog\n")
        assert status == 1
        assert f"showtell index FOLDER --library '{library.parent / 'my none'}'" in said
    for labels in ("", "a cat,", "a cat", "a cat,a cat"):
        assert ask("classify", library.parent / "images", "--labels", labels)[0] == 2


@pytest.mark.usefixtures("_no_model")
def test_a_model_that_an_engine_does_not_read_is_said(library, ask) -> None:
    command = ["search", "red", "--library", library, "--engine", "captions", "--model", "default"]
    status, _, said = ask(*command)
    assert (status, "the engine captions needs no model: default is not read" in said) == (0, True)


def test_empty_lines_are_no_queries(library, ask) -> None:
    status, found, said = ask("search", "-", "--library", library, "--engine", "captions", stdin="\nred\n\n")
    assert (status, [one["query"] for one in found], said) == (0, ["red"], "")


def test_images_that_are_gone_are_counted(tmp_path: Path, capsys) -> None:
    (tmp_path / "here.jpg").touch()
    hits = [Hit(0, tmp_path / "gone.jpg", 0.5), Hit(1, tmp_path / "here.jpg", 0.4)]
    print_hits("a dog", hits, tmp_path / "library", True)
    out, said = capsys.readouterr()
    assert [json.loads(line)["rank"] for line in out.splitlines()] == [1, 2]
    assert "1 image of these is no longer there" in said
    assert "gone.jpg" in said
    assert f"showtell index FOLDER --library {tmp_path / 'library'}" in said
    print_hits("a dog", hits[1:], tmp_path, True)
    assert capsys.readouterr().err == ""


def test_a_hit_is_one_line_whatever_its_name(tmp_path: Path, capsys) -> None:
    file = tmp_path / "a\nb \x1b[31m\u2028.jpg"
    file.touch()
    print_hits("a dog", [Hit(0, file, 0.5)], tmp_path, json=False)
    _, _, line = capsys.readouterr().out.splitlines()
    assert line.endswith("a\\nb \\x1b[31m\\u2028.jpg")
    print_hits("a dog", [Hit(0, file, 0.5)], tmp_path, json=True)
    assert json.loads(capsys.readouterr().out)["path"] == str(file)
