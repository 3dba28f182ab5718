"""Plain texts: read as documents, some of them held out for validation."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from showtell.data.splits import folder_splits
from showtell.data.texts.files import documents, layout_of, text_files
from showtell.datasets.division import held_out
from showtell.errors import UsageError, UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)

_ENDING = re.compile(r"\.(txt|jsonl)(\.xz|\.gz)?$", re.IGNORECASE)
SHARE, AT_LEAST = 0.01, 10
"""The share of the documents that is held out; of few documents about ten, but no more than about half."""


def read_documents(*paths: Path) -> Iterator[str]:
    """The documents of files and folders of texts, one after another; each file's layout is logged.

    Raises `UserError` for what cannot be read, with file and line, and where there is no text at all.
    """
    total = 0
    for file in [file for path in paths for file in text_files(path)]:
        layout, count = layout_of(file), 0
        for document in documents(file, layout):
            count += 1
            yield document
        logger.info("%s: %s, %s", file, layout, counted(count, "document"))
        total += count
    if not total:
        raise UserError(f"{', '.join(map(str, paths))}: no text is in there")


@dataclass(frozen=True)
class Texts:
    """Training and validation documents."""

    training: list[str]
    validation: list[str]

    @property
    def num_training(self) -> int:
        """Training words, separated by spaces."""
        return count_words(self.training)

    @property
    def hash(self) -> str:
        """SHA-256 of all documents in their order."""
        digest = hashlib.sha256()
        for document in [*self.training, "", *self.validation]:
            digest.update(_bytes(document) + b"\0")
        return digest.hexdigest()


def read_texts(path: Path, format: str | None = None) -> Texts:
    """The documents of a file, or of all text files under a folder, divided.

    Raises `UserError` for what is no text, naming file and line, and for fewer than two documents;
    `UsageError` for a `format`, which only captions have.
    """
    if format is not None:
        raise UsageError(f"--format {format} is for captions; the layout of texts is recognised")
    try:
        if named := _named_splits(path):
            return _divided(named)
        found = list(read_documents(path))
    except MemoryError:
        raise UserError(f"{path} holds more text than fits into memory; name some of its files") from None
    return divide_texts(found, max(SHARE, min(0.5, AT_LEAST / len(found))))


def _named_splits(path: Path) -> dict[str, list[Path]]:
    """The text files of each split, where the names of files or folders say which train and which do not.

    A file of no split trains. Empty where none is held out, or none would be left to train on.
    """
    if not path.is_dir():
        return {}
    parts = {
        file: (*file.relative_to(path).parts[:-1], _ENDING.sub("", file.name)) for file in text_files(path)
    }
    named = folder_splits(parts.values())
    found: dict[str, list[Path]] = {}
    for file, names in parts.items():
        splits = {*named[names].values()} or {"train"}
        if len(splits) > 1:
            raise UserError(f"{file} is in two splits, {' and '.join(named[names])}; rename one of them")
        found.setdefault(splits.pop(), []).append(file)
    return found if len(found) > 1 and "train" in found else {}


def _divided(files: dict[str, list[Path]]) -> Texts:
    """The documents of named splits: `val` validates, or else a share of `train`; `test` is not read."""
    logger.info(
        "files by the splits that they name: %s", ", ".join(f"{len(f)} in {s}" for s, f in files.items())
    )
    if tested := files.get("test"):
        logger.info("%s of the split test not read, the first: %s", counted(len(tested), "file"), tested[0])
    training = list(read_documents(*files["train"]))
    if "val" not in files:
        return divide_texts(training, max(SHARE, min(0.5, AT_LEAST / len(training))))
    known, given = {*training}, list(read_documents(*files["val"]))
    validation = [document for document in given if document not in known]
    if len(validation) < len(given):
        both = counted(len(given) - len(validation), "document")
        logger.warning("%s of the split val left out: training reads the same text", both)
    if not validation:
        raise UserError(
            f"no document of {files['val'][0]} is left to validate on; add others than to train on"
        )
    return Texts(training, validation)


def divide_texts(documents: Sequence[str], share: float = SHARE) -> Texts:
    """Training and validation documents, in their order; equal documents stay together.

    Raises `UserError` where fewer than two documents differ.

    >>> texts = divide_texts(["a", "b", "c", "a"])
    >>> len(texts.training) + len(texts.validation), set(texts.training) & set(texts.validation)
    (4, set())
    """
    held = held_out([_bytes(document) for document in documents], share)
    if all(held):
        raise UserError(
            f"the data holds fewer than two different documents ({counted(len(documents), 'document')}, "
            f"{len({*documents})} different): none is left for validation; add documents, "
            "separated by blank lines"
        )
    pairs = list(zip(documents, held, strict=True))
    return Texts(
        [document for document, out in pairs if not out], [document for document, out in pairs if out]
    )


def count_words(texts: list[str]) -> int:
    """Words separated by spaces."""
    return sum(len(text.split()) for text in texts)


def _bytes(document: str) -> bytes:
    return document.encode("utf-8", "surrogatepass")
