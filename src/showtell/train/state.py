"""The state of a run: all it needs to resume as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from showtell.checkpoint.frozen import Frozen
from showtell.checkpoint.tensors import named_tensors, read_tensors, write_tensors
from showtell.data.json import read_object
from showtell.nn.cpu.batch_norm import synchronise
from showtell.train.config import TrainConfig
from showtell.train.distributed import count, from_first, rank, same_weights
from showtell.train.ema import Average
from showtell.train.fsdp import full, put, shard
from showtell.train.optimiser import MOMENTS, build_optimiser
from showtell.train.same_run import require_same_run
from showtell.writing import replace_folder, standing, write_json


@dataclass
class Progress:
    """The progress of a run."""

    step: int = 0
    """Updates so far."""
    validated: int = 0
    """The step of the last validation."""
    best: float | None = None
    """The deciding figure of the best validation."""
    best_step: int = 0
    worse: int = 0
    """Validations since the best one."""
    loss_scale: float = 2.0**16
    """The factor of the loss in fp16, whose range would lose small gradients."""
    sound: int = 0
    """Updates in fp16 since the scale changed or a gradient overflowed."""


class TrainState:
    """A system, its optimiser, its moving average and its progress, saved to `state/` and loaded from it."""

    def __init__(
        self,
        system: nn.Module,
        config: TrainConfig,
        record: Mapping[str, Any],
        device: torch.device | str = "cpu",
        frozen: Sequence[Frozen] = (),
    ) -> None:
        self.whole, self.config, self.device = system, config, torch.device(device)
        """`whole` is what validations and checkpoints see; that of a sharded system is kept on the CPU."""
        same_weights(system)
        synchronise(system)
        self.sharded = config.shard and count() > 1
        self.system = shard(system, self.device) if self.sharded else system.to(device)
        self.optimiser = build_optimiser(self.system, config)
        self.average = Average(self.system, config.ema) if config.ema else None
        self.progress = Progress()
        self.frozen = [part.prefix for part in frozen]
        if trained := [
            n for n, p in system.named_parameters() if p.requires_grad and n.startswith(tuple(self.frozen))
        ]:
            raise ValueError(f"parameters of a frozen part require gradients: {', '.join(trained)}")
        facts = {**record, "train": asdict(config), "processes": count()}
        facts |= {"frozen": {part.prefix: f"{part.source} {part.hash}" for part in frozen}} if frozen else {}
        self.record = json.loads(json.dumps(facts))

    @contextmanager
    def shown(self) -> Iterator[nn.Module]:
        """The whole system in evaluation mode, with averaged parameters, for validation and checkpoints."""
        self.system.eval()
        if self.sharded:
            averaged = self.average.tensors if self.average else {}
            target = named_tensors(self.whole.eval().to(self.device if rank() == 0 else "cpu"))
            for name, tensor in named_tensors(self.system).items():
                value = full(averaged.get(name, tensor))
                if rank() == 0:
                    put(target[name], value)
            try:
                yield self.whole
            finally:
                self.whole.to("cpu")
        else:
            with self.average.applied() if self.average else nullcontext():
                yield self.system

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name: `weights.*`, moments such as `exp_avg.*`, `average.*`.

        Frozen parts are left out: they are read from their sources.
        """
        out = {f"weights.{n}": t for n, t in named_tensors(self.system, without=self.frozen).items()}
        for name, parameter in self.system.named_parameters():
            out |= {f"{kind}.{name}": tensor for kind, tensor in self._moments(parameter).items()}
        if self.average:
            out |= {f"average.{n}": t for n, t in self.average.tensors.items()}
        return out

    def _moments(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """The optimiser's state of a parameter; SGD without momentum has None."""
        moments = self.optimiser.state.get(parameter, {})
        return {kind: tensor for kind, tensor in moments.items() if tensor is not None}

    def save(self, folder: Path) -> None:
        """Replace `folder` by the current state. All processes call this."""
        tensors = {}
        for name, tensor in self.tensors().items():
            value = full(tensor)
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
        """Load the state in `folder`.

        Raises `UsageError` naming each setting in which the two runs differ, `UserError` for damaged files.
        """
        folder = standing(folder)
        saved = read_object(folder / "progress.json")
        require_same_run(folder.parent, saved, self.record, self.config)
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
