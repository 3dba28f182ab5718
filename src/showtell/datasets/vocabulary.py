"""Where the tokenizer of a captioned data set comes from, and how much of a caption it reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol, cast

from showtell.data.tokenizers.families import Name
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.occurring import occurring
from showtell.data.tokenizers.pieces import Pieces
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.training import Kind
from showtell.data.tokenizers.words import WordTokenizer
from showtell.hub.catalogue import find
from showtell.hub.pretrained import Pretrained
from showtell.hub.sources import load_pretrained
from showtell.systems.bert import BERTEncoder


class CaptionTokenizer(Protocol):
    """Text to ids, as a captioned data set needs it."""

    @property
    def unknown(self) -> int | None:
        """The id of what the vocabulary does not hold; None where it holds everything."""
        ...

    def encode(self, text: str, max_length: int | None, /) -> list[int]:
        """Ids with start and end."""
        ...

    def truncate(self, ids: list[int], max_length: int | None, /) -> list[int]:
        """The ids of a whole text, cut to a limit; start and end stay."""
        ...

    def pieces(self, text: str) -> Pieces:
        """The tokens of a text, without special tokens."""
        ...

    def to_json(self) -> str:
        """The content of `tokenizer.json`."""
        ...

    def __len__(self) -> int:
        """The number of ids."""
        ...


class CaptionVocabulary(Protocol):
    """The settings of a vocabulary."""

    @property
    def max_length(self) -> int:
        """Tokens of a caption that are kept."""
        ...

    def learn(self, texts: Iterable[str]) -> CaptionTokenizer:
        """A tokenizer from the captions of the training split."""
        ...


@dataclass(frozen=True)
class WordVocabulary:
    """Whole words, from the training captions."""

    max_words: int = 8000
    """Words of the vocabulary at most: the most frequent."""
    min_count: int = 1
    """Occurrences below which a word is unknown."""
    max_length: int = 40
    """Words of a caption that are kept."""

    def learn(self, texts: Iterable[str]) -> WordTokenizer:
        """The words of the training captions."""
        return WordTokenizer.train(texts, max_words=self.max_words, min_count=self.min_count)


@dataclass(frozen=True)
class SubwordVocabulary:
    """Pieces of words, from the training captions."""

    kind: Kind = "bpe"
    """How words are cut into pieces."""
    family: Name = "clip"
    """The family of models whose special tokens are used."""
    vocab_size: int = 49408
    """Tokens of the vocabulary at most; few texts hold fewer."""
    max_length: int = 77
    """Tokens of a caption that are kept, with start and end."""

    def learn(self, texts: Iterable[str]) -> SubwordTokenizer:
        """The pieces of the training captions."""
        return SubwordTokenizer.train(texts, self.kind, self.vocab_size, self.family)


@dataclass(frozen=True)
class KnownVocabulary:
    """The tokenizer of the model that fine-tuning starts from."""

    tokenizer: SubwordTokenizer
    max_length: int
    """Tokens of a caption that are kept, with start and end."""

    def learn(self, texts: Iterable[str]) -> SubwordTokenizer:
        """That tokenizer, whatever the captions."""
        return self.tokenizer


@dataclass(frozen=True)
class PretrainedText:
    """The tokenizer and the text tower of an installed package."""

    package: str = "all-MiniLM-L6-v2"
    """The package's name: `showtell models` lists them."""
    max_length: int = 64
    """Tokens of a caption that are kept, with start and end."""
    occurring: bool = False
    """Keep of its tokens those that the training captions hold, and single characters."""

    @property
    def about(self) -> str:
        """Where the parameters come from and what that allows."""
        package = find(self.package)
        return package.about if package else self.package

    @property
    def installed(self) -> bool:
        """Whether the package is here."""
        package = find(self.package)
        return package is not None and package.installed

    @property
    def given(self) -> Pretrained:
        """The package's encoder with its tokenizer and what it puts before each text; read once."""
        return _read(self.package)

    def learn(self, texts: Iterable[str]) -> SubwordTokenizer:
        """The package's tokenizer; whatever the captions, unless only what occurs in them is kept."""
        tokenizer = tokenizer_in(self.given)
        return occurring(tokenizer, texts) if self.occurring else tokenizer

    def encoder(self, tokenizer: SubwordTokenizer | None = None) -> BERTEncoder:
        """The package's encoder that pools the mean of its tokens, without pooler and what follows it.

        With `tokenizer`, one that `learn` returned, its embedding has the rows of those tokens.
        """
        given = cast(BERTEncoder, self.given.system)
        positions = given.config.num_positions or given.config.max_length
        alone = replace(given.config, pooler=False, pooling="mean", head=())
        left_out, table = ("pooler.", "head."), "embed.tokens.weight"
        tensors = {n: t for n, t in given.state_dict().items() if not n.startswith(left_out)}
        if tokenizer is not None:
            row = {token: i for i, token in enumerate(tokenizer_in(self.given).tokens)}
            tensors[table] = tensors[table][[row[token] for token in tokenizer.tokens]]
        sizes: dict[str, Any] = {
            "max_length": positions,
            "num_positions": None,
            "vocab_size": len(tensors[table]),
        }
        encoder = BERTEncoder(replace(alone, **sizes))
        encoder.load_state_dict(tensors)
        return encoder


def tokenizer_in(given: Pretrained) -> SubwordTokenizer:
    """The tokenizer of a pretrained text encoder, with the prompt that it puts before each text."""
    tokenizer = load_tokenizer(given.tokenizer_json, texts=given.texts)
    assert isinstance(tokenizer, SubwordTokenizer)
    return tokenizer


@lru_cache(maxsize=1)
def _read(package: str) -> Pretrained:
    return load_pretrained(package)
