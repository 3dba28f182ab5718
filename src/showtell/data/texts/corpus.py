"""A corpus: texts as one flat array of token ids, with the bounds of sentences and documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from showtell.data.texts.sentences import split_sentences
from showtell.data.texts.spool import Spool
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.progress import report

DOCUMENTS = 256
"""How many are tokenized at a time: enough for all cores, few enough for memory."""


class Documents(Protocol):
    """Documents that can be read more than once; memory need not hold them."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...


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


def tokenise(documents: Documents, tokenizer: SubwordTokenizer) -> Corpus:
    """Tokenize documents. Text without tokens (spaces; letters that the vocabulary drops) is dropped.

    The corpus lies in temporary files. Raises `UserError` where the disk is full.
    """
    ids, begins = Spool(np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32), Spool(bool)
    sentences, bounds = Spool(np.int64), Spool(np.int64)
    sentences.extend([0])
    bounds.extend([0])
    num_tokens = num_sentences = done = 0
    stream = iter(documents)
    while some := list(islice(stream, DOCUMENTS)):
        split = [split_sentences(document) for document in some]
        pieces = tokenizer.pieces_batch([sentence for parts in split for sentence in parts])
        for parts in split:
            found = [piece for piece in islice(pieces, len(parts)) if piece.ids]
            if not found:
                continue
            lengths = np.array([len(piece.ids) for piece in found])
            sentences.extend(num_tokens + lengths.cumsum())
            num_tokens, num_sentences = num_tokens + int(lengths.sum()), num_sentences + len(found)
            bounds.extend([num_sentences])
            ids.extend([i for piece in found for i in piece.ids])
            begins.extend(np.concatenate([np.diff(piece.groups, prepend=-1) > 0 for piece in found]))
        done += len(some)
        report("tokenising documents", done, len(documents))
    return Corpus(ids.array(), begins.array(), sentences.array(), bounds.array())
