"""`showtell train`: find the recipe, apply the settings, run it."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import Any, Protocol

from showtell.device import choose_device
from showtell.errors import UsageError
from showtell.runs.settings import apply

RECIPES = {
    "show_and_tell": "show_and_tell",
    "show_attend_and_tell": "show_attend_and_tell",
    "clip_b32": "clip",
    "clip_mini": "clip",
    "vse": "vse",
    "simclr": "simclr",
    "byol": "byol",
    "simsiam": "simsiam",
    "simmim": "simmim",
    "vit_base": "vit",
    "vit_mini": "vit",
    "bert_base": "bert",
    "bert_mini": "bert",
    "roberta_base": "roberta",
    "roberta_mini": "roberta",
    "gpt": "gpt",
    "gpt_mini": "gpt",
}
"""Every recipe and the module of `showtell.recipes` that has a function of that name: it takes the number of
items to learn from and returns a frozen dataclass that is a `Recipe`."""


class Data(Protocol):
    """What a recipe learns from, read and counted."""

    @property
    def num_training(self) -> int:
        """Items to learn from."""
        ...


class Recipe(Protocol):
    """A complete run as one value; its field `train` is the loop's configuration."""

    def read(self, data: Path, format: str | None) -> Any:
        """The `Data` of a folder or file. Raises `UserError` when there is none to learn from."""
        ...

    def run(self, name: str, data: Any, output: Path, *, resume: bool, device: str) -> dict[str, Any]:
        """Train; the checkpoint stands in `output/model`."""
        ...


def run(
    recipe: str,
    data: Path,
    output: Path,
    settings: list[str],
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    format: str | None = None,
) -> dict[str, Any]:
    """Train `recipe` on `data`; the checkpoint stands in `output/model`.

    `settings` are `field=value` pairs such as `train.steps=200`. Under `torchrun` all processes share the run
    and return the same. Raises `UsageError` for an unknown recipe, field or value.
    """
    if recipe not in RECIPES:
        near = difflib.get_close_matches(recipe, RECIPES, 1, 0.0)
        raise UsageError(
            f"no recipe is called {recipe!r}; did you mean {near[0]}? There are: {', '.join(RECIPES)}"
        )
    from showtell.train.distributed import first_first, from_first, joined
    from showtell.train.loop import require_output

    build = getattr(importlib.import_module(f"showtell.recipes.{RECIPES[recipe]}"), recipe)
    first: Recipe = apply(build(1), settings)  # a misspelt field is found before the data is read
    with joined(choose_device(device)) as own:
        from_first(lambda: require_output(output, resume))  # before minutes of reading
        found = first_first(lambda: first.read(data, format))
        chosen: Recipe = apply(build(found.num_training), [f"train.seed={seed}", *settings])
        return chosen.run(recipe, found, output, resume=resume, device=own)
