"""Vocabularies of one's own texts: learn one, and see what it makes of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from showtell.data.tokenizers.families import Name
from showtell.data.tokenizers.folder import tokenizer_of
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.training import Kind
from showtell.data.tokenizers.words import WordTokenizer
from showtell.datasets.texts import read_documents
from showtell.errors import UsageError, UserError
from showtell.writing import write_file


@dataclass(frozen=True)
class Trained:
    """A vocabulary that was learned and saved."""

    tokenizer: Path
    kind: Kind
    family: Name
    tokens: int
    """Its size, special tokens included; less than asked for where the texts have no more."""


@dataclass(frozen=True)
class Encoded:
    """A text as a model reads it."""

    text: str
    ids: list[int]
    tokens: list[str]
    """As the vocabulary spells them."""
    offsets: list[tuple[int, int] | None]
    """First and past-the-last character of each token in the text; None for the special ones around it."""
    cut: int
    """How many tokens of the text's end were too many."""


def train(
    texts: Sequence[Path], output: Path, *, kind: Kind, vocab_size: int, family: Name | None = None
) -> Trained:
    """Learn a vocabulary from files and folders of texts and write it to `output`, a `tokenizer.json`.

    Raises `UserError` for what cannot be read, with file and line, and for texts without words.

    Example::

        train([Path("corpus.txt")], Path("tokenizer.json"), kind="wordpiece", vocab_size=8000)
    """
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file in it, such as {output / 'tokenizer.json'}")
    if not texts:
        raise UsageError("name the texts to learn from: files, or folders of them")
    tokenizer = SubwordTokenizer.train(read_documents(*texts), kind, vocab_size, family)
    write_file(output, tokenizer.to_json().encode())
    return Trained(output, kind, tokenizer.family, len(tokenizer))


def read_tokenizer(path: Path) -> SubwordTokenizer | WordTokenizer:
    """The tokenizer of a `tokenizer.json`, or of the folder of a checkpoint, a run, or Hugging Face's.

    Raises `UserError`, naming the file, for what is missing or damaged.
    """
    if path.is_dir():
        path = path / "model" if (path / "model").is_dir() else path
        if not (path / "tokenizer.json").is_file():
            return tokenizer_of(path)
        path = path / "tokenizer.json"
    try:
        return load_tokenizer(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no tokenizer.json: it is not UTF-8") from error


def encode(
    text: str,
    tokenizer: SubwordTokenizer | WordTokenizer,
    max_length: int | None = None,
    *,
    strict: bool = False,
) -> Encoded:
    """What a tokenizer makes of a text, special tokens around it, at most `max_length` tokens in all.

    A longer text is cut, or with `strict` refused by a `UserError`. Raises `UsageError` for a `max_length`
    without room for the special tokens.
    """
    around, pieces = tokenizer.encode(""), tokenizer.pieces(text)
    if max_length is not None and max_length < len(around):
        raise UsageError(f"max-length {max_length} has no room for the {len(around)} special tokens")
    room = len(pieces.ids) if max_length is None else max_length - len(around)
    cut = max(len(pieces.ids) - room, 0)
    if cut and strict:
        raise UserError(
            f"the text that begins with {text[:40]!r} has {len(pieces.ids) + len(around)} tokens, "
            f"more than {max_length}; shorten it"
        )
    before, after = around[: len(around) // 2], around[len(around) // 2 :]
    ids = [*before, *pieces.ids[:room], *after]
    names = tokenizer.words if isinstance(tokenizer, WordTokenizer) else tokenizer.tokens
    offsets = [*(None for _ in before), *pieces.offsets[:room], *(None for _ in after)]
    return Encoded(text, ids, [names[i] for i in ids], offsets, cut)
