"""Validation of labelled images before a long run: how it would divide them, and what is wrong."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from showtell.data.captions.entry import Entry, Problem
from showtell.data.check import copies, unreadable
from showtell.data.images.decode import ImageError, decode_image
from showtell.data.labels.images import Labelled
from showtell.data.prefetch import prefetch
from showtell.datasets.labelled_images import find_labelled
from showtell.progress import report


@dataclass(frozen=True)
class LabelledReport:
    """The contents and the problems of a data set of labelled images."""

    path: Path
    format: str
    """Always `labelled images`."""
    classes: dict[str, int]
    """The number of images of each class."""
    splits: dict[str, int]
    """The number of images to train on, to validate on and to test on."""
    problems: list[Problem]


def check_labelled(path: Path) -> LabelledReport:
    """Find the classes as a run does, and decode every image. Raises `UserError` for what a run refuses."""
    found = find_labelled(path)
    parts = {"train": found.training, "val": found.validation, "test": found.test}
    split_of = {item: split for split, items in parts.items() for item in items}
    names, items = found.classes.names, found.classes.items
    problems, alike = list[Problem](), defaultdict[bytes, list[Entry]](list)
    for done, (item, outcome) in enumerate(prefetch(_decoded, found.classes.contents(items)), 1):
        file = path / item.name
        if isinstance(outcome, ImageError):
            problems.append(unreadable(outcome, file, "delete it"))
        else:
            alike[outcome].append(Entry(file, split=split_of[item]))
        report("checking images", done, len(items))
    classes = Counter(names[item.label] for item in items)
    splits = {split: len(items) for split, items in parts.items()}
    return LabelledReport(
        path, "labelled images", dict(classes), splits, [*problems, *copies(alike.values())]
    )


def _decoded(given: tuple[Labelled, bytes | ImageError]) -> tuple[Labelled, bytes | ImageError]:
    """The digest of an image's bytes, or the error of reading or decoding it."""
    item, data = given
    if isinstance(data, ImageError):
        return given
    try:
        decode_image(data, item.name, at_least=1)
    except ImageError as error:
        return item, error
    return item, hashlib.sha256(data).digest()
