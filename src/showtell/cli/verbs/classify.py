"""`showtell classify`."""

from __future__ import annotations

from typing import Annotated

import typer

from showtell.cli.input import Failures, lines, paths
from showtell.cli.options import DEFAULT_MAX_PIXELS, Device, Images, Json, MaxPixels, Model, Strict
from showtell.cli.output import print_json, print_text
from showtell.errors import UsageError
from showtell.wording import one_line

PANEL = "Images"
SHOWN = 9
"""Classes shown after the best one."""


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
    texts: Annotated[
        bool,
        typer.Option(
            "--texts", help="The arguments are texts, not files; a pair is two texts with a tab between them."
        ),
    ] = False,
    model: Model = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    strict: Strict = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Classify images, zero-shot by labels, or images and texts by the classes of the model.

    Labels work with a dual encoder such as CLIP and with a captioner: by default with the shipped dual
    encoder where its packages are here, else with the captioner. Trained classes work with an image
    classifier, such as one of `showtell train vit_mini`, and, with --texts, with one of texts, such as of
    `showtell train classify_bert`. A file that cannot be read is named on standard error; the others are
    still classified, and the exit status is 1.
    """
    from showtell.pipelines.classify import checked_labels, classify, default_model
    from showtell.pipelines.classify_texts import classify_texts
    from showtell.pipelines.model import load_model

    failures = Failures()
    chosen = None if labels is None else labels.split(",")
    if texts and (chosen is not None or template != "{}"):
        raise UsageError("--labels and --template are for images; with --texts the classes are the model's")
    if texts and not model:
        raise UsageError(
            "no model that classifies texts is shipped: name one with --model, or train one with "
            "`showtell train classify_bert --data TEXTS --output RUN`"
        )
    if chosen is not None:
        checked_labels(chosen, template)  # before seconds of loading
    loaded = load_model(model, device) if model else default_model(chosen, device)
    found = (
        classify_texts(lines(files), loaded, strict=strict)
        if texts
        else classify(
            paths(files),
            chosen,
            loaded,
            template=template,
            max_pixels=max_pixels,
            skip=failures,
            strict=strict,
        )
    )
    for one in found:
        if json:
            print_json(one)
        else:
            others = [f"{other.label} {other.probability:.2f}" for other in one.labels[1 : SHOWN + 1]]
            more = len(one.labels) - 1 - SHOWN
            others += [f"{more} more with --json"] if more > 0 else []
            print_text(f"{one_line(one.name)}: {one.label} {one.probability:.2f}  ({', '.join(others)})")
    failures.exit()
