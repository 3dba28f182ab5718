"""`showtell probe`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Device, Json, Model, Seed, Strict
from showtell.cli.output import print_json, print_table, print_text

PANEL = "Training and evaluation"


class Kind(StrEnum):
    """Ways to classify by vectors."""

    knn = "knn"
    linear = "linear"
    finetune = "finetune"


def probe(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            "-d",
            help="Images: a folder or tar archive, one folder per class. Texts: a .jsonl or .tsv file with "
            "text (or sentence) and label, or a folder with train and test.",
        ),
    ],
    model: Model = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            help="knn: nearest neighbours. linear: a linear classifier on frozen vectors. finetune: train the"
            " whole network. Default: knn for images, linear for texts.",
            show_default=False,
        ),
    ] = None,
    labels_per_class: Annotated[
        int | None, typer.Option(min=1, help="Train on this many items per class only.", show_default=False)
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of finetune.")] = 10,
    max_length: Annotated[
        int | None,
        typer.Option(
            "--max-length",
            "--max-tokens",
            help="Tokens per text; default: as many as the model reads, for a model that reads pixels those "
            "of one page; more take several pages.",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    strict: Strict = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Evaluate a model's vectors by classification: train on labelled images or texts, test on held-out ones.

    Texts are also classified by a bag of words, for comparison.
    """
    from showtell.evaluation.probe import probe
    from showtell.pipelines.model import load_model

    report = probe(
        data,
        load_model(model, device),
        kind=kind.value if kind else None,
        labels_per_class=labels_per_class,
        epochs=epochs,
        max_length=max_length,
        seed=seed,
        strict=strict,
    )
    if json:
        return print_json({name: value for name, value in vars(report).items() if value is not None})
    print_table(["class", "accuracy"], list(report.classes.items()))
    others = ""
    if report.baseline is not None:
        others = f"pooled vector alone {report.pooled:.3f}, bag of words {report.baseline:.3f}, "
    return print_text(
        f"accuracy {report.accuracy:.3f} on {report.tested} tested, {others}chance {report.chance:.3f}; "
        f"{report.kind} trained on {report.trained}"
    )
