"""`showtell train`."""

from __future__ import annotations

from os import environ
from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Device, Format, Json, Strict
from showtell.cli.output import print_json, print_table, print_text
from showtell.errors import UsageError

PANEL = "Training and evaluation"


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(help="Its name, such as show_and_tell or simsiam.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="A folder or file of what it trains on.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder of the run.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="The checkpoint that fine-tuning starts from; default: from scratch.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change a setting, such as train.steps=200; repeat for more.", metavar="NAME=VALUE"
        ),
    ] = None,
    format: Format = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue where the run stopped, with its settings.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Random seed; default: 0, or that of the resumed run.", show_default=False),
    ] = None,
    strict: Strict = False,
    precision: Annotated[
        str | None,
        typer.Option(
            help="The setting train.precision: float32, bf16, fp16, or auto, which is bf16 where it is "
            "faster.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    listed: Annotated[
        bool, typer.Option("--list", help="List the recipes: what they train on, paper and time.")
    ] = False,
    shown: Annotated[
        bool, typer.Option("--show", help="Show every setting of the recipe: default and meaning.")
    ] = False,
    json: Json = False,
) -> None:
    """Train a recipe on your own data.

    Ctrl-C saves the run and stops; --resume continues with the run's settings to exactly the same result.
    """
    if listed:
        return _list(json)
    if recipe is None:
        raise UsageError("name a recipe; `showtell train --list` lists all")
    if shown:
        return _show(recipe, json)
    from showtell.recipes.launch import find_recipe, train_model

    if data is None or output is None:
        find_recipe(recipe)  # raises for an unknown one
        missing = [name for name, given in (("--data", data), ("--output", output)) if given is None]
        raise UsageError(f"train {recipe} needs {' and '.join(missing)}")
    if precision:
        settings = [f"train.precision={precision}", *(settings or [])]
    reached = train_model(
        recipe, data, output, settings or [], resume, seed, device, format, model=model, strict=strict
    )
    if environ.get("RANK", "0") == "0":  # under torchrun, one process prints
        print_json(reached) if json else print_text(reached["model"])
    return None


def _list(json: bool) -> None:
    from showtell.recipes.launch import list_recipes

    found = list_recipes()
    if json:
        for one in found:
            print_json(one)
    else:
        rows = [(r.name, r.trains_on, r.what, r.paper, r.time) for r in found]
        print_table(["recipe", "trains on", "what", "paper", "time"], rows)


def _show(recipe: str, json: bool) -> None:
    from showtell.recipes.launch import explain_recipe

    found = explain_recipe(recipe)
    if json:
        for one in found:
            print_json(one)
    else:
        rows = [(s.name, _default(s.default, s.varies), s.expects, s.meaning) for s in found]
        print_table(["setting", "default", "expects", "meaning"], rows)


def _default(value: object, varies: bool) -> str:
    """A default as `--set` would take it."""
    if varies:
        return "by the data"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
