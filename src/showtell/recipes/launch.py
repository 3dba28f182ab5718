"""`showtell train`: recipes are found, listed and explained; one is run with its settings.

A recipe is a function in a module of this folder. Its name begins with the module's name: `clip_mini` is in
`clip.py`. It takes the number of training items and returns a `Run`. Its docstring says what it is in its
first line, and has a line `Paper: ...` and a line `Time: ...`.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from showtell import recipes
from showtell.device import choose_device
from showtell.errors import UsageError
from showtell.runs.execute import execute
from showtell.runs.finetuning import OWN
from showtell.runs.job import Run
from showtell.runs.settings import Setting, apply, record, settings_of
from showtell.train.distributed import first_first, from_first, joined
from showtell.train.loop import require_output
from showtell.train.precision import settle
from showtell.train.same_run import asked_for, given_settings, require_same_request
from showtell.wording import did_you_mean
from showtell.writing import check_writable

logger = logging.getLogger(__name__)

FEW, MANY = 1, 10**6
"""Numbers of training items between which a default varies, where it follows from the data."""


@dataclass(frozen=True)
class Recipe:
    """What a recipe says of itself."""

    name: str
    what: str
    trains_on: str
    paper: str
    time: str
    """How long it takes, and on what."""


def train_model(
    recipe: str,
    data: Path | str,
    output: Path | str,
    settings: Sequence[str] = (),
    resume: bool = False,
    seed: int | None = None,
    device: str = "auto",
    format: str | None = None,
    *,
    model: str | None = None,
    strict: bool = False,
) -> dict[str, Any]:
    """Train `recipe` on `data`; the checkpoint is in `output/model`. Returns what was reached.

    `settings` are `field=value` pairs such as `train.steps=200`. Under `torchrun` all processes share the run
    and return the same. `model` is the checkpoint that fine-tuning starts from; the seed is 0 if none is
    given. A resumed run keeps the settings that it was given: they need not be given again.
    Texts longer than the run reads are cut, counted and said, or with `strict` refused.

    Raises `UsageError` for an unknown recipe, field or value, `UserError` with `strict` for a text to cut.
    """
    build, data, output = find_recipe(recipe), Path(data), Path(output)
    if model is not None:
        if not any(setting.name == "model" for setting in settings_of(build(FEW))):
            raise UsageError(f"{recipe} fine-tunes no other model; leave out --model {model}")
        for name in (setting.partition("=")[0].strip() for setting in settings):
            if name.startswith("system.") and name.removeprefix("system.") not in OWN:
                raise UsageError(f"{name} is that of --model {model}; leave out --set {name}")
        settings = [f"model={model}", *settings]
    if seed is not None:
        settings = [*settings, f"train.seed={seed}"]
    with joined(choose_device(device)) as own:
        before = from_first(lambda: given_settings(output) if resume else [])
        settings = list({one.partition("=")[0].strip(): one for one in (*before, *settings)}.values())
        first = apply(build(1), settings)  # a misspelt field is found before the data is read
        few, many = (record(apply(build(count), settings)) for count in (FEW, MANY))
        asked = asked_for(few, many, recipe)
        from_first(lambda: _require_fit(output, resume, asked))  # before minutes of reading
        dataset = first_first(lambda: first.read(data, format))
        chosen = apply(build(dataset.num_training), settings)
        precision = settle(chosen.train.precision, own, output, resume)
        chosen = apply(chosen, [f"train.precision={precision}"])
        if chosen.train.warmup_steps >= chosen.train.steps:
            logger.warning(
                "the run ends within its warm-up of %d steps and learns little; for a trial: --set "
                "train.warmup_steps=%d",
                *(chosen.train.warmup_steps, chosen.train.steps // 10),
            )
        job = chosen.prepare(dataset, own)
        if strict and (cut := next((cuts for cuts in job.cuts if cuts.first), None)):
            cut.refuse()
        return execute(job, recipe, output, asked=asked, given=settings, resume=resume, device=own)


def _require_fit(output: Path, resume: bool, asked: Mapping[str, Any]) -> None:
    """Raises `UsageError` for an output folder, or a resumption, that does not fit, `UserError` for one that
    cannot be written.
    """
    if output.is_file():
        raise UsageError(f"{output} is a file; name a folder for the run")
    require_output(output, resume)
    if resume:
        require_same_request(output, asked)
    elif output.is_dir() and any(output.iterdir()):
        raise UsageError(f"{output} holds other files; choose another output folder")
    check_writable(output / "metrics.jsonl")


def find_recipe(name: str) -> Callable[[int], Run]:
    """The function of that name, in the module with the longest name that `name` begins with.

    Raises `UsageError` that names near recipes, if there are any, and what lists all.
    """
    modules = [module for module in _modules() if name == module or name.startswith(f"{module}_")]
    found = _recipes_of(max(modules, key=len)) if modules else {}
    if name in found:
        return found[name]
    known = [recipe for module in _modules() for recipe in _recipes_of(module)]
    raise UsageError(
        f"no recipe is called {name!r}; {did_you_mean(name, known)}`showtell train --list` lists all"
    )


def list_recipes() -> list[Recipe]:
    """What all recipes say of themselves."""
    return [_described(build) for module in _modules() for build in _recipes_of(module).values()]


def explain_recipe(name: str) -> list[Setting]:
    """Every setting of a recipe, with its default and its meaning.

    Raises `UsageError` for an unknown name.
    """
    build = find_recipe(name)
    few, many = settings_of(build(FEW)), settings_of(build(MANY))
    return [
        replace(small, varies=small.default != large.default) for small, large in zip(few, many, strict=True)
    ]


def _modules() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(recipes.__path__) if module.name != "launch")


def _recipes_of(module: str) -> dict[str, Callable[[int], Run]]:
    """The functions of a module that are named after it, in their order."""
    found = importlib.import_module(f"{recipes.__name__}.{module}")
    return {
        name: function
        for name, function in inspect.getmembers_static(found, inspect.isfunction)
        if function.__module__ == found.__name__ and (name == module or name.startswith(f"{module}_"))
    }


def _described(build: Callable[[int], Run]) -> Recipe:
    lines = (inspect.getdoc(build) or "").splitlines()
    said = {key: text.rstrip(".") for key, colon, text in (line.partition(": ") for line in lines) if colon}
    return Recipe(
        build.__name__,
        what=lines[0].rstrip(".") if lines else "",
        trains_on=get_type_hints(build)["return"].trains_on,
        paper=said.get("Paper", ""),
        time=said.get("Time", "not measured"),
    )
