"""Images with captions, and the problems of a data set, in any format."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from showtell.wording import one_line


@dataclass(frozen=True)
class Entry:
    """One image with its captions."""

    path: Path
    captions: tuple[str, ...] = ()
    split: str | None = None
    """`train`, `val`, `test` or another name in the data; None without one."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with the data, where, and how to fix it."""

    file: Path
    line: int | None
    """From 1 (in Parquet and JSON the row); None for the whole file."""
    what: str
    fix: str
    unread: bool = False
    """Whether captions may have been missed here."""
    two_splits: bool = False
    """Whether an image is in two splits here: a run refuses to choose one."""

    def __str__(self) -> str:
        place = "" if self.line is None else f":{self.line}"
        return f"{one_line(self.file)}{place}: {self.what}; {self.fix}"


@dataclass(frozen=True)
class Source:
    """A data set: one entry per image, and the problems found while reading it."""

    format: str
    entries: list[Entry]
    problems: list[Problem] = field(default_factory=list)
    by_folder: dict[str, int] = field(default_factory=dict)
    """The folders that give images their split, each with the number of those images."""
    files: frozenset[Path] = frozenset()
    """The files that gave at least one image or caption."""
    unused: list[Problem] = field(default_factory=list)
    """Caption files that lie in the folder and were not read, each with the reason."""
