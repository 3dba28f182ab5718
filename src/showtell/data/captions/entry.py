"""What a data set is made of, whatever its format: images with captions, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

_SPLITS = {
    "train": ("train", "training", "restval"),  # restval: Karpathy's COCO images beyond val and test
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {alias: name for name, aliases in _SPLITS.items() for alias in aliases}


@dataclass(frozen=True)
class Entry:
    """One image and what people say of it."""

    path: Path
    captions: tuple[str, ...] = ()
    split: str | None = None
    """`train`, `val`, `test` or another name that the data gives; None where it gives none."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with the data, where, and how to mend it."""

    file: Path
    line: int | None
    """Counted from 1 (the row, in Parquet); None where the whole file is meant."""
    what: str
    fix: str
    unread: bool = False
    """Whether captions may stand there that could not be read."""

    def __str__(self) -> str:
        place = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.what}; {self.fix}"


@dataclass(frozen=True)
class Source:
    """A data set as read: one entry an image, and the rows that had to be left out."""

    format: str
    entries: list[Entry]
    problems: list[Problem] = field(default_factory=list)


def split_name(name: str) -> str | None:
    """`train`, `val` or `test` for any usual name of a split, else None.

    >>> split_name("Validation"), split_name("restval"), split_name("holiday")
    ('val', 'train', None)
    """
    return _SPLIT_OF.get(name.strip().lower())
