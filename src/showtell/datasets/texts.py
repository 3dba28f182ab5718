"""One's own plain texts: what was recognised is said on standard error, some are kept apart to measure by."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from showtell.data.texts.files import documents, layout_of, text_files
from showtell.data.texts.split import divide
from showtell.errors import UsageError, UserError
from showtell.wording import counted

SHARE, AT_LEAST = 0.01, 10
"""Of the documents, this share is kept apart; of few, about so many, but about half at most."""


def read_documents(*paths: Path) -> Iterator[str]:
    """The documents of files and folders of texts, one after another.

    Raises `UserError` for what cannot be read, with file and line, and where there is no text at all.
    """
    total = 0
    for file in [file for path in paths for file in text_files(path)]:
        layout, count = layout_of(file), 0
        for document in documents(file, layout):
            count += 1
            yield document
        print(f"{file}: {layout}, {counted(count, 'document')}", file=sys.stderr)
        total += count
    if not total:
        raise UserError(f"{', '.join(map(str, paths))}: no text is in there")


@dataclass(frozen=True)
class Texts:
    """Documents to learn from and to measure by."""

    training: list[str]
    validation: list[str]

    @property
    def num_training(self) -> int:
        """Words to learn from, as spaces part them."""
        return count_words(self.training)

    @property
    def hash(self) -> str:
        """SHA-256 of all documents in their order."""
        digest = hashlib.sha256()
        for document in [*self.training, "", *self.validation]:
            digest.update(document.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()


def read_texts(path: Path, format: str | None = None) -> Texts:
    """The documents of a file, or of all files of texts under a folder, divided.

    Raises `UserError` for what is no text, naming file and line, and for fewer than two documents;
    `UsageError` for a `format`, which captions have.
    """
    if format is not None:
        raise UsageError(f"--format {format} is of captions; how texts are parted is recognised")
    found = list(read_documents(path))
    return Texts(*divide(found, max(SHARE, min(0.5, AT_LEAST / len(found)))))


def count_words(texts: list[str]) -> int:
    """Words as spaces part them."""
    return sum(len(text.split()) for text in texts)
