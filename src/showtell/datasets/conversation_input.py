"""Conversations on their way into a language model: ids by its chat template, the answers marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.conversations.conversation import Conversation
from showtell.data.features import ImageStore
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.cuts import Cuts
from showtell.errors import UserError


class EncodedConversation(NamedTuple):
    """A conversation as a system reads it."""

    ids: list[int]
    answers: list[bool]
    """Which of the ids the system is trained to write."""
    images: list[int]
    """The rows of its images in their store."""


@dataclass(frozen=True)
class Shown:
    """The images of conversations, as a system reads them."""

    store: ImageStore
    rows: Mapping[Path, int]
    """Of each image in the store."""
    image_id: int
    """Stands among the ids for each token of an image."""
    tokens: int
    """Per image."""


@dataclass(frozen=True)
class ConversationInput:
    """What stands between conversations and a system."""

    tokenizer: SubwordTokenizer
    """With a chat template."""
    shown: Shown | None = None
    """None for a system that reads texts alone, or for texts alone."""

    def encode(self, conversation: Conversation) -> EncodedConversation:
        """Ids, answers and images. Raises `UserError` that names the record for what the template refuses."""
        shown = self.shown if conversation.images else None
        messages = [{"role": one.role, "content": one.content} for one in conversation.messages]
        try:
            ids, answers = self.tokenizer.encode_answers(messages, shown.image_id if shown else None)
        except UserError as error:
            raise UserError(f"{conversation.where}: {error}") from error
        if shown is None:
            return EncodedConversation(ids, answers, [])
        times = [shown.tokens if i == shown.image_id else 1 for i in ids]
        return EncodedConversation(
            [i for i, count in zip(ids, times, strict=True) for _ in range(count)],
            [answer for answer, count in zip(answers, times, strict=True) for _ in range(count)],
            [shown.rows[path] for path in conversation.images],
        )

    def fitting(self, conversations: Sequence[Conversation], cuts: Cuts) -> list[EncodedConversation]:
        """Those that are not too long; the others are left out whole, and counted. Raises as `encode`."""
        found = []
        for one in conversations:
            row = self.encode(one)
            lost = max(0, len(row.ids) - (cuts.limit or len(row.ids)))
            cuts.add(one.where, lost)
            if not lost:
                found.append(row)
        return found

    def batch(self, rows: Sequence[EncodedConversation]) -> Batch:
        """One conversation per row, and all their images in order."""
        ids, keep = pad([row.ids for row in rows], self.tokenizer.pad)
        answers = pad([row.answers for row in rows])[0].bool()
        images = [image for row in rows for image in row.images]
        shown = self.shown.store.images(images) if self.shown and images else ImageBatch()
        return Batch(shown, TextBatch(ids, keep, answers=answers))
