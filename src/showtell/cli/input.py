"""Arguments that may stand on standard input instead, and the inputs that fail among many."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

import typer

from showtell.cli.output import print_error


def stdin_lines() -> Iterator[str]:
    """Lines of standard input as they arrive; an empty one is an empty text."""
    return (line.rstrip("\r\n") for line in sys.stdin)


def paths(arguments: Iterable[str]) -> Iterator[str]:
    """Paths, `-` replaced by the non-empty lines of standard input."""
    for name in arguments:
        if name == "-":
            yield from filter(None, stdin_lines())
        else:
            yield name


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
