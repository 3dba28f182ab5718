"""Images with captions, and the problems of a data set, in any format."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

_SPLITS = {
    "train": ("train", "training", "restval"),  # restval: the rest of COCO's val images in Karpathy's splits
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {alias: name for name, aliases in _SPLITS.items() for alias in aliases}


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
    """From 1 (in Parquet the row); None for the whole file."""
    what: str
    fix: str
    unread: bool = False
    """Whether captions may have been missed here."""

    def __str__(self) -> str:
        place = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.what}; {self.fix}"


@dataclass(frozen=True)
class Source:
    """A data set: one entry per image, and the problems found while reading it."""

    format: str
    entries: list[Entry]
    problems: list[Problem] = field(default_factory=list)


def split_name(name: str) -> str | None:
    """`train`, `val` or `test` for any common name of a split, else None.

    >>> split_name("Validation"), split_name("restval"), split_name("holiday")
    ('val', 'train', None)
    """
    return _SPLIT_OF.get(name.strip().lower())
