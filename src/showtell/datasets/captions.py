"""Which images are learned from and which are chosen by, ready to be read."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.captions.entry import Entry
from showtell.data.features import FeatureCache
from showtell.data.tokenizers.words import WordTokenizer
from showtell.errors import UserError
from showtell.progress import progress_lines


@dataclass(frozen=True)
class WordVocabulary:
    """Which words the captioner learns, all from the training split."""

    max_words: int = 8000
    min_count: int = 1
    """Rarer words are unknown."""
    max_length: int = 40
    """Words of a caption that are kept."""

    def learn(self, texts: Iterable[str]) -> WordTokenizer:
        """The words of the training texts."""
        return WordTokenizer.train(texts, max_words=self.max_words, min_count=self.min_count)


class Tokenizer(Protocol):
    """What makes ids of texts."""

    def encode(self, text: str, max_length: int | None, /) -> list[int]:
        """Ids with start and end."""
        ...

    def to_json(self) -> str:
        """What a checkpoint keeps of it."""
        ...

    def __len__(self) -> int:
        """How many ids there are."""
        ...


class Vocabulary(Protocol):
    """Where a tokenizer comes from, and how much of a text it reads."""

    @property
    def max_length(self) -> int:
        """Words or tokens of a caption that are kept."""
        ...

    def learn(self, texts: Iterable[str]) -> Tokenizer:
        """A tokenizer from the texts of the training split."""
        ...


@dataclass(frozen=True)
class Split:
    """Images of one split with their features and the ids of their captions."""

    cache: FeatureCache
    rows: list[int]
    """Of each image, its row of the cached features."""
    captions: list[list[list[int]]]
    """Of each image, its captions in ids."""
    paths: list[Path]

    def batch(self, items: Sequence[int]) -> Batch:
        """The chosen images with all of their captions."""
        ids, keep = pad([ids for i in items for ids in self.captions[i]])
        owner = torch.tensor([place for place, i in enumerate(items) for _ in self.captions[i]])
        return replace(self.images(items), texts=TextBatch(ids, keep, owner))

    def pairs(self, items: Sequence[int], turn: int) -> Batch:
        """The chosen images with one caption each: each of an image's in as many turns as it has."""
        ids, keep = pad([self.captions[i][(i + turn) % len(self.captions[i])] for i in items])
        return replace(self.images(items), texts=TextBatch(ids, keep, torch.arange(len(items))))

    def images(self, items: Sequence[int]) -> Batch:
        """The chosen images alone: their pixels where the cache keeps bytes, else their features."""
        if self.cache.dtype == np.uint8:
            return Batch(ImageBatch(pixels=torch.from_numpy(self.cache.array[[self.rows[i] for i in items]])))
        return Batch(ImageBatch(features=self.grid(items)))

    def grid(self, items: Sequence[int]) -> Tensor:
        """The features of the chosen images, `float32 [B N D]`."""
        return self.cache.grid([self.rows[i] for i in items])


def split_of(entry: Entry) -> str:
    """The split that the data names; else one image in ten is `val`, chosen by a hash of its name."""
    if entry.split is not None:
        return entry.split
    return _by_name(entry)


def divide(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The captioned images of every split, in their order.

    Where the data names a training split and none to choose by, one image in ten of it is `val`, by the
    same hash.
    """
    splits: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.captions:
            splits.setdefault(split_of(entry), []).append(entry)
    if "val" not in splits:
        parts: dict[str, list[Entry]] = {"train": [], "val": []}
        for entry in splits.get("train", []):
            parts[_by_name(entry)].append(entry)
        if all(parts.values()):
            splits.update(parts)
    return splits


def _by_name(entry: Entry) -> str:
    return "val" if hashlib.sha256(entry.path.name.encode()).digest()[0] < 26 else "train"


def load_splits(
    entries: Sequence[Entry], vocabulary: Vocabulary, cache: FeatureCache
) -> tuple[Tokenizer, dict[str, Split]]:
    """Words from the training split alone, features of every image, both splits ready to be read."""
    divided = divide(entries)
    if not divided:
        raise UserError(
            f"none of the {len(entries)} images has a caption: write some, as in a.jpg with a.txt; "
            "simclr, byol, simsiam and simmim learn without"
        )
    if "val" in divided and all(split_of(entry) != "val" for entry in entries if entry.captions):
        print(
            f"the data has no split 'val': {len(divided['val'])} images of 'train' are kept to choose by, "
            "not learned from",
            file=sys.stderr,
        )
    named = {name: divided.get(name, []) for name in ("train", "val")}
    for name, chosen in named.items():
        if not chosen:
            raise UserError(
                f"no captioned image is in the split {name!r}: give more images, or mend the split names"
            )
    tokenizer = vocabulary.learn(text for entry in named["train"] for text in entry.captions)
    splits = {}
    for name, chosen in named.items():
        found = cache.add([entry.path for entry in chosen], progress_lines(f"images of {name} read"))
        for path, reason in found.skipped.items():
            print(f"skipped {path}: {reason}", file=sys.stderr)
        readable = [(e, row) for e, row in zip(chosen, found.rows.tolist(), strict=True) if row >= 0]
        if not readable:
            raise UserError(f"none of the {len(chosen)} images of the split {name!r} can be read")
        splits[name] = Split(
            cache,
            [row for _, row in readable],
            [[tokenizer.encode(text, vocabulary.max_length) for text in e.captions] for e, _ in readable],
            [e.path for e, _ in readable],
        )
    return tokenizer, splits


def split_hash(splits: dict[str, Split]) -> str:
    """Names and captions of every split: a resumed run must read the same."""
    digest = hashlib.sha256()
    for name, split in sorted(splits.items()):
        for path, captions in zip(split.paths, split.captions, strict=True):
            digest.update(json.dumps([name, path.name, captions]).encode())
    return digest.hexdigest()
