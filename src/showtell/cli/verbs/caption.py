"""`showtell caption`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from showtell.cli.input import Failures, paths
from showtell.cli.options import (
    DEFAULT_BEAM,
    DEFAULT_MAX_PIXELS,
    Beam,
    Consensus,
    Device,
    Images,
    Json,
    MaxPixels,
    Model,
    Precision,
    Seed,
)
from showtell.cli.output import print_json, print_text
from showtell.errors import UsageError
from showtell.wording import one_line

PANEL = "Images"


def caption(
    context: typer.Context,
    files: Images,
    model: Model = None,
    beam: Beam = DEFAULT_BEAM,
    consensus: Consensus = True,
    num: Annotated[
        int, typer.Option(min=1, max=1000, help="Captions per image; the beam is at least as wide.")
    ] = 1,
    sample: Annotated[
        Literal["nucleus"] | None, typer.Option(help="nucleus: sample captions instead of beam search.")
    ] = None,
    seed: Seed = 0,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = "auto",
    precision: Precision = "float32",
    json: Json = False,
) -> None:
    """Caption images, with the log-probability of each caption, and tags: the backbone's own classes.

    An image that is unlike the training images is said to be unfamiliar. A file that cannot be read is named
    on standard error; the others are still captioned, and the exit status is 1.
    """
    given = context.get_parameter_source("beam")
    if sample and given and given.name == "COMMANDLINE":
        raise UsageError(f"--beam is for beam search, and --sample {sample} takes its place; leave one out")
    from showtell.pipelines.caption import caption
    from showtell.pipelines.model import load_model

    failures = Failures()
    loaded = load_model(model, device, precision=precision)
    for image in caption(
        paths(files),
        loaded,
        beam=beam,
        consensus=consensus,
        num=num,
        sample=sample,
        seed=seed,
        max_pixels=max_pixels,
        skip=failures,
    ):
        if json:
            print_json(image)
            continue
        print_text(one_line(image.path))
        for one in image.captions:
            print_text(f"  {one.text}  ({one.logprob_per_token:.2f} per token)")
        if image.tags:
            print_text(f"  {', '.join(f'{tag.label} {tag.probability:.0%}' for tag in image.tags)}")
        if image.familiar is False:
            print_text("  unfamiliar: unlike the training images, so the captions may be wrong")
    failures.exit()
