"""Conversations, divided into training and validation."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from showtell.data.conversations.conversation import Conversation, Source
from showtell.data.conversations.read import conversation_files, known_formats, read_conversations
from showtell.data.documents.labelled import holds_documents
from showtell.data.qa.read import found_format, read_examples
from showtell.datasets.division import held_out, parted
from showtell.datasets.document_conversations import document_source
from showtell.datasets.image_questions import about_images
from showtell.datasets.question_conversations import as_conversations
from showtell.errors import UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)


TOGETHER = 16
"""Conversations about the same images that make one item of a batch, at most."""


def together(images: Iterable[Sequence[Path]]) -> list[list[int]]:
    """The numbers of conversations that show these images, those about the same images together.

    >>> together([("a",), ("b",), (), ("a",), ()])
    [[0, 3], [1], [2], [4]]
    """
    found: dict[Hashable, list[int]] = {}
    for number, shown in enumerate(images):
        found.setdefault(tuple(shown) or number, []).append(number)
    return [
        some[first : first + TOGETHER] for some in found.values() for first in range(0, len(some), TOGETHER)
    ]


@dataclass(frozen=True)
class Conversations:
    """Training and validation conversations."""

    training: list[Conversation]
    validation: list[Conversation]
    schema: dict[str, Any] | None = None
    """What all answers keep, where they are documents."""

    @property
    def num_training(self) -> int:
        """Training conversations, those about the same images counted together."""
        return len(together(one.images for one in self.training))

    @property
    def hash(self) -> str:
        """SHA-256 of all messages in their order, and of the images' bytes."""
        digest = hashlib.sha256()

        @cache
        def of_image(path: Path) -> bytes:
            return hashlib.sha256(path.read_bytes()).digest()

        for one in [*self.training, None, *self.validation]:
            digest.update(repr(one and one.messages).encode() + b"\0")
            for image in one.images if one else ():
                digest.update(of_image(image))
        return digest.hexdigest()


def read_divided(path: Path, format: str | None, share: float, seeing: bool = False) -> Conversations:
    """The conversations of a file or folder; those of the split `val` validate, or else a share of the rest.

    Questions about images, and labelled documents, are read as conversations of one question each; a model
    that is `seeing` is shown a document, any other reads its text. With a share of 0 none are held out.
    Conversations about the same images stay on one side. What is skipped is logged, counted. Raises
    `UserError` where nothing is left to train on.
    """
    source = _source(path, format, seeing)
    if source.problems:
        many, first = counted(len(source.problems), "problem"), source.problems[0]
        logger.warning("%s, each skipped (showtell data check lists them); the first: %s", many, first)
    by_split: dict[str | None, list[Conversation]] = {}
    for one in source.conversations:
        by_split.setdefault(one.split, []).append(one)
    if tested := by_split.get("test"):
        logger.info("%s of the split test not read", counted(len(tested), "conversation"))
    training = by_split.get("train", []) + by_split.get(None, [])
    validation = by_split.get("val", [])
    if not validation and share:
        held = held_out([one.key.encode() for one in training], share)
        training, validation = parted(training, held)
    if not training:
        raise UserError(
            f"{path}: no conversation is left to train on; add some, or hold none out with --set held_out=0"
        )
    return Conversations(training, validation, source.schema)


def _source(path: Path, format: str | None, seeing: bool) -> Source:
    """Conversations as they are, of documents, or of questions about images. Raises as their readers."""
    told = format in known_formats() if format else bool(conversation_files(path))
    if not told and holds_documents(path):
        return document_source(path, format, seeing)
    if told or found_format(path, format) is None:
        return read_conversations(path, format)
    found = read_examples(path, format)
    conversations = [
        one
        for split, some in found.splits.items()
        for one in as_conversations(about_images(some, path, found.format), split)
    ]
    return Source(found.format, conversations, found.problems, found.files)


def readable(conversations: Sequence[Conversation], skipped: Mapping[Path, str]) -> list[Conversation]:
    """The conversations without an image that was skipped; the others are logged, counted."""
    kept = [one for one in conversations if skipped.keys().isdisjoint(one.images)]
    if lost := len(conversations) - len(kept):
        logger.warning("%s left out, whose images cannot be read", counted(lost, "conversation"))
    return kept
