"""Plain texts: read as documents, some of them held out for validation; memory holds one at a time."""

from __future__ import annotations

import hashlib
import logging
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from showtell.data.splits import folder_splits
from showtell.data.texts.corpus import Documents
from showtell.data.texts.files import Layout, documents_with_splits, layout_of, text_files
from showtell.datasets.division import lowest, parted, position
from showtell.errors import UsageError, UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)

_ENDING = re.compile(r"\.(txt|jsonl)(\.xz|\.gz)?$", re.IGNORECASE)
_SPLITS = ("train", "val", "test")
SHARE, AT_LEAST = 0.01, 10
"""The share of the documents that is held out; of few documents about ten, but no more than about half."""


@dataclass(frozen=True)
class StoredDocuments:
    """Some documents of text files, read anew each time."""

    files: dict[Path, Layout]
    chosen: np.ndarray
    """`bool [N]`, which of all documents of the files these are."""

    def __len__(self) -> int:
        return int(self.chosen.sum())

    def __iter__(self) -> Iterator[str]:
        """Raises `UserError` if a file has changed since it was first read."""
        found = (
            document
            for file, layout in self.files.items()
            for document, _ in documents_with_splits(file, layout, logs=False)
        )
        for document, chosen in zip_longest(found, self.chosen):
            if document is None or chosen is None:
                raise UserError(f"{', '.join(map(str, self.files))}: changed while being read; try again")
            if chosen:
                yield document


@dataclass(frozen=True)
class Texts:
    """Training and validation documents."""

    training: Documents
    validation: Documents

    @cached_property
    def num_training(self) -> int:
        """Training words, separated by spaces."""
        return count_words(self.training)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all documents in their order."""
        digest = hashlib.sha256()
        for document in chain(self.training, [""], self.validation):
            digest.update(_bytes(document) + b"\0")
        return digest.hexdigest()


def read_texts(path: Path, format: str | None = None) -> Texts:
    """The documents of a file, or of all text files under a folder, divided.

    Files, folders and records that name a split are in it: `val` validates, `test` is not read. Where none
    validates, a share of the others is held out, by a hash.

    Raises `UserError` for what is no text, naming file and line, and for fewer than two documents;
    `UsageError` for a `format`, which only captions have.
    """
    if format is not None:
        raise UsageError(f"--format {format} is for captions; the layout of texts is recognised")
    files = _files_of(path, "test")
    layouts = {file: layout_of(file) for file in files}
    places, splits = array("d"), array("b")
    for document, split in _divided(files, layouts):
        places.append(position(_bytes(document)))
        splits.append(_SPLITS.index(split))
    if not splits:
        raise UserError(f"{path}: no text is in there")
    positions, split_of = np.array(places), np.array(splits)
    training, validation = split_of == 0, split_of == 1
    if (tested := int((split_of == 2).sum())) == len(split_of) or not training.any():
        raise UserError(f"{path}: no document is left to train on, all are of the split val or test")
    if tested:
        logger.info("%s of the split test not read", counted(tested, "document"))
    if validation.any():
        both = validation & np.isin(positions, positions[training])
        if both.any():
            many = counted(int(both.sum()), "document")
            logger.warning("%s of the split val left out: training reads the same text", many)
        validation &= ~both
        if not validation.any():
            raise UserError(f"{path}: no document is left to validate on; add others than to train on")
    else:
        validation[training] = _held_out(positions[training])
        training &= ~validation
    return Texts(StoredDocuments(layouts, training), StoredDocuments(layouts, validation))


def training_documents(*paths: Path) -> Iterator[str]:
    """The documents of files and folders of texts but those of the splits val and test, by names or records.

    Raises `UserError` for what cannot be read, with file and line, and where there is no text at all.
    """
    files = {file: split for path in paths for file, split in _files_of(path, "val", "test").items()}
    counts = Counter[str]()
    for document, split in _divided(files, {file: layout_of(file) for file in files}):
        counts[split] += 1
        if split == "train":
            yield document
    for split in _SPLITS[1:]:
        if counts[split]:
            logger.info("%s of the split %s not read", counted(counts[split], "document"), split)
    if not counts["train"]:
        raise UserError(f"{', '.join(map(str, paths))}: no text to train on is in there")


def _files_of(path: Path, *unread: str) -> dict[Path, str | None]:
    """The text files of a path with the splits that their names or folders say, without those of `unread`.

    Where all files are of one split, or none trains, the names count for nothing.
    """
    files = text_files(path)
    if not path.is_dir():
        return dict.fromkeys(files)
    parts = {file: (*file.relative_to(path).parts[:-1], _ENDING.sub("", file.name)) for file in files}
    named, found = folder_splits(parts.values()), dict[Path, str | None]()
    for file, names in parts.items():
        if len(splits := {*named[names].values()}) > 1:
            raise UserError(f"{file} is in two splits, {' and '.join(named[names])}; rename one of them")
        found[file] = splits.pop() if splits else None
    counts = Counter(split or "train" for split in found.values())
    if "train" not in counts:
        logger.warning("%s: no file is for training by its name, so names count for nothing", path)
    if len(counts) == 1 or "train" not in counts:
        return dict.fromkeys(files)
    logger.info(
        "files by the splits that they name: %s", ", ".join(f"{n} in {split}" for split, n in counts.items())
    )
    for split in unread:
        if left := [file for file, name in found.items() if name == split]:
            many = counted(len(left), "file")
            logger.info("%s of the split %s not read, the first: %s", many, split, left[0])
    return {file: split for file, split in found.items() if split not in unread}


def _divided(files: Mapping[Path, str | None], layouts: Mapping[Path, Layout]) -> Iterator[tuple[str, str]]:
    """The documents of files, each with its split; each file's layout is logged."""
    for file, named in files.items():
        count = 0
        for document, said in documents_with_splits(file, layouts[file]):
            if named and said and named != said:
                raise UserError(f"{file}: its name says {named}, a record {said}; correct one of them")
            count += 1
            yield document, named or said or "train"
        logger.info("%s: %s, %s", file, layouts[file], counted(count, "document"))


def divide_texts(documents: Sequence[str], share: float = SHARE) -> Texts:
    """Training and validation documents, in their order; equal documents stay together.

    Raises `UserError` where fewer than two documents differ.

    >>> texts = divide_texts(["a", "b", "c", "a"])
    >>> len(texts.training) + len(texts.validation), set(texts.training) & set(texts.validation)
    (4, set())
    """
    held = _held_out(np.array([position(_bytes(document)) for document in documents]), share)
    return Texts(*parted(documents, held.tolist()))


def count_words(texts: Iterable[str]) -> int:
    """Words separated by spaces."""
    return sum(len(text.split()) for text in texts)


def _held_out(positions: np.ndarray, share: float | None = None) -> np.ndarray:
    """Which documents validate, by their `positions [N]`: `bool [N]`."""
    if share is None:
        share = max(SHARE, min(0.5, AT_LEAST / len(positions)))
    held = lowest(positions, share)
    if held.all():
        raise UserError(
            f"the data holds fewer than two different documents ({counted(len(held), 'document')}, "
            f"{len(np.unique(positions))} different): none is left for validation; add documents, "
            "separated by blank lines"
        )
    return held


def _bytes(document: str) -> bytes:
    return document.encode("utf-8", "surrogatepass")
