"""The verb that asks what a model's vectors know: probe."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Device, Json, Seed
from showtell.cli.output import emit, progress, table, text


class Kind(StrEnum):
    """The ways to learn classes from vectors."""

    knn = "knn"
    linear = "linear"
    finetune = "finetune"


def probe(
    data: Annotated[
        Path,
        typer.Option(
            "--data", "-d", help="Labelled pictures: a folder or tar archive with a folder a class."
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint, or the folder of a training run; without it, the shipped model.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        Kind,
        typer.Option(
            help="knn: the nearest labelled pictures vote. linear: one layer is trained on the vectors. "
            "finetune: the whole network is trained."
        ),
    ] = Kind.knn,
    labels_per_class: Annotated[
        int | None, typer.Option(min=1, help="Learn from so many pictures of each class.", show_default=False)
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How often finetune reads each picture.")] = 10,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure what a model's vectors know: learn classes from them, and count right answers on the rest."""
    from showtell.recipes.model import load_model
    from showtell.recipes.probe import probe

    loaded = load_model(model, device)
    with progress(f"reading {data}") as tell:
        found = probe(
            data,
            loaded,
            kind=kind.value,
            labels_per_class=labels_per_class,
            epochs=epochs,
            seed=seed,
            progress=tell,
        )
    if json:
        emit(found)
        return
    table(["class", "accuracy"], list(found.classes.items()))
    text(
        f"accuracy {found.accuracy:.3f} on {found.measured} pictures, chance {found.chance:.3f}; "
        f"{kind.value} with {found.learned} labels"
    )
