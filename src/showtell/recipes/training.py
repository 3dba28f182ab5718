"""`showtell train`: find the recipe, apply the settings, run it."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import Any

from showtell.errors import UsageError
from showtell.recipes import captioning
from showtell.recipes.settings import apply
from showtell.recipes.splits import divide

RECIPES = ("show_and_tell", "show_attend_and_tell")


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
    """Train `recipe` on the pictures and captions of `data`; the checkpoint stands in `output/model`.

    `settings` are `field=value` pairs such as `train.steps=200`. Raises `UsageError` for an unknown
    recipe, field or value.
    """
    if recipe not in RECIPES:
        near = difflib.get_close_matches(recipe, RECIPES, 1, 0.0)
        raise UsageError(
            f"no recipe is called {recipe!r}; did you mean {near[0]}? There are: {', '.join(RECIPES)}"
        )
    device = choose_device(device)
    build = getattr(importlib.import_module(f"showtell.recipes.{recipe}"), recipe)
    apply(build(1), settings)  # a misspelt field is found before the data is read
    entries = captioning.read_entries(data, format)
    num_pictures = len(divide(entries).get("train", []))
    chosen = apply(build(num_pictures), [f"train.seed={seed}", *settings])
    return captioning.run(chosen, recipe, entries, output, resume=resume, device=device)


def choose_device(device: str) -> str:
    """`auto` takes a GPU where there is one."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device} cannot be used here; give cpu, cuda or auto") from error
    return device
