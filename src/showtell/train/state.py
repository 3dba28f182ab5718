"""All that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from showtell.errors import UsageError
from showtell.train.average import Average
from showtell.train.config import TrainConfig
from showtell.train.folder import read_json, replace_folder, standing, write_json
from showtell.train.optimiser import build_optimiser
from showtell.train.tensors import named_tensors, read_tensors, write_tensors

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
HARMLESS = ("train.prefetch", "train.watch_every", "train.checkpoint_every")


@dataclass
class Progress:
    """Where a run stands."""

    step: int = 0
    """Updates made."""
    validated: int = 0
    """The step of the last validation."""
    best: float | None = None
    """The best validation's deciding figure."""
    best_step: int = 0
    worse: int = 0
    """Validations since the best one."""


class TrainState:
    """A system, its optimiser, its moving average and its progress, to `state/` and back."""

    def __init__(self, system: nn.Module, config: TrainConfig, record: Mapping[str, Any]) -> None:
        self.system = system
        self.optimiser = build_optimiser(system, config)
        self.average = Average(system, config.ema) if config.ema else None
        self.progress = Progress()
        self.record = json.loads(json.dumps({**record, "train": asdict(config)}))

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name: `weights.*`, `exp_avg.*` and its like, `average.*`."""
        out = {f"weights.{n}": t for n, t in named_tensors(self.system).items()}
        for name, parameter in self.system.named_parameters():
            moments = self.optimiser.state.get(parameter, {})
            out |= {f"{kind}.{name}": tensor for kind, tensor in moments.items()}
        if self.average:
            out |= {f"average.{n}": t for n, t in self.average.tensors.items()}
        return out

    def save(self, folder: Path) -> None:
        """Replace `folder` by the present state."""

        def write(temporary: Path) -> None:
            write_tensors(temporary / "state.safetensors", self.tensors())
            moments = [n for n, p in self.system.named_parameters() if p in self.optimiser.state]
            write_json(
                temporary / "progress.json",
                {"progress": asdict(self.progress), "moments": moments, "record": self.record},
            )

        replace_folder(folder, write, marker="progress.json")

    def load(self, folder: Path) -> None:
        """Take up the state in `folder`.

        Raises `UsageError` naming each setting in which this run differs from that one, `UserError` for
        damaged files.
        """
        folder = standing(folder)
        saved = read_json(folder / "progress.json")
        then, now = (dict(_leaves(record)) for record in (saved["record"], self.record))
        differing = [
            f"{name} was {then.get(name)!r} and is now {now.get(name)!r}"
            for name in [*then, *(now.keys() - then.keys())]
            if then.get(name) != now.get(name) and not name.endswith(HARMLESS)
        ]
        if differing:
            raise UsageError(
                f"{folder.parent} holds another run: {'; '.join(differing)}. Resume it with its own "
                "settings, or choose another output folder."
            )
        for name, parameter in self.system.named_parameters():
            if name in saved["moments"]:
                self.optimiser.state[parameter] = {
                    kind: torch.zeros((), device=parameter.device)
                    if kind == "step"
                    else torch.zeros_like(parameter)
                    for kind in MOMENTS
                }
        read_tensors(folder / "state.safetensors", self.tensors())
        self.progress = Progress(**saved["progress"])


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of nested dictionaries by dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value
