"""`showtell explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from showtell.cli.options import DEFAULT_MAX_PIXELS, Device, Json, MaxPixels, Model, Seed
from showtell.cli.output import print_json, print_text

PANEL = "Images"


def explain(
    image: Annotated[Path, typer.Argument(help="The image.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The PNG of the heat map, drawn over the image.")
    ],
    model: Model = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="A class, a word of the caption, another caption, or a text to compare the image with; "
            "default: what the model says of the image.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        Literal["gradients", "attention"],
        typer.Option(help="gradients: what the score depends on; attention: where the model looks."),
    ] = "gradients",
    baseline: Annotated[
        Literal["black", "mean", "blur"],
        typer.Option(
            help="What an image without content is. blur: the image blurred, so even areas get no heat; "
            "mean: its mean colour, whose pixels get none; black: dark pixels get none."
        ),
    ] = "blur",
    seed: Seed = 0,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Explain what a model says of an image: a heat map with its proof.

    Integrated gradients add up to the score's change from the baseline, but for the completeness error that
    is printed. The deletion area is the mean score while the hottest patches are removed one after the other:
    the lower it is than at random, the better the map. Works with every model that encodes images.
    """
    from showtell.pipelines.explanation import explain_image
    from showtell.pipelines.model import load_model

    found = explain_image(
        image,
        output,
        load_model(model, device),
        target=target,
        method=method,
        baseline=baseline,
        seed=seed,
        max_pixels=max_pixels,
    )
    if json:
        print_json(found)
        return
    without = f"{found.baseline_score:.4g} for the baseline ({found.baseline})"
    print_text(f"{found.explains} = {found.score:.4g}; {without}")
    if found.completeness_error is not None:
        print_text(f"completeness error {found.completeness_error:.2%} after {found.steps} steps")
    curves = found.deletion
    print_text(
        f"deletion area {curves.area:.4g}, at random {curves.random_area:.4g} "
        f"(standard deviation {curves.random_deviation:.2g}); lower is better"
    )
    print_text(found.output)
