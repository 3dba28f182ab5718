"""Captioned images with their pixels or features and the ids of their captions, ready to be batched."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.captions.entry import Entry
from showtell.data.features import ImageStore
from showtell.datasets.caches import log_skipped
from showtell.datasets.captions import divide, split_of
from showtell.datasets.cuts import Cuts, log_cuts
from showtell.datasets.unknown import log_unknown
from showtell.datasets.vocabulary import CaptionTokenizer, CaptionVocabulary
from showtell.errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """The images of one split."""

    cache: ImageStore
    rows: list[int]
    """Each image's row in the cache."""
    captions: list[list[list[int]]]
    """Each image's captions, in ids."""
    paths: list[Path]
    cuts: Cuts = field(default_factory=lambda: Cuts(None, ""))
    """Its captions that were longer than is kept."""
    text_features: Sequence[Tensor] | None = None
    """Each image's captions as a frozen encoder's vectors, `float32 [captions D]`."""

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, items: Sequence[int]) -> Batch:
        """Some images, each with all of its captions."""
        chosen = [(i, j) for i in items for j in range(len(self.captions[i]))]
        owner = torch.tensor([place for place, i in enumerate(items) for _ in self.captions[i]])
        return replace(self.images(items), texts=replace(self.texts(chosen), owner=owner))

    def pairs(self, items: Sequence[int], turn: int) -> Batch:
        """Some images, each with one caption: another one each turn, until all have been read."""
        texts = self.texts([(i, self.place(i, turn)) for i in items])
        return replace(self.images(items), texts=replace(texts, owner=torch.arange(len(items))))

    def lengths(self, turn: int) -> list[int]:
        """The number of tokens of the caption that `pairs` takes of each image in a turn."""
        return [len(captions[self.place(i, turn)]) for i, captions in enumerate(self.captions)]

    def place(self, image: int, turn: int) -> int:
        """Which of its captions an image has in a turn."""
        return (image + turn) % len(self.captions[image])

    def texts(self, chosen: Sequence[tuple[int, int]]) -> TextBatch:
        """Some captions: of which image, and which of its captions."""
        ids, keep = pad([self.captions[i][j] for i, j in chosen])
        if self.text_features is None:
            return TextBatch(ids, keep)
        return TextBatch(ids, keep, features=torch.stack([self.text_features[i][j] for i, j in chosen]))

    def images(self, items: Sequence[int]) -> Batch:
        """Some images without captions."""
        return Batch(self.cache.images([self.rows[i] for i in items]))


def load_splits(
    entries: Sequence[Entry], vocabulary: CaptionVocabulary, cache: ImageStore
) -> tuple[CaptionTokenizer, dict[str, Split]]:
    """The tokenizer, from the training captions alone, and the splits `train` and `val`.

    Images that cannot be read are skipped and logged, counted. Raises `UserError` for a split without images.
    """
    divided = divide(entries)
    if not divided:
        raise UserError(
            f"no image has a caption, of {len(entries)}: add some, such as a.txt beside a.jpg, or see with "
            "`showtell data check` why those that there are were not read; "
            "simclr, byol, simsiam and simmim train without captions"
        )
    if "val" in divided and all(split_of(entry) != "val" for entry in entries if entry.captions):
        logger.info(
            "the data has no split 'val': %d images of 'train' are held out for validation",
            len(divided["val"]),
        )
    named = {name: divided.get(name, []) for name in ("train", "val")}
    for name, chosen in named.items():
        if not chosen:
            raise UserError(
                f"no captioned image is in the split {name!r}: add images, or correct the names of the splits"
            )
    tokenizer = vocabulary.learn(text for entry in named["train"] for text in entry.captions)
    log_unknown(tokenizer, (text for entry in named["val"] for text in entry.captions))
    splits, skipped = {}, dict[Path, str]()
    for name, chosen in named.items():
        found = cache.add([entry.path for entry in chosen], f"reading images of {name}")
        skipped |= found.skipped
        readable = [(e, row) for e, row in zip(chosen, found.rows.tolist(), strict=True) if row >= 0]
        if not readable:
            raise UserError(f"none of the {len(chosen)} images of the split {name!r} can be read")
        cuts = Cuts(vocabulary.max_length, "vocabulary.max_length keeps", "caption")
        splits[name] = Split(
            cache,
            [row for _, row in readable],
            [[cuts.encode(tokenizer, text) for text in e.captions] for e, _ in readable],
            [e.path for e, _ in readable],
            cuts,
        )
    log_skipped(skipped)
    log_cuts({name: split.cuts for name, split in splits.items()})
    return tokenizer, splits


def split_hash(splits: dict[str, Split]) -> str:
    """SHA-256 of the file names and caption ids of every split."""
    digest = hashlib.sha256()
    for name, split in sorted(splits.items()):
        for path, captions in zip(split.paths, split.captions, strict=True):
            digest.update(json.dumps([name, path.name, captions]).encode())
    return digest.hexdigest()
