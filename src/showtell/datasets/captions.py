"""Captioned images: read, and divided into splits."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from showtell.data.captions.entry import Entry, Source
from showtell.data.captions.read import read_captions
from showtell.data.images.files import log_passed_over, survey
from showtell.datasets.division import held_out, parted, position
from showtell.errors import UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)

SHARE = 26 / 256
"""Of images whose data names no splits, the share that validates."""


@dataclass(frozen=True)
class CaptionData:
    """Images with captions, as they were read."""

    entries: list[Entry]

    @property
    def num_training(self) -> int:
        """Images of the training split."""
        return len(divide(self.entries).get("train", []))


def read_captioned(data: Path, format: str | None = None) -> CaptionData:
    """The images and captions of a folder or file; problems are logged, counted.

    Raises `UserError` for an image in two splits: a test image must not be trained on.
    """
    source = read_captions(data, format)
    logger.info("%s: %s, %s", data, source.format, counted(len(source.entries), "image"))
    log_splits(source)
    if data.is_dir():
        log_passed_over(data, survey(data).passed_over)
    log_problems(data, source)
    refuse_two_splits(data, source)
    return CaptionData(source.entries)


def log_splits(source: Source) -> None:
    """How many images are in each split that the data names, and how many splits are those of folders."""
    counts = Counter(entry.split for entry in source.entries)
    unnamed = counts.pop(None, 0)
    if counts:
        named = ", ".join(f"{count} in {split}" for split, count in sorted(counts.items()))
        more = f", {unnamed} that are divided by a hash of their names" if unnamed else ""
        logger.info("images by the splits that the data names: %s%s", named, more)
    for folder, count in source.by_folder.items():
        logger.info("the split of %s is that of the folder %s", counted(count, "image"), folder)


def of_split(data: Path, source: Source, split: str) -> list[Entry]:
    """The captioned images of a split.

    Raises `UserError` where there are none, and for images that the data puts into two splits.
    """
    refuse_two_splits(data, source)
    splits = divide(source.entries)
    if not splits:
        raise UserError(f"{data} has no captions; for questions, evaluate a model that answers them")
    if not splits.get(split):
        found = ", ".join(sorted(splits))
        raise UserError(f"{data} has no captioned image in the split {split!r}; it has {found}")
    return splits[split]


def refuse_two_splits(data: Path, source: Source) -> None:
    """Raises `UserError` for images that the data puts into two splits."""
    if both := [problem for problem in source.problems if problem.two_splits]:
        raise UserError(
            f"{data}: {counted(len(both), 'image')} in two splits, the first: {both[0]}; "
            f"`showtell data check {data}` lists them"
        )


def log_problems(data: Path, source: Source) -> None:
    """One warning: how many problems, the first, and the command that lists all."""
    if source.problems:
        logger.warning(
            "%s, the first: %s; `showtell data check %s` lists them",
            counted(len(source.problems), "problem"),
            source.problems[0].what,
            data,
        )
    if source.unused:
        logger.warning(
            "%s not used, the first: %s: %s; `showtell data check %s` lists them",
            counted(len(source.unused), "caption file"),
            source.unused[0].file.name,
            source.unused[0].what,
            data,
        )


def split_of(entry: Entry) -> str:
    """The split that the data names; without one, `val` for one image in ten, by a hash of its file name."""
    if entry.split is not None:
        return entry.split
    return "val" if position(_key(entry)) < SHARE else "train"


def divide(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The captioned images of each split, in their order.

    Where there is no `val`, one image in ten of `train` is held out for it, by the same hash, at least one.
    """
    splits: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.captions:
            splits.setdefault(split_of(entry), []).append(entry)
    training = splits.get("train", [])
    if "val" not in splits and len(training) > 1:
        held = held_out([_key(entry) for entry in training], SHARE, most=len(training) - 1)
        splits["train"], splits["val"] = parted(training, held)
    return splits


def _key(entry: Entry) -> bytes:
    return os.fsencode(entry.path.name)
