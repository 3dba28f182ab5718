"""Pieces of words as tokens: what BERT, RoBERTa, GPT-2 and CLIP read, on the `tokenizers` library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from tokenizers import Encoding, Tokenizer

from showtell.data.tokenizers import training
from showtell.data.tokenizers.families import FAMILIES, Name, family_of
from showtell.data.tokenizers.pieces import Pieces, pieces_of
from showtell.data.tokenizers.wellformed import wellformed


class SubwordTokenizer:
    """Text to ids and back. Special tokens spelt out in a text are text, unless asked otherwise."""

    family: Name
    start: int
    end: int
    pad: int
    """What fills a row where `keep` is False; the end where the family has no token of its own for it."""
    unknown: int | None
    """What stands for text that the vocabulary lacks; None where bytes can spell everything."""
    mask: int | None
    """What hides a word; None where the family hides none."""
    special: tuple[int, ...]
    """Ids of all special tokens, ascending."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises `ValueError` where the special tokens are of no known family, or a text has no ids."""
        # What files of the reference library carry: rows padded or cut to the length of their training.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        named = {t.content: i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special}
        found = family_of(named)
        if found is None:
            raise ValueError(
                f"its special tokens ({', '.join(named) or 'none'}) are not those of {', '.join(FAMILIES)}"
            )
        family = FAMILIES[found]
        self.family = found
        self.start, self.end = named[family.start], named[family.end]
        self.pad = self.end if family.pad is None else named[family.pad]
        self.mask = None if family.mask is None else named[family.mask]
        self.unknown = named[family.unknown] if getattr(tokenizer.model, "unk_token", None) else None
        self.special = tuple(sorted(named.values()))
        around = tokenizer.encode("").ids
        self._before = around[:1] if around[:1] == [self.start] and len(around) > 1 else []
        self._after = around[len(self._before) :]
        try:
            tokenizer.encode("ᚠ")  # a rune: in a vocabulary without it, the unknown token is looked up
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(f"a text may have no ids: {error}") from error

    @classmethod
    def train(
        cls, texts: Iterable[str], kind: training.Kind, vocab_size: int, family: Name | None = None
    ) -> SubwordTokenizer:
        """Learn a vocabulary of at most `vocab_size` tokens, special ones included, from training texts.

        Without a family, `bpe` has RoBERTa's special tokens and the other kinds BERT's.

        >>> tokenizer = SubwordTokenizer.train(["low lower lowest"] * 2, "wordpiece", 30)
        >>> tokenizer.decode(tokenizer.encode("Lowest lower"))
        'lowest lower'
        """
        return cls(
            training.train(texts, kind, vocab_size, family or ("roberta" if kind == "bpe" else "bert"))
        )

    def to_json(self) -> str:
        """What `load_tokenizer` and the reference library read."""
        return self._tokenizer.to_str(pretty=False)

    def __len__(self) -> int:
        """How many ids there are: one more than the largest."""
        return len(self.tokens)

    @cached_property
    def tokens(self) -> list[str]:
        """The vocabulary in the order of the ids; an id without a token is an empty text."""
        by_id = {i: token for token, i in self._tokenizer.get_vocab(with_added_tokens=True).items()}
        return [by_id.get(i, "") for i in range(max(by_id) + 1)]

    def encode(self, text: str, max_length: int | None = None, *, special: bool = False) -> list[int]:
        """Ids with the family's special tokens around, at most `max_length` in all: longer texts are cut.

        With `special`, a special token that is spelt out in the text, such as [MASK], is that token.
        """
        tokenizer = self._reading_special if special else self._tokenizer
        return self._cut(tokenizer.encode(wellformed(text), add_special_tokens=False).ids, max_length)

    def encode_batch(self, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
        """`encode` of many texts, on all cores."""
        return [self._cut(encoding.ids, max_length) for encoding in self._encodings(texts)]

    def pieces(self, text: str) -> Pieces:
        """The pieces of a text, whole."""
        return pieces_of(self._tokenizer.encode(wellformed(text), add_special_tokens=False))

    def pieces_batch(self, texts: Sequence[str]) -> Iterator[Pieces]:
        """`pieces` of many texts, on all cores."""
        return map(pieces_of, self._encodings(texts))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens: words as the normaliser left them.

        Raises `ValueError` for an id outside the vocabulary.
        """
        if wrong := [int(i) for i in ids if not 0 <= i < len(self)]:
            raise ValueError(f"ids run from 0 to {len(self) - 1}: {wrong[0]} is none of them")
        text = self._tokenizer.decode([int(i) for i in ids if i not in self.special])
        suffix = getattr(self._tokenizer.model, "end_of_word_suffix", None)
        return text.replace(suffix, " ").strip() if suffix else text

    def _cut(self, ids: list[int], max_length: int | None) -> list[int]:
        if max_length is None:
            return [*self._before, *ids, *self._after]
        room = max_length - len(self._before) - len(self._after)
        if room < 0:
            raise ValueError(f"max_length {max_length} has no room for the special tokens around a text")
        return [*self._before, *ids[:room], *self._after]

    def _encodings(self, texts: Sequence[str]) -> list[Encoding]:
        return self._tokenizer.encode_batch([wellformed(text) for text in texts], add_special_tokens=False)

    @cached_property
    def _reading_special(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.to_json())
        tokenizer.encode_special_tokens = False
        return tokenizer
