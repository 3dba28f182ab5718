"""Arguments that may stand on standard input instead, and the inputs that fail among many."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import typer

from showtell.cli.output import print_error, print_note
from showtell.errors import UserError


def stdin_lines() -> Iterator[str]:
    """Lines of standard input as they arrive; an empty one is an empty text."""
    return (line.rstrip("\r\n") for line in sys.stdin)


def names_file(text: str) -> bool:
    """Whether a text is the name of a file or folder."""
    with suppress(OSError, ValueError):  # a text may be too long for a name, or hold a zero byte
        return Path(text).exists()
    return False


def lines(arguments: Iterable[str]) -> Iterator[str]:
    """Texts, `-` replaced by the non-empty lines of standard input."""
    for text in arguments:
        if text == "-":
            yield from _said_if_empty(filter(None, stdin_lines()))
        else:
            yield text


def paths(arguments: Iterable[str]) -> Iterator[str]:
    """Paths, `-` replaced by those on standard input: one per line, or separated by NUL as of `find -print0`.

    Raises `UserError` for standard input that mixes the two.
    """
    for name in arguments:
        if name == "-":
            yield from _said_if_empty(filter(None, _stdin_paths()))
        else:
            yield name


def _said_if_empty(given: Iterator[str]) -> Iterator[str]:
    first = next(given, None)
    if first is None:
        print_note("standard input is empty: there is nothing to do")
        return
    yield first
    yield from given


def _stdin_paths() -> Iterator[str]:
    """Paths as they arrive. The first separators decide: NUL among them means that all are NUL.

    A path may hold a line break, so one before the first NUL separates nothing.
    """
    separator, rest = "", ""
    for chunk in _stdin_chunks():
        rest += chunk
        separator = separator or next((mark for mark in "\0\n" if mark in rest), "")
        if not separator:
            continue
        *whole, rest = rest.split(separator)
        for path in whole:
            yield _one_path(path, separator)
    yield _one_path(rest, separator)


def _one_path(path: str, separator: str) -> str:
    if separator == "\0":
        return path
    if "\0" in path:
        raise UserError(
            f"standard input has lines, and then a NUL after {path.partition(chr(0))[0]!r}: give one path "
            "per line, or separate all of them by NUL, as `find -print0` does"
        )
    return path.rstrip("\r")


def _stdin_chunks() -> Iterator[str]:
    """Standard input as it arrives, whatever separates its parts."""
    if not isinstance(sys.stdin, io.TextIOWrapper):  # a stream of text alone
        yield sys.stdin.read()
        return
    decoder = codecs.getincrementaldecoder(sys.stdin.encoding)(sys.stdin.errors or "strict")
    while data := cast(io.BufferedReader, sys.stdin.buffer).read1(2**16):
        yield decoder.decode(data)
    yield decoder.decode(b"", final=True)


def texts(arguments: Sequence[str]) -> Iterable[str]:
    """Texts, or the lines of standard input for a single `-`."""
    return stdin_lines() if list(arguments) == ["-"] else arguments


class Failures:
    """Inputs that failed while the others went on: each is named, and the exit status becomes 1."""

    def __init__(self) -> None:
        self._any = False

    def __call__(self, error: object) -> None:
        """Name an input that failed."""
        self._any = True
        print_error(error)

    def exit(self) -> None:
        """Leave with exit status 1 if anything failed."""
        if self._any:
            raise typer.Exit(1)
