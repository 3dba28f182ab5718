"""Training of a tokenizer: words, characters, byte pairs or WordPiece."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from showtell.data.tokenizers import families
from showtell.data.tokenizers.families import FAMILIES, Name
from showtell.data.tokenizers.wellformed import wellformed
from showtell.data.tokenizers.wordpiece import CONTINUES, learn_pieces, spell
from showtell.errors import UsageError, UserError

logger = logging.getLogger(__name__)

Kind = Literal["words", "chars", "bpe", "wordpiece"]


@dataclass(frozen=True)
class Vocabulary:
    """The kind of vocabulary that a paper trains, with the family of its special tokens."""

    kind: Kind
    family: Name


def train(texts: Iterable[str], kind: Kind, vocab_size: int, family: Name) -> Tokenizer:
    """A tokenizer of at most `vocab_size` tokens, special ones included; fewer if the texts have no more.

    Raises `UserError` for texts without a word, `UsageError` for an unknown family or a tiny `vocab_size`.
    """
    if family not in FAMILIES:
        raise UsageError(f"there is no family of tokenizers {family!r}, only {', '.join(FAMILIES)}")
    special = FAMILIES[family].tokens
    room = vocab_size - len(special)
    at_least = {"bpe": 512 if FAMILIES[family].word_end else 256}.get(kind, 1)
    if room < at_least:
        raise UsageError(
            f"a vocabulary of {vocab_size} is too small: {kind} needs {at_least + len(special)} or more"
        )
    train_kind = {"words": _words, "chars": _chars, "bpe": _bpe, "wordpiece": _wordpiece}[kind]
    tokenizer = train_kind(map(wellformed, texts), room, family)
    families.add_special_tokens(tokenizer, family)
    return tokenizer


def count_words(texts: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
    """Counts of words, as the tokenizer normalises and splits texts.

    Each distinct string between spaces is normalised once, which is ten times faster.
    """
    chunks: Counter[str] = Counter()
    for text in texts:
        chunks.update(text.split(" "))
    words: Counter[str] = Counter()
    for chunk, count in chunks.items():
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(chunk)):
            words[word] += count
    if not words:
        raise UserError("the texts hold no words to train a vocabulary on")
    return words


def unknown_share(words: Mapping[str, int], vocab: Set[str]) -> float:
    """The share of counted words that WordPiece cannot spell, since the vocabulary lacks a character.

    >>> unknown_share({"ab": 3, "b": 1}, {"a", "b"})
    0.75
    """
    lacking = (count for word, count in words.items() if not {*spell(word)} <= vocab)
    return sum(lacking) / sum(words.values())


def _words(texts: Iterable[str], room: int, family: Name) -> Tokenizer:
    """The most frequent whole words."""
    tokenizer = families.uncased()
    counts = count_words(texts, tokenizer)
    unknown = FAMILIES[family].unknown
    vocab = _vocab(family, (word for word, _ in counts.most_common(room)))
    tokenizer.model = models.WordLevel(vocab, unk_token=unknown)
    return tokenizer


def _chars(texts: Iterable[str], room: int, family: Name) -> Tokenizer:
    """The most frequent characters, spaces included."""
    tokenizer = families.characters()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    if not counts:
        raise UserError("the texts hold no characters to train a vocabulary on")
    vocab = _vocab(family, (character for character, _ in counts.most_common(room)))
    # Byte-pair encoding without merges.
    tokenizer.model = models.BPE(vocab, [], unk_token=FAMILIES[family].unknown)
    return tokenizer


def _wordpiece(texts: Iterable[str], room: int, family: Name) -> Tokenizer:
    """Characters, then the merges that increase the likelihood of the texts most."""
    tokenizer = families.uncased()
    counts = count_words(texts, tokenizer)
    vocab = _vocab(family, learn_pieces(counts, room))
    share = unknown_share(counts, vocab.keys())
    if share == 1:
        raise UserError(
            f"a vocabulary of {len(vocab)} tokens holds no word of the texts whole, character by character: "
            "allow a larger one"
        )
    if share:
        logger.warning(
            "%.1f%% of the words hold a character that is not among the %d tokens, and are unknown: "
            "a larger vocabulary holds more",
            *(100 * share, len(vocab)),
        )
    tokenizer.model = models.WordPiece(
        vocab, unk_token=FAMILIES[family].unknown, continuing_subword_prefix=CONTINUES
    )
    return tokenizer


def _bpe(texts: Iterable[str], room: int, family: Name) -> Tokenizer:
    """All bytes, then the merges of the most frequent pair. Source: Sennrich et al. 2016, section 3.2."""
    own = FAMILIES[family]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    ends = [byte + own.word_end for byte in alphabet] if own.word_end else []
    marked: dict[str, Any] = {"end_of_word_suffix": own.word_end} if own.word_end else {}
    learning = own.byte_level()
    # `ends` are special tokens for the trainer only. Otherwise a byte that ends no word would have none, and
    # ties would be broken by the order in which the library's threads meet the words.
    trainer = trainers.BpeTrainer(
        vocab_size=room,
        min_frequency=2,
        initial_alphabet=alphabet,
        special_tokens=ends,
        show_progress=False,
        **marked,
    )
    learning.train_from_iterator(texts, trainer)
    merges = [(left, right) for left, right in json.loads(learning.to_str())["model"]["merges"]]
    vocab = _vocab(family, [*alphabet, *ends, *(left + right for left, right in merges)])
    if own.word_end:
        marked["unk_token"] = own.unknown
    tokenizer = own.byte_level()
    tokenizer.model = models.BPE(vocab, merges, **marked)
    return tokenizer


def _vocab(family: Name, tokens: Iterable[str]) -> dict[str, int]:
    """Ids of the family's special tokens, then of the other tokens, each once."""
    return {token: i for i, token in enumerate(dict.fromkeys([*FAMILIES[family].tokens, *tokens]))}
