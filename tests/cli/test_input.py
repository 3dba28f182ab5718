"""Paths and texts on standard input: by lines, or separated by NUL."""

import io
import os
import subprocess
import sys

import pytest

from showtell.cli.input import lines, paths
from showtell.errors import UserError


class Arriving(io.RawIOBase):
    """A pipe whose writer writes some bytes at a time."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)

    def readable(self) -> bool:
        return True

    def readinto(self, room) -> int:
        if not self._parts:
            return 0
        part = self._parts.pop(0)
        room[: len(part)] = part
        return len(part)


def given(monkeypatch: pytest.MonkeyPatch, *parts: bytes) -> list[str]:
    stream = io.TextIOWrapper(io.BufferedReader(Arriving(*parts)), "utf-8", "surrogateescape")
    monkeypatch.setattr(sys, "stdin", stream)
    return list(paths(["first.jpg", "-"]))[1:]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([b"a.jpg\nb c.jpg\n"], ["a.jpg", "b c.jpg"]),
        ([b"a.jpg\r\n\r\nb.jpg"], ["a.jpg", "b.jpg"]),
        ([b"a.jp", b"g\nb.jpg\n"], ["a.jpg", "b.jpg"]),
        ([b"a.jpg\0b c.jpg\0"], ["a.jpg", "b c.jpg"]),
        ([b"a.jpg\0b.jpg"], ["a.jpg", "b.jpg"]),
        ([b"two\nlines.jpg\0\nbegins.jpg\0ends\r\n\0"], ["two\nlines.jpg", "\nbegins.jpg", "ends\r\n"]),
        ([b"a.jp", b"g\0two\nli", b"nes.jpg\0"], ["a.jpg", "two\nlines.jpg"]),
        ([b"\0\0a.jpg\0"], ["a.jpg"]),
        ([b"caf\xc3", b"\xa9.jpg\0caf\xe9.jpg\0"], ["café.jpg", os.fsdecode(b"caf\xe9.jpg")]),
        ([b"\n\n"], []),
        ([], []),
    ],
)
def test_the_separator_of_paths_is_recognised(monkeypatch, parts, expected) -> None:
    assert given(monkeypatch, *parts) == expected


def test_lines_that_turn_into_nul_are_refused(monkeypatch) -> None:
    with pytest.raises(UserError, match=r"NUL after 'b\.jpg'.*print0"):
        given(monkeypatch, b"a.jpg\n", b"b.jpg\0c.jpg\0")


def test_each_path_is_there_before_the_next_one_comes(monkeypatch) -> None:
    stream = io.TextIOWrapper(io.BufferedReader(Arriving(b"a\n", b"b\n")), "utf-8")
    monkeypatch.setattr(sys, "stdin", stream)
    found = paths(["-"])
    assert next(found) == "a"
    assert stream.buffer.peek() == b"b\n"


def test_texts_stay_lines(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\0b\n\nc\n"))
    assert list(lines(["-"])) == ["a\0b", "c"]


@pytest.mark.parametrize("verb", ["caption", "classify", "embed"])
def test_find_print0_is_read_by_every_verb_of_files(ask, clip, checkpoint, tmp_path, verb) -> None:
    from PIL import Image

    names = ["a.png", "two words.png"] if os.name == "nt" else ["a.png", "two\nlines.png"]
    for name in names:
        Image.new("RGB", (32, 32), "red").save(tmp_path / name)
    found = subprocess.run(["find", tmp_path, "-name", "*.png", "-print0"], stdout=-1, check=True).stdout
    model = checkpoint if verb == "caption" else clip
    rest = ("--labels", "red,blue") if verb == "classify" else ()
    status, rows, err = ask(verb, "-", "--model", model, *rest, stdin=os.fsdecode(found))
    assert (status, err) == (0, "")
    assert sorted(row["path"] for row in rows) == sorted(str(tmp_path / name) for name in names)


def test_an_empty_standard_input_is_said(monkeypatch, capsys) -> None:
    assert given(monkeypatch, b"\n") == []
    assert "standard input is empty" in capsys.readouterr().err
