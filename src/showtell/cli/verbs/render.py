"""`showtell render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from showtell.cli.options import Json, Seed
from showtell.cli.output import print_json, print_text
from showtell.errors import UsageError, UserError
from showtell.wording import counted

PANEL = "Texts"


def render(
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG; several for a long text.")],
    text: Annotated[str | None, typer.Argument(help="The text to draw.", show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the text from a file.", show_default=False)
    ] = None,
    font: Annotated[
        str | None,
        typer.Option(
            help="Name of a font, its file, or a folder to sample from; default: all fonts.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        Literal["small", "medium", "large"] | None,
        typer.Option(help="For 50, 100 or 144 tokens; default: what holds the text.", show_default=False),
    ] = None,
    align: Annotated[
        Literal["left", "right", "centre", "up", "down"] | None,
        typer.Option(help="Where the text lies; default: sampled.", show_default=False),
    ] = None,
    invert: Annotated[bool, typer.Option("--invert", help="White on black.")] = False,
    mask: Annotated[float, typer.Option(min=0, max=1, help="Share of the words to draw as [MASK].")] = 0.0,
    side: Annotated[int, typer.Option(min=16, max=8192, help="Width and height, in pixels.")] = 512,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a text too long for one image.")] = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw a text as an image, as models that read pixels are given it; a long one as several."""
    from showtell.data.texts.files import read_whole
    from showtell.pipelines.render import render

    if (text is None) == (file is None):
        raise UsageError("give either a text or --file with one")
    given = read_whole(file) if file else text or ""
    if file and not given.strip():
        raise UserError(f"{file} holds no text")
    for drawn in render(
        given,
        output,
        font=font,
        size=size,
        align=align,
        inverted=invert,
        mask=mask,
        seed=seed,
        side=side,
        strict=strict,
    ):
        if json:
            print_json(drawn)
            continue
        masked = sum(token.masked for token in drawn.tokens)
        print_text(f"{drawn.path}: {counted(len(drawn.tokens), 'token')}, {masked} masked, {drawn.font}")
