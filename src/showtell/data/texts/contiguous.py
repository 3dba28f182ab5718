"""Running text cut into rows: the training examples of RoBERTa and GPT."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import ClassVar

import numpy as np

from showtell.data.texts.corpus import Corpus, Example, opened
from showtell.errors import UserError


class FullSentences:
    """<s> sentences </s> of at most `max_length` tokens, one document after another.

    A row holds as many whole sentences as fit, in order; where a document ends inside a row, another </s>
    separates it from the next. A sentence longer than a row is split.

    Source: Liu et al. 2019, section 4.2 (FULL-SENTENCES).
    """

    lost: ClassVar = np.zeros(0, np.int64)
    """No token is lost."""

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

    lost: ClassVar = np.zeros(0, np.int64)
    """No token is lost."""

    def __init__(self, corpus: Corpus, *, start: int, end: int, max_length: int) -> None:
        """Raises `UserError` for a corpus without text, or a `max_length` too small for any."""
        _check(corpus, max_length, 2)
        self.corpus, self.start, self.end, self.max_length = corpus, start, end, max_length
        self._edges = corpus.edges
        # The positions of the special tokens among all.
        self._between = self._edges + np.arange(len(self._edges))

    def __len__(self) -> int:
        return -(-(len(self.corpus.ids) + len(self._edges) - 1) // (self.max_length - 1))

    def __call__(self, item: int, generator: np.random.Generator) -> Example:
        """Row `item`; nothing in it is random."""
        begin = item * (self.max_length - 1)
        first, last = np.searchsorted(self._between, [begin, begin + self.max_length])
        row = slice(begin - first, begin + self.max_length - last)
        places = self._edges[first:last] - row.start
        special = [self.start if n == 0 else self.end for n in range(first, last)]
        ids = np.insert(self.corpus.ids[row].astype(np.int64), places, special)
        begins = np.insert(self.corpus.begins[row], places, True)
        return Example(ids, np.cumsum(opened(begins)) - 1)


def _check(corpus: Corpus, max_length: int, at_least: int) -> None:
    if max_length < at_least:
        raise UserError(f"max_length {max_length} leaves no room for text; it must be at least {at_least}")
    if not len(corpus.ids):
        raise UserError("the data holds no text that the tokenizer can encode")


def _rows(corpus: Corpus, room: int) -> np.ndarray:
    """`int64 [N 2]`, the first and past-the-last token of each row of full sentences."""
    rows, begin, separators, first = array("q"), 0, 0, 0
    for before, after in pairwise(corpus.documents):
        for place, last in enumerate(corpus.sentences[before + 1 : after + 1].tolist()):
            parts = place == 0 and first > begin
            if last - begin + separators + parts > room:
                if first > begin:
                    rows.extend([begin, first])
                begin, separators, parts = first, 0, False
                while last - begin > room:
                    rows.extend([begin, begin + room])
                    begin += room
            separators += parts
            first = last
    if begin < first:
        rows.extend([begin, first])
    return np.frombuffer(rows, np.int64).reshape(-1, 2)
