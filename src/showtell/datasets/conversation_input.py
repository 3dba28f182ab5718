"""Conversations on their way into a language model: ids by its chat template, the answers marked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.conversations.conversation import Conversation
from showtell.data.features import ImageStore
from showtell.data.images.decode import ImageError
from showtell.data.tokenizers.chat import parts_of
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.cuts import Cuts
from showtell.errors import UserError
from showtell.progress import report


class EncodedConversation(NamedTuple):
    """A conversation as a system reads it."""

    ids: list[int]
    answers: list[bool]
    """Which of the ids the system is trained to write."""
    images: Sequence[Path]


class Shown(Protocol):
    """The images of conversations, as a system reads them."""

    @property
    def image_id(self) -> int:
        """Stands among the ids for each token of an image."""
        ...

    @property
    def in_parts(self) -> bool:
        """Whether the chat template writes the ids of images, of messages whose content is in parts."""
        ...

    @property
    def shares(self) -> bool:
        """Whether the system reads once what several conversations begin with (`Batch.prompts`)."""
        ...

    def tokens(self, path: Path) -> int:
        """How many tokens an image has."""
        ...

    def batch(self, paths: Sequence[Path]) -> ImageBatch:
        """Some images."""
        ...


@dataclass(frozen=True)
class StoredImages:
    """Images of one size in a store."""

    store: ImageStore
    rows: Mapping[Path, int]
    """Of each image in the store."""
    image_id: int
    count: int
    """Tokens per image."""
    in_parts: ClassVar = False
    shares: ClassVar = True

    def tokens(self, path: Path) -> int:
        """As many for each image."""
        return self.count

    def batch(self, paths: Sequence[Path]) -> ImageBatch:
        """Some images."""
        return self.store.images([self.rows[path] for path in paths])


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
        in_parts = shown is not None and shown.in_parts
        messages = [
            {"role": one.role, "content": parts_of(one.content) if in_parts else one.content}
            for one in conversation.messages
        ]
        try:
            ids, answers = self.tokenizer.encode_answers(
                messages, shown.image_id if shown and not in_parts else None
            )
        except UserError as error:
            raise UserError(f"{conversation.where}: {error}") from error
        if shown is None:
            return EncodedConversation(ids, answers, ())
        if ids.count(shown.image_id) != len(conversation.images):
            raise UserError(
                f"{conversation.where}: the model's chat template writes {ids.count(shown.image_id)} images "
                f"of {len(conversation.images)}; adapt another model"
            )
        counts = map(shown.tokens, conversation.images)
        times = [next(counts) if i == shown.image_id else 1 for i in ids]
        return EncodedConversation(
            [i for i, count in zip(ids, times, strict=True) for _ in range(count)],
            [answer for answer, count in zip(answers, times, strict=True) for _ in range(count)],
            conversation.images,
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
        """One conversation per row, and all their images in order.

        Those that are alike up to the last of their images begin with one prompt, if the system shares it:
        the loss is the same, and the images are read once.
        """
        groups = self._alike(rows) if self.shown and self.shown.shares else [[row] for row in rows]
        if len(groups) == len(rows):
            return Batch(self._images(rows), self._texts(rows))
        lengths = [_shared(some) for some in groups]
        prompts = [_part(some[0], slice(n)) for some, n in zip(groups, lengths, strict=True)]
        rests = [_part(row, slice(n, None)) for some, n in zip(groups, lengths, strict=True) for row in some]
        owner = torch.tensor([number for number, some in enumerate(groups) for _ in some])
        texts = replace(self._texts(rests), owner=owner)
        return Batch(self._images(prompts), texts, prompts=self._texts(prompts))

    def _alike(self, rows: Sequence[EncodedConversation]) -> list[list[EncodedConversation]]:
        """Rows that are alike up to the last of their images together; one without images stands alone."""
        assert self.shown is not None
        found: dict[Hashable, list[EncodedConversation]] = {}
        for number, row in enumerate(rows):
            shown = [place for place, i in enumerate(row.ids, 1) if i == self.shown.image_id]
            end = max(shown, default=0)
            if row.answers.index(True) <= end:  # the image's last token predicts the answer
                return [[row] for row in rows]
            found.setdefault((*row.images, *row.ids[:end]) or number, []).append(row)
        return [*found.values()]

    def _texts(self, rows: Sequence[EncodedConversation]) -> TextBatch:
        ids, keep = pad([row.ids for row in rows], self.tokenizer.pad)
        return TextBatch(ids, keep, answers=pad([row.answers for row in rows])[0].bool())

    def _images(self, rows: Sequence[EncodedConversation]) -> ImageBatch:
        images = [image for row in rows for image in row.images]
        return self.shown.batch(images) if self.shown and images else ImageBatch()


def _shared(rows: Sequence[EncodedConversation]) -> int:
    """How many tokens all rows begin with; the one before an answer, which predicts it, is not among them."""
    alike = zip(*(zip(row.ids, row.answers[1:], strict=False) for row in rows), strict=False)
    return next(n for n, tokens in enumerate(alike) if len({*tokens}) > 1 or tokens[0][1])


def _part(row: EncodedConversation, where: slice) -> EncodedConversation:
    return EncodedConversation(row.ids[where], row.answers[where], row.images)


def unreadable(shown: Shown, paths: Sequence[Path]) -> dict[Path, str]:
    """Those of some images that cannot be read, each with the reason."""
    skipped = {}
    for done, path in enumerate(paths, 1):
        try:
            shown.tokens(path)
        except ImageError as error:
            skipped[path] = error.reason
        except UserError as error:  # too long for its width
            skipped[path] = str(error)
        report("reading images", done, len(paths))
    return skipped
