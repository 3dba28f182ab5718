"""`showtell read`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.input import Failures, paths
from showtell.cli.options import DEFAULT_MAX_PIXELS, Beam, Device, Images, Json, MaxPixels, OwnModel
from showtell.cli.output import print_json, print_note, print_text
from showtell.errors import UsageError
from showtell.wording import one_line

PANEL = "Images"


def read(
    files: Images,
    model: OwnModel = None,
    beam: Beam = 1,
    reconstruct: Annotated[
        Path | None,
        typer.Option(
            help="Write the image with its masked words painted back where the model points, by its own "
            "pixels if it learned to draw, else by the renderer; of several images, a folder.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a text longer than a page; do not divide it.")
    ] = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Read the text of images, and fill the words that are drawn as [MASK].

    A text longer than a page is divided between its lines. One that the model itself finds improbable, as of
    a photograph, is said to be unsure on standard error.
    A file that cannot be read is named there; the others are still read, and the exit status is 1.
    """
    from showtell.pipelines.model import load_model
    from showtell.pipelines.read import read
    from showtell.pipelines.reconstruct import reconstruct as painted

    if model is None:
        raise UsageError(
            "no model that reads is shipped: name one with --model, or train one with "
            "`showtell train vlp_mini --data TEXTS --output RUN`"
        )
    failures, written = Failures(), 0
    loaded = load_model(model, device)
    for image in read(paths(files), loaded, beam=beam, max_pixels=max_pixels, skip=failures, strict=strict):
        if json:
            print_json(image)
        else:
            masked = "".join(
                f"  [{token.text.strip()} {token.probability:.2f}]" for token in image.tokens if token.masked
            )
            print_text(f"{one_line(image.path)}\n  {image.text}{masked}")
        if reconstruct is not None:
            if reconstruct.suffix and written:
                raise UsageError(f"{reconstruct} holds one image; give --reconstruct a folder for several")
            back = painted(image, loaded, reconstruct, max_pixels)
            written += 1
            how = (
                f" (drawn in {back.font})"
                if back.font
                else " (the model's own pixels)"
                if back.masked
                else ""
            )
            print_note(f"{one_line(back.path)}: masked tokens painted back: {back.masked}{how}")
    failures.exit()
