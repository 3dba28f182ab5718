"""A corpus: texts as one flat array of token ids, with the bounds of sentences and documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from showtell.data.texts.sentences import split_sentences
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.progress import report

DOCUMENTS = 256
"""How many are tokenized at a time: enough for all cores, few enough for memory."""


class Example(NamedTuple):
    """One training example, with special tokens."""

    ids: np.ndarray
    """`int64 [L]`."""
    groups: np.ndarray
    """`int64 [L]`, the index of the word that each token is a piece of; a special token is a word."""
    segments: np.ndarray | None = None
    """`int64 [L]`, 0 in the first part, 1 in the second."""
    follows: bool | None = None
    """Whether the second part follows the first in its document."""


def opened(begins: np.ndarray) -> np.ndarray:
    """`begins` of a slice of a corpus: its first token begins a word, even where the word was cut."""
    return np.concatenate([[True], begins[1:]])


@dataclass(frozen=True)
class Corpus:
    """Documents made of sentences made of tokens, none of them empty, without special tokens."""

    ids: np.ndarray
    """`uint16` or `uint32 [T]`."""
    begins: np.ndarray
    """`bool [T]`, True where a word begins."""
    sentences: np.ndarray
    """`int64 [S + 1]`: sentence s is `ids[sentences[s]:sentences[s + 1]]`."""
    documents: np.ndarray
    """`int64 [D + 1]`: document d has the sentences `documents[d]` to `documents[d + 1] - 1`."""

    @property
    def edges(self) -> np.ndarray:
        """`int64 [D + 1]`: document d is `ids[edges[d]:edges[d + 1]]`."""
        return self.sentences[self.documents]


def tokenise(documents: Sequence[str], tokenizer: SubwordTokenizer) -> Corpus:
    """Tokenize documents. Text without tokens (spaces; letters that the vocabulary drops) is dropped."""
    ids, begins = [], []
    lengths: list[int] = []
    counts: list[int] = []
    dtype = np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32
    for first in range(0, len(documents), DOCUMENTS):
        split = [split_sentences(document) for document in documents[first : first + DOCUMENTS]]
        pieces = tokenizer.pieces_batch([sentence for sentences in split for sentence in sentences])
        for sentences in split:
            found = [piece for piece in islice(pieces, len(sentences)) if piece.ids]
            lengths += [len(sentence.ids) for sentence in found]
            counts += [len(found)] if found else []
            ids += [np.array(sentence.ids, dtype) for sentence in found]
            begins += [np.diff(sentence.groups, prepend=-1) > 0 for sentence in found]
        report("tokenising documents", min(first + DOCUMENTS, len(documents)), len(documents))
    return Corpus(
        np.concatenate(ids) if ids else np.zeros(0, dtype),
        np.concatenate(begins) if begins else np.zeros(0, bool),
        np.cumsum([0, *lengths], dtype=np.int64),
        np.cumsum([0, *counts], dtype=np.int64),
    )
