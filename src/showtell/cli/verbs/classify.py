"""`showtell classify`."""

from __future__ import annotations

from typing import Annotated

import typer

from showtell.cli.input import Failures, paths
from showtell.cli.options import DEFAULT_MAX_PIXELS, Device, Images, Json, MaxPixels, Model, Strict
from showtell.cli.output import print_json, print_text

PANEL = "Images"


def classify(
    files: Images,
    labels: Annotated[
        str | None,
        typer.Option(
            help='Labels to choose from, such as "a dog,a cat"; default: the classes of the model.',
            show_default=False,
        ),
    ] = None,
    template: Annotated[
        str, typer.Option(help='Text around each label, which replaces {}: "a photo of {}".')
    ] = "{}",
    model: Model = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    strict: Strict = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Classify images, zero-shot by labels or by the classes that the model was trained on.

    Labels work with a dual encoder such as CLIP and with a captioner; trained classes with an image
    classifier, such as one of `showtell train vit_mini`. A file that cannot be read is named on standard
    error; the others are still classified, and the exit status is 1.
    """
    from showtell.pipelines.classify import classify
    from showtell.pipelines.model import load_model

    failures = Failures()
    chosen = None if labels is None else labels.split(",")
    loaded = load_model(model, device)
    for image in classify(
        paths(files),
        chosen,
        loaded,
        template=template,
        max_pixels=max_pixels,
        skip=failures,
        strict=strict,
    ):
        if json:
            print_json(image)
        else:
            others = ", ".join(f"{one.label} {one.probability:.2f}" for one in image.labels[1:])
            print_text(f"{image.path}: {image.label} {image.probability:.2f}  ({others})")
    failures.exit()
