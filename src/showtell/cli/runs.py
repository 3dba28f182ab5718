"""The verbs for data and training: train, evaluate, data check."""

from __future__ import annotations

from os import environ
from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Device, Engine, Json, Seed
from showtell.cli.output import emit, pairs, progress, say, table, text
from showtell.wording import counted

Format = Annotated[
    str | None,
    typer.Option(
        "--format", help="How the captions are written; without it, recognised.", show_default=False
    ),
]
Data = Annotated[Path, typer.Option("--data", "-d", help="Images with captions: a folder or a caption file.")]


def train(
    recipe: Annotated[
        str, typer.Argument(help="Its name, such as show_and_tell or simsiam; a wrong one lists all.")
    ],
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the run.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change a setting, such as train.steps=200; repeat for more.", metavar="NAME=VALUE"
        ),
    ] = None,
    format: Format = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Train a recipe on one's own data.

    Ctrl-C saves the run and stops; --resume goes on to the very same result.
    """
    from showtell.recipes.launch import run

    reached = run(recipe, data, output, settings or [], resume, seed, device, format)
    if environ.get("RANK", "0") != "0":
        return  # under torchrun, one process says it
    if json:
        emit(reached)
    else:
        text(reached["model"])


def evaluate(
    data: Data,
    model: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint, or the folder of a training run; without it, the shipped model.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which images of the data.")] = "val",
    format: Format = None,
    engine: Annotated[
        list[Engine] | None,
        typer.Option(help="Measure this engine alone; repeat for more.", show_default=False),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="How many descriptions to search for.")] = 1000,
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses kept by beam search.")] = 5,
    words: Annotated[
        Path | None,
        typer.Option(
            help="A folder with questions-words.txt or wordsim353.tsv, to score words too.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure a captioner or a dual encoder: its captions, its searches, its words, as far as it has them."""
    from showtell.evaluation.evaluate import evaluate
    from showtell.pipelines.model import load_model

    loaded = load_model(model, device)
    with progress("evaluating") as tell:
        figures = evaluate(
            loaded,
            data,
            split,
            format=format,
            engines=engine,
            queries=queries,
            beam=beam,
            words=words,
            progress=lambda _, done, total: tell(done, total),
        )
    if json:
        emit(figures)
    else:
        table(["figure", "value"], [(name, _shown(value)) for name, value in pairs(figures)])


def check(
    folder: Annotated[Path, typer.Argument(help="Images with captions: a folder or a caption file.")],
    format: Format = None,
    json: Json = False,
) -> None:
    """Say what a data set holds, what is wrong, where, and how to mend it; exit status 1 if anything is."""
    from showtell.data.check import check

    with progress(f"checking {folder}") as tell:
        report = check(folder, format, progress=tell)
    splits = {name or "unnamed": count for name, count in report.splits.items()}
    if json:
        emit({**vars(report), "splits": splits})
    else:
        text(
            f"{report.path}: {report.format}, {counted(report.images, 'image')}, "
            f"{counted(report.captions, 'caption')}"
        )
        for count, images in report.captions_per_image.items():
            text(f"  {counted(images, 'image')} with {counted(count, 'caption')}")
        for name, images in splits.items():
            text(f"  {counted(images, 'image')} in the split {name}")
        for problem in report.problems:
            text(str(problem))
    if report.problems:
        say(counted(len(report.problems), "problem"))
        raise typer.Exit(1)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "\n".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
