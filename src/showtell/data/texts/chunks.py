"""Texts cut into chunks of whole words that have at most so many tokens each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from showtell.data.tokenizers.pieces import Pieces
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.progress import report

DOCUMENTS = 256
"""How many are tokenized at a time: enough for all cores, few enough for memory."""
_WORD = re.compile(r"\S+")


def chunks(
    documents: Sequence[str], tokenizer: SubwordTokenizer, most: int, least: int | None = None, seed: int = 0
) -> Iterator[str]:
    """Consecutive whole words of each document, at most `most` tokens of them without special ones.

    With `least`, each chunk has a limit of its own, drawn evenly from `least..most`. A word that alone has
    more tokens is a chunk of its first characters and further ones of the rest. The last chunk of a document
    may be short.
    """
    generator = np.random.default_rng(seed)
    for first in range(0, len(documents), DOCUMENTS):
        some = documents[first : first + DOCUMENTS]
        for document, pieces in zip(some, tokenizer.pieces_batch(some), strict=True):
            yield from _cut(document, pieces, tokenizer, (least or most, most), generator)
        report("cutting texts", min(first + DOCUMENTS, len(documents)), len(documents))


def _cut(
    document: str,
    pieces: Pieces,
    tokenizer: SubwordTokenizer,
    limits: tuple[int, int],
    generator: np.random.Generator,
) -> Iterator[str]:
    """The chunks of one document."""
    begins = np.array([begin for begin, _ in pieces.offsets])
    chunk: tuple[int, int] | None = None
    count, limit = 0, int(generator.integers(limits[0], limits[1] + 1))
    for word in _WORD.finditer(document):
        tokens = int(np.searchsorted(begins, word.end()) - np.searchsorted(begins, word.start()))
        if chunk and count + tokens > limit:
            yield from _within(document[slice(*chunk)], tokenizer, limits[1])
            chunk, count, limit = None, 0, int(generator.integers(limits[0], limits[1] + 1))
        chunk = (chunk[0] if chunk else word.start(), word.end())
        count += tokens
    if chunk and count:
        yield from _within(document[slice(*chunk)], tokenizer, limits[1])


def _within(text: str, tokenizer: SubwordTokenizer, most: int) -> Iterator[str]:
    """The text, or its parts where it has more tokens alone than it had in its document."""
    if len(tokenizer.pieces(text).ids) <= most or len(text) < 2:
        yield text
        return
    middle = len(text) // 2
    space = text.rfind(" ", 0, middle + 1)
    middle = space if space > 0 else middle
    yield from _within(text[:middle].strip(), tokenizer, most)
    yield from _within(text[middle:].strip(), tokenizer, most)
