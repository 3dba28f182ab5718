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
            "--data",
            "-d",
            help="Images: a folder or tar archive with a folder a class. Texts: a .jsonl or .tsv file with "
            "text (or sentence) and label, or a folder with train and test.",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint, the folder of a training run, or the name of a model in a package, such as "
            "all-MiniLM-L6-v2; without it, the shipped model.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            help="knn: the nearest labelled images vote. linear: one layer is trained on the vectors. "
            "finetune: the whole network is trained. Without it, knn; linear of texts.",
            show_default=False,
        ),
    ] = None,
    labels_per_class: Annotated[
        int | None, typer.Option(min=1, help="Learn from so many items of each class.", show_default=False)
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How often finetune reads each image.")] = 10,
    max_length: Annotated[
        int | None,
        typer.Option(help="Tokens of a text; without it, all that the model reads.", show_default=False),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure what a model's vectors know: learn classes from them, and count right answers on the rest.

    Of texts, beside what a bag of their words gives.
    """
    from showtell.evaluation.probe import probe
    from showtell.pipelines.offered import load_offered

    loaded = load_offered(model, device)
    with progress(f"reading {data}") as tell:
        found = probe(
            data,
            loaded,
            kind=kind.value if kind else None,
            labels_per_class=labels_per_class,
            epochs=epochs,
            max_length=max_length,
            seed=seed,
            progress=tell,
        )
    if json:
        emit(found)
        return
    table(["class", "accuracy"], list(found.classes.items()))
    others = ""
    if found.baseline is not None:
        others = f"by the last vector alone {found.pooled:.3f}, a bag of words {found.baseline:.3f}, "
    text(
        f"accuracy {found.accuracy:.3f} on {found.measured}, {others}chance {found.chance:.3f}; "
        f"{found.kind} with {found.learned} labels"
    )
