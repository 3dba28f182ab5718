"""The verb that tells images apart by labels: classify."""

from __future__ import annotations

from typing import Annotated

import typer

from showtell.cli.images import lines
from showtell.cli.options import DEFAULT_MAX_PIXELS, Device, Json, MaxPixels, ModelPath
from showtell.cli.output import complain, emit, text


def classify(
    files: Annotated[
        list[str], typer.Argument(help="Images, folders of images, or - to read paths line by line.")
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            help='What to choose between, such as "a dog,a cat"; without it, the classes it was taught.',
            show_default=False,
        ),
    ] = None,
    template: Annotated[
        str, typer.Option(help='What is said with each label in place of {}, such as "a photo of {}".')
    ] = "{}",
    model: ModelPath = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Say which of some labels fits each image best, though none was trained.

    Any model that compares images with texts can, and any captioner. A model that was taught classes, as by
    `train vit_mini`, answers with those. A file that cannot be read is named on standard error; the others go
    on, and the exit status is 1.
    """
    from showtell.pipelines.classify import classify
    from showtell.pipelines.model import load_model

    failed: list[object] = []

    def skip(error: object) -> None:
        failed.append(error)
        complain(error)

    given = (path for name in files for path in (lines() if name == "-" else [name]))
    loaded = load_model(model, device)
    for image in classify(
        given,
        None if labels is None else labels.split(","),
        loaded,
        template=template,
        max_pixels=max_pixels,
        skip=skip,
    ):
        if json:
            emit(image)
        else:
            others = ", ".join(f"{one.label} {one.probability:.2f}" for one in image.labels[1:])
            text(f"{image.path}: {image.label} {image.probability:.2f}  ({others})")
    if failed:
        raise typer.Exit(1)
