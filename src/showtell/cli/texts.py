"""The verbs for texts: tokenizer train and encode, fill, complete."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from showtell.cli.options import Device, Json, Seed, Top
from showtell.cli.output import complain, emit, say, table, text
from showtell.errors import UsageError, UserError


class Kind(StrEnum):
    """What a token is."""

    words = "words"
    chars = "chars"
    bpe = "bpe"
    wordpiece = "wordpiece"


class Family(StrEnum):
    """Whose special tokens there are."""

    bert = "bert"
    roberta = "roberta"
    gpt2 = "gpt2"
    clip = "clip"


def train(
    files: Annotated[
        list[Path], typer.Argument(help="Texts: .txt or .jsonl files, also .xz or .gz, or folders of them.")
    ],
    kind: Annotated[Kind, typer.Option(help="What a token is.")],
    vocab_size: Annotated[int, typer.Option(min=1, help="How many tokens at most, special ones included.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, a tokenizer.json.")],
    family: Annotated[
        Family | None,
        typer.Option(
            help="Whose special tokens; without it, roberta for bpe and bert for the others.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Learn a vocabulary from one's own texts."""
    from showtell.pipelines import tokenizer

    made = tokenizer.train(
        files, output, kind=kind.value, vocab_size=vocab_size, family=family.value if family else None
    )
    if made.tokens < vocab_size:
        say(f"the texts have no more than {made.tokens} tokens of this kind, {vocab_size} were asked for")
    emit(made) if json else text(str(made.tokenizer))


def encode(
    tokenizer: Annotated[
        Path, typer.Option("--tokenizer", "-t", help="A tokenizer.json, or the folder of a model.")
    ],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; - reads them from standard input, one a line.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Cut longer texts to so many tokens.", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse longer texts instead.")] = False,
    json: Json = False,
) -> None:
    """Show the tokens that texts are to a model; exit status 1 if --strict refused one."""
    from showtell.pipelines.tokenizer import encode, read_tokenizer

    if not texts:
        raise UsageError("give texts, or - to read them from standard input")
    if strict and max_length is None:
        raise UsageError("--strict refuses texts longer than --max-length; give that too")
    loaded = read_tokenizer(tokenizer)
    cut = refused = 0
    for line in _from_stdin() if texts == ["-"] else texts:
        try:
            encoded = encode(line, loaded, max_length, strict=strict)
        except UsageError:
            raise
        except UserError as error:
            refused += 1
            complain(error)
            continue
        cut += encoded.cut > 0
        if json:
            emit(encoded)
        else:
            places = ["" if o is None else f"{o[0]}-{o[1]}" for o in encoded.offsets]
            table(["id", "token", "place"], list(zip(encoded.ids, encoded.tokens, places, strict=True)))
    if cut:
        say(f"longer than {max_length} tokens, and cut: {cut} of the texts")
    if refused:
        raise typer.Exit(1)


LanguageModel = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        envvar="SHOWTELL_MODEL",
        help="A language model: a checkpoint, or the folder of a training run.",
        show_default=False,
    ),
]


def fill(
    texts: Annotated[
        list[str], typer.Argument(help="Texts with [MASK] where a word is missing; - reads one a line.")
    ],
    model: LanguageModel = None,
    top: Top = 5,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a text that is too long.")] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Guess the words that are missing in texts; exit status 1 if a text could not be read."""
    from showtell.pipelines.fill_mask import fill
    from showtell.pipelines.model import load_model

    loaded = load_model(_language_model(model, "bert_mini"), device)
    failed = cut = unknown = 0
    for line in _from_stdin() if texts == ["-"] else texts:
        try:
            found = fill(line, loaded, top, strict=strict)
        except UsageError:
            raise
        except UserError as error:
            failed += 1
            complain(error)
            continue
        cut += found.cut > 0
        unknown += found.unknown
        if json:
            for guess in found.guesses:
                emit(guess)
        else:
            rows = [(guess.token, guess.probability, guess.text) for guess in found.guesses]
            table(["token", "probability", "text"], rows)
    if unknown:
        say(f"not known to the model: {unknown} pieces of the texts")
    if cut:
        say(f"longer than the {loaded.max_length} tokens the model reads, and cut: {cut} of the texts")
    if failed:
        raise typer.Exit(1)


def complete(
    beginning: Annotated[str, typer.Argument(metavar="TEXT", help="How the text begins.")],
    model: LanguageModel = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="How many tokens to add at most.")] = 40,
    sample: Annotated[
        Literal["nucleus"] | None, typer.Option(help="Draw each token instead of taking the likeliest.")
    ] = None,
    seed: Seed = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a text that is too long.")] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Go on with a text."""
    from showtell.pipelines.generate import complete
    from showtell.pipelines.model import load_model

    loaded = load_model(_language_model(model, "gpt_mini"), device)
    said = complete(beginning, loaded, max_tokens, sample=sample, seed=seed, strict=strict)
    if said.cut:
        say(f"too long for the model: the first {said.cut} tokens of the text were not read")
    emit(said) if json else text(said.text + said.completion)


def _language_model(model: Path | None, recipe: str) -> Path:
    if model is None:
        raise UsageError(
            "no language model is shipped: name one with --model, or make one with "
            f"`showtell train {recipe} --data TEXTS --output RUN`"
        )
    return model


def _from_stdin() -> Iterable[str]:
    """Lines as they come; an empty one is an empty text."""
    return (line.rstrip("\r\n") for line in sys.stdin)
