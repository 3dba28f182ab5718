"""Read the tokenizer of a Hugging Face folder: `tokenizer.json`, or the older vocabulary files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models

from showtell.data.json import read_object
from showtell.data.tokenizers import families
from showtell.data.tokenizers.families import FAMILIES, family_of
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UserError


def tokenizer_of(folder: Path) -> SubwordTokenizer:
    """The tokenizer of a folder, equal to the one that `transformers` reads there.

    `tokenizer.json`; else `vocab.txt`, BERT's WordPiece; else `vocab.json` with `merges.txt`, byte pairs
    of the family whose special tokens they contain.

    Raises `UserError` with the name of a missing or damaged file.
    """
    if (file := folder / "tokenizer.json").is_file():
        tokenizer = load_tokenizer(_read(file), str(file))
        if not isinstance(tokenizer, SubwordTokenizer):
            raise UserError(f"{file} tokenizes into whole words; this needs a subword tokenizer")
        return tokenizer
    settings = read_object(file) if (file := folder / "tokenizer_config.json").is_file() else {}
    if (file := folder / "vocab.txt").is_file():
        return _built(file, lambda: _word_pieces(file, settings))
    if (file := folder / "vocab.json").is_file() and (merges := folder / "merges.txt").is_file():
        return _built(merges, lambda: _byte_pairs(file, merges, settings))
    raise UserError(
        f"{folder} holds no tokenizer (tokenizer.json, vocab.txt, or vocab.json with merges.txt); "
        "copy it from where the weights come from"
    )


def _word_pieces(file: Path, settings: dict[str, Any]) -> Tokenizer:
    tokenizer = families.uncased(
        lowercase=settings.get("do_lower_case", True),
        chinese=settings.get("tokenize_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),
    )
    lines = _read(file).removesuffix("\n").split("\n")
    vocab = {piece: i for i, piece in enumerate(lines)}
    tokenizer.model = models.WordPiece(vocab, unk_token=FAMILIES["bert"].unknown)
    families.add_special_tokens(tokenizer, "bert")
    return tokenizer


def _byte_pairs(file: Path, merges_file: Path, settings: dict[str, Any]) -> Tokenizer:
    vocab = read_object(file)
    merges: list[Any] = [tuple(line.split(" ")) for line in _read(merges_file).split("\n") if line]
    if merges and merges[0][0].startswith("#version"):
        del merges[0]
    name = family_of(vocab, merges=True) or "gpt2"
    family = FAMILIES[name]
    add_prefix_space = settings.get("add_prefix_space", False)
    tokenizer = family.byte_level(add_prefix_space=add_prefix_space)
    marked: dict[str, Any] = {}
    if family.word_end:
        marked = {"unk_token": family.unknown, "end_of_word_suffix": family.word_end}
    tokenizer.model = models.BPE(vocab, merges, **marked)
    families.add_special_tokens(tokenizer, name, add_prefix_space=add_prefix_space)
    return tokenizer


def _built(file: Path, build: Callable[[], Tokenizer]) -> SubwordTokenizer:
    try:
        return SubwordTokenizer(build())
    except UserError:
        raise
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise UserError(f"{file} is damaged: {error}") from error


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")  # any line ending becomes a newline
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8") from error
