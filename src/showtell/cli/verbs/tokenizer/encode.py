"""`showtell tokenizer encode`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli import input
from showtell.cli.options import Json, Strict
from showtell.cli.output import print_json, print_note, print_table
from showtell.errors import UsageError, UserError

PANEL = "Texts"


def encode(
    tokenizer: Annotated[
        Path, typer.Option("--tokenizer", "-t", help="A tokenizer.json, or the folder of a model.")
    ],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts, or - for one per line of standard input.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Cut longer texts to this many tokens.", show_default=False)
    ] = None,
    strict: Strict = False,
    json: Json = False,
) -> None:
    """Show the tokens of texts; exit status 1 if --strict refused one."""
    from showtell.pipelines.tokenizer import read_tokenizer, tokenize

    if not texts:
        raise UsageError("give texts, or - to read them from standard input")
    if strict and max_length is None:
        raise UsageError("--strict refuses texts longer than --max-length; give that too")
    loaded = read_tokenizer(tokenizer)
    failures, cut = input.Failures(), 0
    for text in input.texts(texts):
        try:
            encoded = tokenize(text, loaded, max_length, strict=strict)
        except UsageError:
            raise
        except UserError as error:
            failures(error)
            continue
        cut += encoded.cut > 0
        if json:
            print_json(encoded)
        else:
            spans = ["" if o is None else f"{o[0]}-{o[1]}" for o in encoded.offsets]
            print_table(["id", "token", "offset"], list(zip(encoded.ids, encoded.tokens, spans, strict=True)))
    if cut:
        print_note(f"longer than {max_length} tokens, and cut: {cut} of the texts")
    failures.exit()
