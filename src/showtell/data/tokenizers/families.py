"""The special tokens of each family of models, and the text that comes before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

Name = Literal["bert", "roberta", "clip", "gpt2", "siglip"]

# What CLIP takes for a word: a special token, a contraction, letters, one digit, or the rest.
CLIP_WORD = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
END_OF_WORD = "</w>"


@dataclass(frozen=True)
class Family:
    """What a family calls its special tokens; one token may have several roles."""

    start: str
    end: str
    unknown: str
    pad: str | None = None
    mask: str | None = None

    @property
    def tokens(self) -> list[str]:
        """The distinct names, in the order of the ids that training gives them."""
        names = (self.pad, self.unknown, self.start, self.end, self.mask)
        return list(dict.fromkeys(name for name in names if name is not None))


# A vocabulary is of the first family whose names are all special in it: GPT-2's one is CLIP's too.
FAMILIES: dict[Name, Family] = {
    "bert": Family("[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"),
    "roberta": Family("<s>", "</s>", "<unk>", "<pad>", "<mask>"),
    "clip": Family("<|startoftext|>", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"),
    "gpt2": Family("<|endoftext|>", "<|endoftext|>", "<|endoftext|>"),
    "siglip": Family("</s>", "</s>", "<unk>", "</s>"),
}


def uncased(lowercase: bool = True, *, chinese: bool = True, strip_accents: bool | None = None) -> Tokenizer:
    """BERT's text: lower case, no accents, split at spaces and punctuation; no vocabulary yet."""
    tokenizer = Tokenizer(models.WordPiece())
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def byte_level(*, add_prefix_space: bool = False) -> Tokenizer:
    """GPT-2's text: bytes, a space belongs to the word after it; no vocabulary yet."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def lower_byte_level() -> Tokenizer:
    """CLIP's text: lower-case bytes, spaces dropped, a word's end marked `</w>`; no vocabulary yet."""
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
    """Give the family's tokens their roles.

    A text stands between start and end, GPT-2's between nothing, SigLIP's before its end. A name that the
    vocabulary lacks is added behind it.
    """
    family = FAMILIES[name]
    # RoBERTa's mask eats the space before it, as the word that it hides would have.
    tokenizer.add_special_tokens(
        [
            AddedToken(
                token, special=True, normalized=False, lstrip=name == "roberta" and token == family.mask
            )
            for token in family.tokens
        ]
    )
    ids = tokenizer.get_vocab(with_added_tokens=True)
    start, end = (family.start, ids[family.start]), (family.end, ids[family.end])
    if name == "bert":
        tokenizer.post_processor = processors.BertProcessing(end, start)
    elif name == "siglip":
        tokenizer.post_processor = processors.TemplateProcessing(f"$A {end[0]}", special_tokens=[end])
    elif name != "gpt2":
        tokenizer.post_processor = processors.RobertaProcessing(
            end, start, trim_offsets=name == "roberta", add_prefix_space=add_prefix_space
        )
