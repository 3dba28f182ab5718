"""All that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from showtell.checkpoint.folder import replace_folder, standing, write_json
from showtell.checkpoint.tensors import named_tensors, read_tensors, write_tensors
from showtell.data.json import read_object
from showtell.errors import UsageError
from showtell.nn.cpu.batch_norm import synchronise
from showtell.train.config import TrainConfig
from showtell.train.distributed import count, from_first, rank, same_weights
from showtell.train.ema import Average
from showtell.train.fsdp import divided, put, whole
from showtell.train.optimiser import MOMENTS, build_optimiser

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
    loss_scale: float = 2.0**16
    """What a loss is multiplied by before its gradients are computed in fp16, which has no small numbers."""
    sound: int = 0
    """Updates in fp16 since the scale was changed or a gradient overflowed."""


class TrainState:
    """A system, its optimiser, its moving average and its progress, to `state/` and back."""

    def __init__(
        self,
        system: nn.Module,
        config: TrainConfig,
        record: Mapping[str, Any],
        device: torch.device | str = "cpu",
    ) -> None:
        self.whole, self.config, self.device = system, config, torch.device(device)
        """`whole` is what validations and checkpoints see; that of a divided system waits on the CPU."""
        same_weights(system)
        synchronise(system)
        self.sharded = config.shard and count() > 1
        self.system = divided(system, self.device) if self.sharded else system.to(device)
        self.optimiser = build_optimiser(self.system, config)
        self.average = Average(self.system, config.ema) if config.ema else None
        self.progress = Progress()
        facts = {**record, "train": asdict(config), "processes": count()}
        self.record = json.loads(json.dumps(facts))

    @contextmanager
    def shown(self) -> Iterator[nn.Module]:
        """The whole system in evaluation mode, for validation and checkpoints, with the averaged weights."""
        self.system.eval()
        if self.sharded:
            averaged = self.average.tensors if self.average else {}
            target = named_tensors(self.whole.eval().to(self.device if rank() == 0 else "cpu"))
            for name, tensor in named_tensors(self.system).items():
                value = whole(averaged.get(name, tensor))
                if rank() == 0:
                    put(target[name], value)
            try:
                yield self.whole
            finally:
                self.whole.to("cpu")
        else:
            with self.average.worn() if self.average else nullcontext():
                yield self.system

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name: `weights.*`, `exp_avg.*` and its like, `average.*`."""
        out = {f"weights.{n}": t for n, t in named_tensors(self.system).items()}
        for name, parameter in self.system.named_parameters():
            out |= {f"{kind}.{name}": tensor for kind, tensor in self._moments(parameter).items()}
        if self.average:
            out |= {f"average.{n}": t for n, t in self.average.tensors.items()}
        return out

    def _moments(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """What the optimiser remembers of a parameter; SGD without momentum remembers None."""
        moments = self.optimiser.state.get(parameter, {})
        return {kind: tensor for kind, tensor in moments.items() if tensor is not None}

    def save(self, folder: Path) -> None:
        """Replace `folder` by the present state, all processes together."""
        tensors = {}
        for name, tensor in self.tensors().items():
            value = whole(tensor)
            if rank() == 0:
                tensors[name] = value.cpu() if self.sharded else value
        moments = [n for n, p in self.system.named_parameters() if self._moments(p)]

        def write(temporary: Path) -> None:
            write_tensors(temporary / "state.safetensors", tensors)
            write_json(
                temporary / "progress.json",
                {"progress": asdict(self.progress), "moments": moments, "record": self.record},
            )

        from_first(lambda: replace_folder(folder, write, marker="progress.json"))

    def load(self, folder: Path) -> None:
        """Take up the state in `folder`.

        Raises `UsageError` naming each setting in which this run differs from that one, `UserError` for
        damaged files.
        """
        folder = standing(folder)
        saved = read_object(folder / "progress.json")
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
                    for kind in MOMENTS[self.config.optimiser]
                }
        tensors = self.tensors()
        found = (
            {n: torch.empty(t.shape, dtype=t.dtype) for n, t in tensors.items()} if self.sharded else tensors
        )
        read_tensors(folder / "state.safetensors", found)
        if self.sharded:
            for name, tensor in tensors.items():
                put(tensor, found[name])
        self.progress = Progress(**saved["progress"])


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of nested dictionaries by dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value
