"""Sentence pairs for next-sentence prediction: the training examples of BERT."""

from __future__ import annotations

from array import array
from itertools import pairwise

import numpy as np

from showtell.data.texts.corpus import Corpus, Example, opened
from showtell.errors import UserError
from showtell.wording import counted

_Part = tuple[np.ndarray, np.ndarray]


class SentencePairs:
    """[CLS] A [SEP] B [SEP] of at most `max_length` tokens; A and B are each one or more whole sentences.

    A document is divided into runs of sentences that fit together; each run of two or more is an item. It is
    split in two at random; half of the time its second part is replaced by as many sentences (fewer if they
    would not fit) from a random position in another document, so the length hardly gives it away. If even one
    sentence does not fit beside the first part, tokens are dropped at random from either end of the longer
    part until both fit.

    Source: Devlin et al. 2019, appendix A.2, without its 10 % of shorter examples.
    """

    def __init__(self, corpus: Corpus, *, start: int, end: int, max_length: int) -> None:
        """Raises `UserError` for a corpus without two documents, or without two sentences in one document."""
        self.corpus, self.start, self.end, self.room = corpus, start, end, max_length - 3
        if self.room < 2:
            raise UserError(
                f"max_length {max_length} leaves no room for two sentences and their special tokens"
            )
        self._runs = _runs(corpus, self.room)
        if len(corpus.documents) < 3:
            raise UserError(
                "sentence pairs need at least two documents to train on and two to validate; "
                f"here is {counted(len(corpus.documents) - 1, 'document')} with text. Add documents, "
                "separated by blank lines"
            )
        if not len(self._runs):
            raise UserError(
                "no document has two sentences to form a pair; add longer ones, "
                "or use a recipe without sentence pairs, such as roberta_mini"
            )

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def lost(self) -> np.ndarray:
        """`int64 [N]`, the tokens of each item's own sentences that no pair of it can hold."""
        _, first, last = self._runs.T
        return np.maximum(self.corpus.sentences[last] - self.corpus.sentences[first] - self.room, 0)

    def whole(self, item: int) -> np.ndarray:
        """`int64 [L]`, the tokens of an item's own sentences."""
        _, first, last = self._runs[item].tolist()
        return self._tokens(first, last)[0].astype(np.int64)

    def __call__(self, item: int, generator: np.random.Generator) -> Example:
        """A pair from one item; the generator decides the split and the second part."""
        document, first, last = self._runs[item].tolist()
        middle = int(generator.integers(first + 1, last))
        follows = bool(generator.random() < 0.5)
        a = self._tokens(first, middle)
        if follows:
            b = self._tokens(middle, last)
        else:
            b = self._elsewhere(document, last - middle, self.room - len(a[0]), generator)
        a, b = self._fit(a, b, generator)
        ids = np.concatenate([[self.start], a[0], [self.end], b[0], [self.end]]).astype(np.int64)
        begins = np.concatenate([[True], opened(a[1]), [True], opened(b[1]), [True]])
        segments = np.repeat([0, 1], [len(a[0]) + 2, len(b[0]) + 1])
        return Example(ids, np.cumsum(begins) - 1, segments, follows)

    def _tokens(self, first: int, last: int) -> _Part:
        begin, end = self.corpus.sentences[[first, last]]
        return self.corpus.ids[begin:end], self.corpus.begins[begin:end]

    def _elsewhere(
        self, document: int, num_sentences: int, room: int, generator: np.random.Generator
    ) -> _Part:
        """Sentences from a random position in another document: one, and more while they fit."""
        documents, sentences = self.corpus.documents, self.corpus.sentences
        other = int(generator.integers(len(documents) - 2))
        other += other >= document
        first = int(generator.integers(documents[other], documents[other + 1]))
        last = min(first + num_sentences, int(documents[other + 1]))
        while last > first + 1 and sentences[last] - sentences[first] > room:
            last -= 1
        return self._tokens(first, last)

    def _fit(self, a: _Part, b: _Part, generator: np.random.Generator) -> tuple[_Part, _Part]:
        """Both parts, the longer one truncated until they fit."""
        size_a, size_b = len(a[0]), len(b[0])
        if size_a + size_b <= self.room:
            return a, b
        keep = min(size_a, max(self.room - size_b, self.room - self.room // 2))
        return _cut(a, keep, generator), _cut(b, self.room - keep, generator)


def _cut(part: _Part, keep: int, generator: np.random.Generator) -> _Part:
    """`keep` tokens; each of the others is dropped from the front or the back at random."""
    begin = int(generator.binomial(len(part[0]) - keep, 0.5))
    return part[0][begin : begin + keep], part[1][begin : begin + keep]


def _runs(corpus: Corpus, room: int) -> np.ndarray:
    """`int64 [N 3]`: for each item its document, its first and its past-the-last sentence.

    The sentences fit into `room` together, or are just two. A last sentence left alone is no item.
    """
    runs = array("q")
    for document, (first, last) in enumerate(pairwise(corpus.documents)):
        ends, begin = corpus.sentences[first : last + 1].tolist(), 0
        for sentence in range(1, len(ends)):
            full = sentence + 1 < len(ends) and ends[sentence + 1] - ends[begin] > room
            if sentence - begin >= 2 and (full or sentence + 1 == len(ends)):
                runs.extend([document, int(first) + begin, int(first) + sentence])
                begin = sentence
    return np.frombuffer(runs, np.int64).reshape(-1, 3)
