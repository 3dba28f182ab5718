"""Labelled documents, divided into those to train on and those held out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from showtell.data.documents.labelled import Labelled, data_sets, read_labelled
from showtell.datasets.division import held_out, parted
from showtell.datasets.printed_text import page_of, read_pages
from showtell.errors import UsageError, UserError
from showtell.tasks.page_words import Page
from showtell.wording import counted

FIFTH = 5


@dataclass(frozen=True)
class Documents:
    """Images of documents with their materials."""

    training: list[Labelled]
    validation: list[Labelled]

    @property
    def num_training(self) -> int:
        """Training documents."""
        return len(self.training)

    @property
    def hash(self) -> str:
        """SHA-256 of all names and materials in their order."""
        digest = hashlib.sha256()
        for one in [*self.training, None, *self.validation]:
            digest.update(repr(one and (one.path.name, one.materials)).encode() + b"\0")
        return digest.hexdigest()


def read_documents(data: Path, format: str | None = None) -> Documents:
    """The documents of a data set, or of those in the folders of a folder.

    Of each set those of the split `val` are held out, or a fifth, by their names. Raises `UserError` where
    none are left to train on or none are held out.
    """
    if format is not None:
        raise UsageError(f"documents are recognised by their files; leave out --format {format}")
    training, validation = list[Labelled](), list[Labelled]()
    for each in data_sets(data):
        documents = read_labelled(each)
        if any(one.split for one in documents):
            out = [one.split == "val" for one in documents]
        else:
            out = held_out([os.fsencode(one.path.name) for one in documents], most=len(documents) // FIFTH)
        kept, left_out = parted(documents, out)
        training += kept
        validation += left_out
    if not training or not validation:
        raise UserError(
            f"{data}: {counted(len(training), 'document')} to train on, {len(validation)} held out; add some"
        )
    return Documents(training, validation)


def pages_of(documents: Sequence[Labelled]) -> list[Page]:
    """The pages of documents: what the data says is printed, else what is read in their images.

    Raises as `read_pages`.
    """
    read = iter(read_pages([one.path for one in documents if one.lines is None]))
    return [next(read) if one.lines is None else page_of(one.lines) for one in documents]
