"""Families of tokenizers: their special tokens, where these stand around a text, and how text is split."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

Name = str
"""The name of a family, a key of `FAMILIES`."""
Token = tuple[str, int]
"""A special token and its id."""

# CLIP's pattern for a word: a special token, a contraction, letters, one digit, or the rest.
CLIP_WORD = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True)
class Family:
    """Special tokens, of which one may have several roles, and what is special about the text between."""

    start: str
    end: str
    unknown: str
    pad: str | None = None
    mask: str | None = None
    around: Callable[[Token, Token, bool], Any] | None = None
    """The post-processor that puts start and end around a text, given these and whether a space is put before
    a text; None where nothing stands around it."""
    merges: bool = False
    """Whether `vocab.json` with `merges.txt` is how this family was saved before `tokenizer.json`."""
    word_end: str = ""
    """What marks the last byte pair of a word; the text is then lower case and its spaces are dropped."""
    mask_takes_space: bool = False
    """Whether the mask swallows the space before it, as the word that it stands for would have."""

    @property
    def tokens(self) -> list[str]:
        """The distinct names, in the order of the ids that training gives them."""
        names = (self.pad, self.unknown, self.start, self.end, self.mask)
        return list(dict.fromkeys(name for name in names if name is not None))

    def byte_level(self, *, add_prefix_space: bool = False) -> Tokenizer:
        """The family's tokenizer of byte pairs, without a vocabulary yet."""
        return lower_byte_level() if self.word_end else byte_level(add_prefix_space=add_prefix_space)


FAMILIES: dict[Name, Family] = {
    "bert": Family(
        *("[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"),
        around=lambda start, end, space: processors.BertProcessing(end, start),
    ),
    "roberta": Family(
        *("<s>", "</s>", "<unk>", "<pad>", "<mask>"),
        around=lambda start, end, space: processors.RobertaProcessing(end, start, add_prefix_space=space),
        merges=True,
        mask_takes_space=True,
    ),
    "clip": Family(
        *("<|startoftext|>", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"),
        around=lambda start, end, space: processors.RobertaProcessing(
            end, start, trim_offsets=False, add_prefix_space=space
        ),
        merges=True,
        word_end="</w>",
    ),
    "gpt2": Family("<|endoftext|>", "<|endoftext|>", "<|endoftext|>", merges=True),
    "siglip": Family(
        *("</s>", "</s>", "<unk>", "</s>"),
        around=lambda start, end, space: processors.TemplateProcessing(f"$A {end[0]}", special_tokens=[end]),
    ),
}


def family_of(tokens: Collection[str]) -> Name | None:
    """The family whose special tokens are all among `tokens`; of several, the one with the most.

    >>> family_of(["<|endoftext|>", "a"]), family_of(["<|endoftext|>", "<|startoftext|>"]), family_of(["a"])
    ('gpt2', 'clip', None)
    """
    fitting = [name for name, family in FAMILIES.items() if {*family.tokens} <= {*tokens}]
    return max(fitting, key=lambda name: len(FAMILIES[name].tokens), default=None)


def uncased(lowercase: bool = True, *, chinese: bool = True, strip_accents: bool | None = None) -> Tokenizer:
    """BERT's text rules: lower case, no accents, split at spaces and punctuation; no vocabulary yet."""
    tokenizer = Tokenizer(models.WordPiece())
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def byte_level(*, add_prefix_space: bool = False) -> Tokenizer:
    """GPT-2's text rules: bytes, a space belongs to the word after it; no vocabulary yet."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def lower_byte_level() -> Tokenizer:
    """CLIP's text rules: lower-case bytes, spaces dropped, a word's end marked `</w>`; no vocabulary yet."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORD), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def characters() -> Tokenizer:
    """Text as it is, split at spaces, which stay; no vocabulary yet."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def add_special_tokens(tokenizer: Tokenizer, name: Name, *, add_prefix_space: bool = False) -> None:
    """Give the family's tokens their roles; one that the vocabulary lacks is added at its end."""
    family = FAMILIES[name]
    tokenizer.add_special_tokens(
        [
            AddedToken(
                token, special=True, normalized=False, lstrip=family.mask_takes_space and token == family.mask
            )
            for token in family.tokens
        ]
    )
    ids = tokenizer.get_vocab(with_added_tokens=True)
    if family.around is not None:
        start, end = (family.start, ids[family.start]), (family.end, ids[family.end])
        tokenizer.post_processor = family.around(start, end, add_prefix_space)
