"""A text on its way to a model: tokenized once, words that the model does not know set apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import WordTokenizer
from showtell.datasets.cuts import Cuts, encode_within

BATCH = 64
"""Texts per forward pass."""


@dataclass(frozen=True)
class Text:
    """A text as a model reads it."""

    text: str
    ids: list[int] = field(default_factory=list)
    """Its known tokens, special tokens around them."""
    unknown: tuple[str, ...] = ()
    """Words that are not in the vocabulary, as written; empty for subwords, which spell any word."""
    known: bool = True
    """Whether any token is left."""
    cut: int = 0
    """Tokens at its end that are not read."""


def read_text(text: str, tokenizer: WordTokenizer | SubwordTokenizer, max_length: int | None = None) -> Text:
    """A text without the words that the tokenizer does not know, cut to `max_length` tokens."""
    if isinstance(tokenizer, SubwordTokenizer):
        ids, cut = encode_within(tokenizer, text, max_length)
        return Text(text, ids, cut=cut)
    pieces = tokenizer.pieces(text)
    known = [i for i in pieces.ids if i != tokenizer.unknown]
    spans = zip(pieces.ids, pieces.offsets, strict=True)
    unknown = tuple(text[first:end] for i, (first, end) in spans if i == tokenizer.unknown)
    read = known[:max_length]
    ids = [tokenizer.start, *read, tokenizer.end]
    return Text(text, ids, unknown, bool(known), len(known) - len(read))


def encode_all(
    texts: Sequence[str],
    tokenizer: WordTokenizer | SubwordTokenizer,
    max_length: int | None,
    reader: str,
    strict: bool = False,
) -> list[list[int]]:
    """The ids of texts, those that are too long cut, with one warning, or refused if it is `strict`."""
    cuts = Cuts(max_length, f"{reader} reads", strict=strict)
    rows = [cuts.encode(tokenizer, text) for text in texts]
    cuts.log()
    return rows


def text_batches(rows: Sequence[Sequence[int]], padding: int) -> Iterator[tuple[list[int], Batch]]:
    """Tokenized texts some at a time, those of similar length together, with their places among all."""
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    for first in range(0, len(order), BATCH):
        places = order[first : first + BATCH]
        ids, keep = pad([rows[place] for place in places], padding)
        yield places, Batch(texts=TextBatch(ids, keep))
