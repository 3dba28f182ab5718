"""The demonstration shows everything once, on real photographs, without a network."""

import json
import re
import shutil
import socket
from pathlib import Path

import pytest

from showtell.cli.main import run
from showtell.data.images.samples import sample_photographs
from showtell.data.tokenizers.words import WordTokenizer
from showtell.errors import UserError
from showtell.pipelines.model import Model, load_model
from showtell.pipelines.shipped import FOLDER, packages_of
from showtell.reports.demo import QUERIES, demo


@pytest.fixture(autouse=True)
def _no_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds, and are tested alone."""
    monkeypatch.setattr("showtell.reports.demo.drawn_documents", lambda folder: [])


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return load_model(checkpoint, "cpu")


def test_it_shows_everything_in_one_file_offline(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the demonstration accessed the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)
    assert run(["demo", "--model", str(checkpoint)]) == 0
    out, err = capsys.readouterr()
    assert out == "demo/report.html\n"
    page = Path("demo/report.html").read_text("utf-8")
    for part in ("captions", "searches", "similar", "words", "analogies", "image-map", "word-map"):
        assert f'<section id="{part}"' in page
    for photograph in sample_photographs():
        assert photograph.name in page
    for engine in ("likelihood", "inversion", "captions"):
        assert f'<span class="engine">{engine}</span>' in page
    assert "http://" not in page
    assert "https://" not in page
    assert "astronaut.png" in err
    assert "done in" in err


def test_libraries_are_reused_and_folders_do_not_mix(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("showtell.reports.demo.QUERIES", ())
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder, photographs in ((first, sample_photographs()[:2]), (second, sample_photographs()[2:5])):
        folder.mkdir()
        for photograph in photographs:
            shutil.copy(photograph, folder)
    (first / "bad.png").write_bytes(b"")
    shown = [demo(folder, tmp_path / "out", model) for folder in (first, second, first)]
    assert [one.images for one in shown] == [2, 3, 2]
    assert [one.skipped for one in shown] == [1, 0, 1]
    assert caplog.text.count(f"1 skipped; {Path(shown[0].library, 'skipped.jsonl')} says why") == 2
    assert shown[0].library == shown[2].library != shown[1].library


def test_one_image_and_another_vocabulary_are_enough(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "model")
    count = len(WordTokenizer.load(folder / "tokenizer.json")) - 4
    foreign = WordTokenizer.train([" ".join(f"wort{i}" for i in range(count))])
    (folder / "tokenizer.json").write_text(foreign.to_json())
    (tmp_path / "images").mkdir()
    shutil.copy(sample_photographs()[0], tmp_path / "images")
    arguments = ["demo", tmp_path / "images", "--output", tmp_path / "out", "--model", folder, "--json"]
    assert run(list(map(str, arguments))) == 0
    (line,) = capsys.readouterr().out.splitlines()
    shown = json.loads(line)
    assert (shown["images"], shown["skipped"]) == (1, 0)
    page = Path(shown["report"]).read_text("utf-8")
    assert '<section id="captions"' in page
    assert '<section id="searches"' not in page


def test_a_folder_without_a_readable_image_is_an_error(model: Model, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.jpg").write_bytes(b"no")
    with pytest.raises(UserError, match="no image in"):
        demo(tmp_path / "empty", tmp_path / "out", model)
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="there are no images in"):
        demo(tmp_path / "bare", tmp_path / "out", model)
    with pytest.raises(UserError, match="there is no folder"):
        demo(tmp_path / "nowhere", tmp_path / "out", model)
    with pytest.raises(UserError, match="would lie among the images"):
        demo(tmp_path / "empty", tmp_path / "empty", model)


@pytest.mark.slow
def test_the_shipped_models_search_together_and_say_what_is_unlike(tmp_path: Path, capsys) -> None:
    if missing := [p.command for p in packages_of(FOLDER) if not p.installed]:
        pytest.skip(" and ".join(missing))
    (tmp_path / "few").mkdir()
    for photograph in sample_photographs():
        if photograph.stem in ("coffee", "chelsea", "camera"):
            shutil.copy(photograph, tmp_path / "few")
    assert run(["demo", str(tmp_path / "few"), "--output", str(tmp_path / "out")]) == 0
    said = re.search(r"(\d+) of 3 images unlike the photographs", capsys.readouterr().err)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count('<li class="card unfamiliar">') == int(said[1]) >= 1
    assert page.count('<span class="engine">dot</span>') == len(QUERIES)
    assert page.count('<span class="engine">likelihood</span>') == len(QUERIES) - 1, "it knows no Chinese"
    assert "unfamiliar: unlike the training images" in page
    assert "espresso" in page, "a tag of the backbone"
    assert "nothing here looks like that" in page, "of the motorcycle"
