"""Images with their captions, some of them also with one in another language, word by word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.texts.lexicon import in_language
from showtell.datasets.encoded_captions import Split


def in_languages(
    split: Split,
    captions: Mapping[Path, Sequence[str]],
    languages: Sequence[str],
    encode: Callable[[str], list[int]],
) -> Split:
    """The images of a split with each of their captions in one of the languages, which take turns."""
    found = [
        [
            encode(in_language(text, languages[(image + place) % len(languages)]))
            for place, text in enumerate(captions[path])
        ]
        for image, path in enumerate(split.paths)
    ]
    return replace(split, captions=found, text_features=None)


@dataclass(frozen=True)
class TranslatedPairs:
    """Pairs of `own`; a `share` of their images also has a caption of `others`, the same split translated."""

    own: Split
    others: Split
    share: float
    seed: int

    def pairs(self, items: Sequence[int], turn: int) -> Batch:
        """The captions of `own.pairs`, then those in other languages, of other sentences."""
        drawn = np.random.default_rng((self.seed, turn, *items)).random(len(items)) < self.share
        more = np.flatnonzero(drawn).tolist()
        rows = [(self.own, i, self.own.place(i, turn)) for i in items]
        rows += [(self.others, i, self.others.place(i, turn + 1)) for i in (items[place] for place in more)]
        ids, keep = pad([split.captions[i][j] for split, i, j in rows])
        texts = TextBatch(ids, keep, owner=torch.tensor([*range(len(items)), *more]))
        if self.own.text_features is not None:
            vectors = [split.text_features[i][j] for split, i, j in rows if split.text_features is not None]
            texts = replace(texts, features=torch.stack(vectors))
        return replace(self.own.images(items), texts=texts)
