"""`showtell generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from showtell.cli.options import Device, Json, OwnModel, Precision, Seed, Strict
from showtell.cli.output import print_json, print_note, print_text
from showtell.errors import UsageError

PANEL = "Texts"


def generate(
    prompt: Annotated[str, typer.Argument(metavar="TEXT", help="The text to continue.")],
    model: OwnModel = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="Answer TEXT, as a message; needs a model with a chat template.")
    ] = False,
    max_tokens: Annotated[int, typer.Option(min=1, help="How many tokens to add at most.")] = 40,
    sample: Annotated[
        Literal["nucleus"] | None, typer.Option(help="Sample each token instead of taking the most probable.")
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="A JSON schema that the answer keeps, whatever the model.", show_default=False),
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(help="An adapter of the model, as `showtell train tune` leaves it.", show_default=False),
    ] = None,
    seed: Seed = 0,
    strict: Strict = False,
    device: Device = "auto",
    precision: Precision = "float32",
    json: Json = False,
) -> None:
    """Continue a text, or answer it; with --schema by a JSON document that keeps a schema.

    A T5 reads the text whole and writes another.
    """
    from showtell.data.json import read_object
    from showtell.pipelines.generate import generate
    from showtell.pipelines.model import load_model
    from showtell.protocols import TextWriter

    if not prompt.strip():
        raise UsageError("the text to continue is empty; give its first words")
    if model is None:
        raise UsageError(
            "no language model is shipped: name one with --model (SmolLM2-135M-Instruct: `showtell models`), "
            "or train one with `showtell train gpt_mini --data TEXTS --output RUN`"
        )
    wanted = read_object(schema) if schema else None
    loaded = load_model(model, device, adapter=adapter, precision=precision)
    text = [{"role": "user", "content": prompt}] if chat else prompt
    continued = generate(text, loaded, max_tokens, sample=sample, seed=seed, strict=strict, schema=wanted)
    if schema and continued.finish == "length":
        print_note(
            f"the {max_tokens} tokens ended before the answer did: it was completed, and its end is made up"
        )
    elif chat and continued.finish == "length":
        print_note(f"the answer was cut after {max_tokens} tokens; --max-tokens gives it more")
    if continued.cut:
        print_note(f"too long for the model: the first {continued.cut} tokens of the text were not read")
    alone = chat or schema is not None or loaded.can(TextWriter)
    print_json(continued) if json else print_text(("" if alone else continued.text) + continued.completion)
