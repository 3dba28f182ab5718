"""Tokenizers: train one on texts, and see the tokens of a text."""

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
from showtell.datasets.texts import training_documents
from showtell.errors import UsageError, UserError
from showtell.writing import write_file


@dataclass(frozen=True)
class TrainedTokenizer:
    """A tokenizer that was trained and saved."""

    tokenizer: Path
    kind: Kind
    family: Name
    tokens: int
    """Size of the vocabulary, special tokens included; smaller than requested for too few texts."""


@dataclass(frozen=True)
class TokenizedText:
    """A text as tokens."""

    text: str
    ids: list[int]
    tokens: list[str]
    """As spelled in the vocabulary."""
    offsets: list[tuple[int, int] | None]
    """First and past-the-last character of each token in the text; None for special tokens."""
    cut: int
    """Tokens cut from the end of the text."""


def train_tokenizer(
    texts: Sequence[Path], output: Path, *, kind: Kind, vocab_size: int, family: Name | None = None
) -> TrainedTokenizer:
    """Train a tokenizer on files and folders of texts and write it to `output`, a `tokenizer.json`.

    Of a folder whose files, or of a file whose records, name splits only `train` is read, which is said.

    Raises `UserError` with file and line for texts that cannot be read, and for texts without words.

    Example::

        train_tokenizer([Path("corpus.txt")], Path("tokenizer.json"), kind="wordpiece", vocab_size=8000)
    """
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file in it, such as {output / 'tokenizer.json'}")
    if not texts:
        raise UsageError("name the texts to train on: files, or folders of them")
    tokenizer = SubwordTokenizer.train(training_documents(*texts), kind, vocab_size, family)
    write_file(output, tokenizer.to_json().encode())
    return TrainedTokenizer(output, kind, tokenizer.family, len(tokenizer))


def read_tokenizer(path: Path) -> SubwordTokenizer | WordTokenizer:
    """The tokenizer of a `tokenizer.json`, or of the folder of a checkpoint, a run, or Hugging Face's.

    Raises `UserError` that names the file that is missing or damaged.
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
        raise UserError(f"{path} is not a tokenizer.json: it is not UTF-8") from error


def tokenize(
    text: str,
    tokenizer: SubwordTokenizer | WordTokenizer,
    max_length: int | None = None,
    *,
    strict: bool = False,
) -> TokenizedText:
    """The tokens of a text with special tokens around them, at most `max_length` in all.

    A longer text is cut, or with `strict` refused with a `UserError`. Raises `UsageError` for a `max_length`
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
    return TokenizedText(text, ids, [names[i] for i in ids], offsets, cut)
