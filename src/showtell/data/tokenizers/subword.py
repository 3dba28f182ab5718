"""A subword tokenizer, as of BERT, RoBERTa, GPT-2 and CLIP, on the `tokenizers` library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any

from tokenizers import Encoding, Tokenizer, models

from showtell.data.tokenizers import training
from showtell.data.tokenizers.chat import IMAGE, Message, answered_chat, render_chat
from showtell.data.tokenizers.families import FAMILIES, Name, family_of
from showtell.data.tokenizers.pieces import Pieces, pieces_of
from showtell.data.tokenizers.wellformed import wellformed


class SubwordTokenizer:
    """Text to ids and back. A special token spelled out in a text is plain text by default."""

    family: Name
    start: int
    end: int
    pad: int
    """The padding token; the end token in a family without one."""
    unknown: int | None
    """The token for text outside the vocabulary; None where bytes cover everything."""
    mask: int | None
    """The mask token; None in a family without one."""
    special: tuple[int, ...]
    """The ids of all special tokens, ascending."""
    prompt: str = ""
    """Put before each text."""
    lowercase: bool = False
    """Whether texts are lowercased, whatever the vocabulary."""
    chat_template: str = ""
    """How messages become one text, in Jinja; empty for a model that was not taught to answer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises `ValueError` if the special tokens are of no known family, or some text has no ids."""
        # Files from `transformers` may pad or truncate to the length of training.
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
        spelled = isinstance(tokenizer.model, models.Unigram) or getattr(tokenizer.model, "unk_token", None)
        self.unknown = named[family.unknown] if spelled else None
        self.special = tuple(sorted(named.values()))
        around = tokenizer.encode("").ids
        # A token that is start and end at once stands before a text, or after it.
        begins = around[:1] == tokenizer.encode("a").ids[:1] == [self.start]
        self._before = around[:1] if begins else []
        self._after = around[len(self._before) :]
        try:
            tokenizer.encode("ᚠ")  # a rune, which makes most vocabularies look up their unknown token
        except Exception as error:  # `tokenizers` raises nothing narrower
            raise ValueError(f"it cannot encode every text: {error}") from error

    @classmethod
    def train(
        cls, texts: Iterable[str], kind: training.Kind, vocab_size: int, family: Name | None = None
    ) -> SubwordTokenizer:
        """Train a vocabulary of at most `vocab_size` tokens, special ones included.

        The default family is `roberta` for `bpe`, and `bert` for the other kinds.

        >>> tokenizer = SubwordTokenizer.train(["low lower lowest"] * 2, "wordpiece", 30)
        >>> tokenizer.decode(tokenizer.encode("Lowest lower"))
        'lowest lower'
        """
        return cls(
            training.train(texts, kind, vocab_size, family or ("roberta" if kind == "bpe" else "bert"))
        )

    def reading(self, texts: Mapping[str, Any]) -> SubwordTokenizer:
        """The same, with the prompt of `default_prompt_name` before texts, lowercased by `do_lower_case`.

        Both as `sentence-transformers` has them; `pieces` are those of a text without its prompt. And with
        the `chat_template`. With `end_token`, that token ends a text in place of the family's. With
        `start_and_end`, every text stands between these tokens.

        Raises `ValueError` for an `end_token` that is not in the vocabulary.
        """
        copied = copy(self)
        copied.prompt = texts.get("prompts", {}).get(texts.get("default_prompt_name"), "")
        copied.lowercase = bool(texts.get("do_lower_case", False))
        copied.chat_template = texts.get("chat_template", "")
        if (end := texts.get("end_token")) is not None:
            copied.end = self.tokens.index(end)
        if texts.get("start_and_end"):
            copied._before, copied._after = [copied.start], [copied.end]
        return copied

    def to_json(self) -> str:
        """The text of a `tokenizer.json`, which `transformers` reads too."""
        return self._tokenizer.to_str(pretty=False)

    def __len__(self) -> int:
        """The number of ids: one more than the largest."""
        return len(self.tokens)

    @cached_property
    def tokens(self) -> list[str]:
        """The vocabulary in the order of ids; an empty string for an id without a token."""
        by_id = {i: token for token, i in self._tokenizer.get_vocab(with_added_tokens=True).items()}
        return [by_id.get(i, "") for i in range(max(by_id) + 1)]

    def unused(self, rows: int) -> list[int]:
        """The ids below `rows` that have no token: gaps of the vocabulary, and rows that pad an embedding."""
        return [i for i in range(rows) if i >= len(self.tokens) or not self.tokens[i]]

    def never_generated(self, rows: int) -> list[int]:
        """The ids below `rows` that no text holds: all that are special or unused, but the end."""
        return [i for i in (*self.special, *self.unused(rows)) if i != self.end]

    def encode(self, text: str, max_length: int | None = None, *, special: bool = False) -> list[int]:
        """Ids with the family's special tokens, truncated to `max_length` in all.

        With `special`, a special token spelled out in the text, such as [MASK], becomes that token.
        """
        tokenizer = self._reading_special if special else self._tokenizer
        ids = tokenizer.encode(self._prepared(text), add_special_tokens=False).ids
        return self.truncate([*self._before, *ids, *self._after], max_length)

    def encode_batch(self, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
        """`encode` for many texts, on all cores."""
        return [
            self.truncate([*self._before, *encoding.ids, *self._after], max_length)
            for encoding in self._encodings(texts)
        ]

    def truncate(self, ids: list[int], max_length: int | None) -> list[int]:
        """The ids of a whole text, truncated to `max_length` in all; special tokens stay.

        Raises `ValueError` for a `max_length` without room for the special tokens.
        """
        if max_length is None or len(ids) <= max_length:
            return ids
        if max_length < len(self._before) + len(self._after):
            raise ValueError(f"max_length {max_length} leaves no room for the special tokens")
        return [*ids[: max_length - len(self._after)], *self._after]

    def encode_chat(self, messages: Sequence[Message], image_id: int | None = None) -> list[int]:
        """Ids of messages, by the `chat_template`, up to where the answer begins.

        Each `<image>` becomes the `image_id` of a system that reads images. Raises `UserError` for messages
        that the template does not take.
        """
        text = render_chat(self.chat_template, messages, *self._chat_tokens(image_id))
        return self._chat_ids(text, image_id)

    def encode_answers(
        self, messages: Sequence[Message], image_id: int | None = None
    ) -> tuple[list[int], list[bool]]:
        """Ids of a conversation, as of `encode_chat`, and which of them the model writes.

        Those are the answers with the end token after each. Raises `UserError` as `answered_chat`.
        """
        ids: list[int] = []
        answers: list[bool] = []
        tokens, end = self._chat_tokens(image_id), self.tokens[self.end]
        for text, answered in answered_chat(self.chat_template, messages, *tokens, end):
            found = self._chat_ids(text, image_id)
            ids += found
            answers += [answered] * len(found)
        return ids, answers

    def _chat_tokens(self, image_id: int | None) -> tuple[dict[str, str], list[str]]:
        """The special tokens that a template may name, and all that no message may spell."""
        roles = {"bos_token": self.start, "eos_token": self.end, "pad_token": self.pad}
        names = {name: self.tokens[i] for name, i in roles.items()}
        special = [self.tokens[i] for i in self.special]
        return names, [token for token in special if image_id is None or token != IMAGE]

    def _chat_ids(self, text: str, image_id: int | None) -> list[int]:
        parts = [text] if image_id is None else text.split(IMAGE)
        ids: list[int] = []
        for number, part in enumerate(parts):
            found = self._reading_special.encode(wellformed(part), add_special_tokens=False).ids
            ids += [image_id, *found] if number and image_id is not None else found
        return ids

    @property
    def opening(self) -> list[int]:
        """The special tokens before a text; none in a family that begins with the text itself."""
        return list(self._before)

    def pieces(self, text: str) -> Pieces:
        """The tokens of a whole text, without special tokens."""
        return pieces_of(self._tokenizer.encode(wellformed(text), add_special_tokens=False))

    def pieces_batch(self, texts: Sequence[str]) -> Iterator[Pieces]:
        """`pieces` for many texts, on all cores."""
        return map(pieces_of, self._encodings(texts))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens, normalised as in training.

        Raises `ValueError` for an id outside the vocabulary.
        """
        if wrong := [int(i) for i in ids if not 0 <= i < len(self)]:
            raise ValueError(f"ids run from 0 to {len(self) - 1}, so {wrong[0]} is not one")
        text = self._tokenizer.decode([int(i) for i in ids if i not in self.special])
        suffix = getattr(self._tokenizer.model, "end_of_word_suffix", None)
        return text.replace(suffix, " ").strip() if suffix else text

    def _prepared(self, text: str) -> str:
        text = wellformed(self.prompt + text)
        return text.lower() if self.lowercase else text

    def _encodings(self, texts: Sequence[str]) -> list[Encoding]:
        prepared = [self._prepared(text) for text in texts]
        return self._tokenizer.encode_batch(prepared, add_special_tokens=False)

    @cached_property
    def _reading_special(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.to_json())
        tokenizer.encode_special_tokens = False
        return tokenizer
