"""What every run does around the loop: say what begins, and keep the best weights as a checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from showtell.checkpoint.save_load import save_checkpoint
from showtell.data.batch import Batch
from showtell.runs.settings import record
from showtell.train.config import TrainConfig
from showtell.train.loop import Monitor, train

Figures = Mapping[str, float]


class Trains(Protocol):
    """A recipe, as far as a run needs it; a frozen dataclass."""

    @property
    def train(self) -> TrainConfig:
        """How the loop goes."""


def fit(
    system: nn.Module,
    recipe: Trains,
    output: Path,
    *,
    name: str,
    data: Mapping[str, Any],
    about: str,
    load_batch: Callable[[int], Batch],
    card: Callable[[str, nn.Module, Mapping[str, Any], Figures], str],
    validate: Callable[[nn.Module], Figures] | None = None,
    monitor: Monitor | None = None,
    describe: Callable[[int], str] | None = None,
    tokenizer_json: str = "",
    preprocess: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    resume: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train a system by `train.loop.train`; write `output/model`; return what was reached.

    The checkpoint records `name`, the recipe's settings and what is said of the `data`, its `hash` at least;
    a resumed run must share them. `about` says in a few words what there is to learn from;
    `card(name, system, those facts, figures)` is the model card, given what `validate` returned;
    `preprocess` and `tokenizer_json` say how images and words reach the system.
    """
    settings = record(recipe)
    facts = {"recipe": name, "settings": settings, "data": data}
    figures: dict[str, float] = {}

    def measure(module: nn.Module) -> Figures:
        assert validate is not None
        figures.clear()
        figures.update(validate(module))
        return figures

    def finish(folder: Path) -> None:
        if validate and not figures:  # stopped before the first validation
            measure(system)
        save_checkpoint(
            folder,
            system,
            record={**facts, "validation": dict(figures)},
            tokenizer_json=tokenizer_json,
            preprocess=preprocess or {},
            card=card(name, system, facts, figures),
            dtype=dtype,
        )

    weights = sum(p.numel() for p in system.parameters()) / 1e6
    print(f"{name}: {about}, {weights:.1f} M weights", file=sys.stderr)
    # The loop knows its own settings: a resumption that differs in one names it once.
    others = {setting: value for setting, value in settings.items() if setting != "train"}
    trained = train(
        system,
        load_batch,
        recipe.train,
        output,
        finish=finish,
        validate=measure if validate else None,
        monitor=monitor,
        describe=describe,
        record={**facts, "settings": others},
        resume=resume,
        device=device,
    )
    chosen_by = {} if trained.best is None else {recipe.train.metric: trained.best}
    return {"model": str(output / "model"), "steps": trained.step, **chosen_by}
