"""Labelled documents, divided into those to train on and those held out."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from showtell.data.documents.labelled import Labelled, read_labelled
from showtell.datasets.division import held_out, parted
from showtell.errors import UsageError, UserError
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
    """The documents of a data set: those of the split `val` are held out, or a fifth, by their names.

    Raises `UserError` where none are left to train on or none are held out.
    """
    if format is not None:
        raise UsageError(f"documents are recognised by their files; leave out --format {format}")
    documents = read_labelled(data)
    if any(one.split for one in documents):
        out = [one.split == "val" for one in documents]
    else:
        out = held_out([os.fsencode(one.path.name) for one in documents], most=len(documents) // FIFTH)
    training, validation = parted(documents, out)
    if not training or not validation:
        raise UserError(
            f"{data}: {counted(len(training), 'document')} to train on, {len(validation)} held out; add some"
        )
    return Documents(training, validation)
