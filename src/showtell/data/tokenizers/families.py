"""Families of tokenizers: their special tokens, what goes around a text, and how a text is split."""

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
    """A family's special tokens, of which one may have several roles, and its other peculiarities."""

    start: str
    end: str
    unknown: str
    pad: str | None = None
    mask: str | None = None
    around: Callable[[Token, Token, bool], Any] | None = None
    """Makes the post-processor that adds special tokens to a text, from the start token, the end token, and
    whether a space is put before each text; None adds nothing."""
    merges: bool = False
    """Whether `vocab.json` with `merges.txt` is the older form of its `tokenizer.json`."""
    word_end: str = ""
    """The suffix of the last token of a word; such a family's text is lower case and without spaces."""
    mask_takes_space: bool = False
    """Whether the mask includes the space before it, as the masked word did."""

    @property
    def tokens(self) -> list[str]:
        """The distinct tokens, in the order of their ids in a new vocabulary."""
        names = (self.pad, self.unknown, self.start, self.end, self.mask)
        return list(dict.fromkeys(name for name in names if name is not None))

    def byte_level(self, *, add_prefix_space: bool = False) -> Tokenizer:
        """The family's byte-pair tokenizer, still without a vocabulary."""
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
    "llama": Family("<s>", "</s>", "<unk>"),
    "chatml": Family("<|im_start|>", "<|im_end|>", "<|endoftext|>", pad="<|im_end|>"),
    "siglip": Family(
        *("</s>", "</s>", "<unk>", "</s>"),
        around=lambda start, end, space: processors.TemplateProcessing(f"$A {end[0]}", special_tokens=[end]),
    ),
    "opt": Family(
        *("</s>", "</s>", "</s>", "<pad>"),
        around=lambda start, end, space: processors.TemplateProcessing(
            f"{start[0]} $A", special_tokens=[start]
        ),
        merges=True,
    ),
    "t5": Family(
        *("<pad>", "</s>", "<unk>", "<pad>"),
        around=lambda start, end, space: processors.TemplateProcessing(f"$A {end[0]}", special_tokens=[end]),
    ),
}


def family_of(tokens: Collection[str], *, merges: bool = False) -> Name | None:
    """The family whose special tokens are all among `tokens`; of several, the one with the most.

    With `merges`, one of those with `vocab.json` and `merges.txt`.

    >>> family_of(["<|endoftext|>", "a"]), family_of(["<|endoftext|>", "<|startoftext|>"]), family_of(["a"])
    ('gpt2', 'clip', None)
    """
    known = {name: family for name, family in FAMILIES.items() if family.merges or not merges}
    fitting = [name for name, family in known.items() if {*family.tokens} <= {*tokens}]
    return max(fitting, key=lambda name: len(FAMILIES[name].tokens), default=None)


def uncased(lowercase: bool = True, *, chinese: bool = True, strip_accents: bool | None = None) -> Tokenizer:
    """BERT's text rules: lower case, no accents, split at spaces and punctuation; without a vocabulary."""
    tokenizer = Tokenizer(models.WordPiece())
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def byte_level(*, add_prefix_space: bool = False) -> Tokenizer:
    """GPT-2's text rules: bytes, a space belongs to the word after it; without a vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def lower_byte_level() -> Tokenizer:
    """CLIP's text rules: lower-case bytes, no spaces, words end in `</w>`; without a vocabulary."""
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
    """Text unchanged, split at spaces, which are kept; without a vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def add_special_tokens(tokenizer: Tokenizer, name: Name, *, add_prefix_space: bool = False) -> None:
    """Make a family's tokens special; one that the vocabulary lacks is appended to it."""
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
