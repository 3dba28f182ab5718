"""`showtell tokenizer train`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Json
from showtell.cli.output import print_json, print_note, print_text

PANEL = "Texts"


class Kind(StrEnum):
    """What a token is."""

    words = "words"
    chars = "chars"
    bpe = "bpe"
    wordpiece = "wordpiece"


class Family(StrEnum):
    """Whose special tokens."""

    bert = "bert"
    roberta = "roberta"
    gpt2 = "gpt2"
    clip = "clip"


def train(
    files: Annotated[
        list[Path], typer.Argument(help="Texts: .txt or .jsonl files, also .xz or .gz, or folders of them.")
    ],
    kind: Annotated[Kind, typer.Option(help="What a token is.")],
    vocab_size: Annotated[int, typer.Option(min=1, help="Tokens at most, special tokens included.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The tokenizer.json to write.")],
    family: Annotated[
        Family | None,
        typer.Option(
            help="Whose special tokens; default: roberta for bpe, bert for the others.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train a tokenizer on texts."""
    from showtell.pipelines.tokenizer import train_tokenizer

    made = train_tokenizer(
        files, output, kind=kind.value, vocab_size=vocab_size, family=family.value if family else None
    )
    if made.tokens < vocab_size:
        print_note(f"the texts have no more than {made.tokens} tokens of this kind, fewer than {vocab_size}")
    print_json(made) if json else print_text(made.tokenizer)
