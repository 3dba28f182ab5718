"""Running text cut into rows: the training examples of RoBERTa and GPT."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from showtell.data.texts.corpus import Corpus, Example, opened
from showtell.errors import UserError


class FullSentences:
    """<s> sentences </s> of at most `max_length` tokens, one document after another.

    A row holds as many whole sentences as fit, in order; where a document ends inside a row, another </s>
    separates it from the next. A sentence longer than a row is split.

    Source: Liu et al. 2019, section 4.2 (FULL-SENTENCES).
    """

    def __init__(self, corpus: Corpus, *, start: int, end: int, max_length: int) -> None:
        """Raises `UserError` for a corpus without text, or a `max_length` too small for any."""
        _check(corpus, max_length, 3)
        self.corpus, self.start, self.end = corpus, start, end
        self._edges = corpus.edges[1:-1]
        self._rows = _rows(corpus, max_length - 2)

    def __len__(self) -> int:
        return len(self._rows)

    def __call__(self, item: int, generator: np.random.Generator) -> Example:
        """Row `item`; nothing in it is random."""
        begin, end = self._rows[item].tolist()
        first, last = np.searchsorted(self._edges, [begin, end - 1], side="right")
        parts = self._edges[first:last] - begin
        ids = np.insert(self.corpus.ids[begin:end].astype(np.int64), parts, self.end)
        begins = opened(self.corpus.begins[begin:end])
        begins = np.insert(begins, parts, True)
        ids = np.concatenate([[self.start], ids, [self.end]])
        return Example(ids, np.cumsum(np.concatenate([[True], begins, [True]])) - 1)


class Blocks:
    """Running text in rows of exactly `max_length` tokens (the last one may be shorter), across documents.

    `start` comes before the first document, `end` after each; for GPT-2 they are the same token. A row begins
    with the last token of the row before, so every token but the very first is predicted once.

    Source: Radford et al. 2018, section 4.1 (contiguous sequences); 2019, section 2.
    """

    def __init__(self, corpus: Corpus, *, start: int, end: int, max_length: int) -> None:
        """Raises `UserError` for a corpus without text, or a `max_length` too small for any."""
        _check(corpus, max_length, 2)
        places = corpus.edges
        self._ids = np.insert(corpus.ids, places, [start, *[end] * (len(places) - 1)])
        self._begins = np.insert(corpus.begins, places, True)
        self.max_length = max_length

    def __len__(self) -> int:
        return -(-(len(self._ids) - 1) // (self.max_length - 1))

    def __call__(self, item: int, generator: np.random.Generator) -> Example:
        """Row `item`; nothing in it is random."""
        begin = item * (self.max_length - 1)
        row = slice(begin, begin + self.max_length)
        return Example(self._ids[row].astype(np.int64), np.cumsum(opened(self._begins[row])) - 1)


def _check(corpus: Corpus, max_length: int, at_least: int) -> None:
    if max_length < at_least:
        raise UserError(f"max_length {max_length} leaves no room for text; it must be at least {at_least}")
    if not len(corpus.ids):
        raise UserError("the data holds no text that the tokenizer can encode")


def _rows(corpus: Corpus, room: int) -> np.ndarray:
    """`int64 [N 2]`, the first and past-the-last token of each row of full sentences."""
    ends, edges = corpus.sentences.tolist(), set(corpus.edges.tolist())
    rows, begin, separators = [], 0, 0
    for first, last in pairwise(ends):
        parts = first in edges and first > begin
        if last - begin + separators + parts > room:
            if first > begin:
                rows.append((begin, first))
            begin, separators, parts = first, 0, False
            while last - begin > room:
                rows.append((begin, begin + room))
                begin += room
        separators += parts
    if begin < ends[-1]:
        rows.append((begin, ends[-1]))
    return np.array(rows, np.int64).reshape(-1, 2)
