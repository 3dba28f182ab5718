"""A word tokenizer: lower case, no punctuation, a vocabulary of the training texts.

Scripts without spaces are read by character. A saved tokenizer keeps the rules that it was trained with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from showtell.data.tokenizers.pieces import Pieces, pieces_of
from showtell.data.tokenizers.scripts import UNSPACED, join_words
from showtell.data.tokenizers.wellformed import wellformed

PAD, START, END, UNKNOWN = "<pad>", "<start>", "<end>", "<unknown>"
SPECIAL = (PAD, START, END, UNKNOWN)
WORD = r"[\p{L}\p{N}](?:[\p{L}\p{N}]|[\p{Mn}\p{Mc}&&[^\x{FE00}-\x{FE0F}]])*"
"""Letters and digits with the marks on them; the marks that choose an emoji's style are none."""


class WordTokenizer:
    """Text to word ids and back.

    Ids 0 to 3 are padding, start, end and the unknown word; the other words follow by falling frequency.
    """

    pad, start, end, unknown = range(4)

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.encode_special_tokens = True  # "<end>" in a text is the word "end"
        self._tokenizer = tokenizer
        self.words = [
            w for w, _ in sorted(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda x: x[1])
        ]

    @classmethod
    def train(cls, texts: Iterable[str], max_words: int = 8000, min_count: int = 1) -> WordTokenizer:
        """Train the vocabulary, on the training split alone: a word of the test split must stay unknown.

        >>> WordTokenizer.train(["A dog runs.", "a DOG!"], min_count=2).words[4:]
        ['a', 'dog']
        >>> WordTokenizer.train(["一只黑猫"]).split("黑猫 and a dog")
        ['黑', '猫', 'and', 'a', 'dog']
        """
        tokenizer = Tokenizer(models.WordLevel({}, unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.Sequence(
            [
                normalizers.NFKC(),
                normalizers.Lowercase(),
                normalizers.Replace(Regex(r"(?<=\p{L})['’](?=\p{L})"), ""),
            ]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(WORD), "removed", invert=True),
                pre_tokenizers.Split(Regex(UNSPACED), "isolated"),
            ]
        )
        trainer = trainers.WordLevelTrainer(
            vocab_size=max_words + len(SPECIAL),
            min_frequency=min_count,
            special_tokens=list(SPECIAL),
            show_progress=False,
        )
        tokenizer.train_from_iterator(map(wellformed, texts), trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path | str) -> WordTokenizer:
        """Read a `tokenizer.json`."""
        return cls(Tokenizer.from_file(str(path)))

    def to_json(self) -> str:
        """The text of a `tokenizer.json`."""
        return self._tokenizer.to_str(pretty=False)

    def __len__(self) -> int:
        return len(self.words)

    def split(self, text: str) -> list[str]:
        """The words of a text, known or not.

        >>> WordTokenizer.train(["a"]).split("The dog's BALL.")
        ['the', 'dogs', 'ball']
        """
        normal = self._tokenizer.normalizer.normalize_str(wellformed(text))
        return [w for w, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(normal)]

    def id_of(self, word: str) -> int | None:
        """The id of one word, or None if it is not in the vocabulary."""
        words = self.split(word)
        return self._tokenizer.token_to_id(words[0]) if len(words) == 1 else None

    def encode(self, text: str, max_words: int | None = None) -> list[int]:
        """Ids of at most `max_words` words between start and end."""
        ids = [self.start, *self._tokenizer.encode(wellformed(text)).ids, self.end]
        return self.truncate(ids, max_words)

    def truncate(self, ids: list[int], max_words: int | None) -> list[int]:
        """The ids of a whole text, truncated to `max_words` between start and end."""
        if max_words is None or len(ids) <= max_words + 2:
            return ids
        return [*ids[: max_words + 1], self.end]

    def never_generated(self, rows: int) -> list[int]:
        """The ids that no text holds: all that are special, but the end, and those that pad `rows`."""
        return [self.pad, self.start, self.unknown, *range(len(self), rows)]

    def pieces(self, text: str) -> Pieces:
        """The words of a text and their positions in it."""
        return pieces_of(self._tokenizer.encode(wellformed(text)))

    def decode(self, ids: Sequence[int]) -> str:
        """The words up to the end token, without special tokens; no spaces in a script that has none."""
        out = []
        for i in ids:
            if i == self.end:
                break
            if i >= len(SPECIAL):
                out.append(self.words[i])
        return join_words(out)
