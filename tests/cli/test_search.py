"""`showtell search`: mistakes are named before the library is opened, and what is gone is said."""

import json
from pathlib import Path

from showtell.cli.main import run
from showtell.cli.results import print_hits
from showtell.library.hit import Hit


def test_a_model_that_an_engine_does_not_take_is_no_fault_of_the_library(tmp_path, capsys) -> None:
    command = ["search", "a dog", "--library", str(tmp_path / "none"), "--model", "default"]
    assert run([*command, "--engine", "rerank"]) == 2
    assert "is not a pair scorer" in capsys.readouterr().err
    assert run([*command, "--engine", "likelihood"]) == 1
    assert "is not a library" in capsys.readouterr().err


def test_images_that_are_gone_are_counted(tmp_path: Path, capsys) -> None:
    (tmp_path / "here.jpg").touch()
    hits = [Hit(0, tmp_path / "gone.jpg", 0.5), Hit(1, tmp_path / "here.jpg", 0.4)]
    print_hits("a dog", hits, True)
    out, said = capsys.readouterr()
    assert [json.loads(line)["rank"] for line in out.splitlines()] == [1, 2]
    assert "1 image of these no longer there" in said
    assert "gone.jpg" in said
    print_hits("a dog", hits[1:], True)
    assert capsys.readouterr().err == ""


def test_a_hit_is_one_line_whatever_its_name(tmp_path: Path, capsys) -> None:
    file = tmp_path / "a\nb \x1b[31m\u2028.jpg"
    file.touch()
    print_hits("a dog", [Hit(0, file, 0.5)], json=False)
    _, _, line = capsys.readouterr().out.splitlines()
    assert line.endswith("a\\nb \\x1b[31m\\u2028.jpg")
    print_hits("a dog", [Hit(0, file, 0.5)], json=True)
    assert json.loads(capsys.readouterr().out)["path"] == str(file)
