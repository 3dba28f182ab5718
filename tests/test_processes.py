"""Two processes that share a run do what one does."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.errors import UsageError, UserError
from showtell.protocols import Step
from showtell.systems.clip import CLIP, CLIPConfig, TowerConfig
from showtell.train.config import TrainConfig
from showtell.train.loop import train
from showtell.train.signals import Interrupted
from toy import CONFIG, ITEMS, SAMPLER, Line, data, error, finish, load_batch
from together import Together

QUIET = replace(CONFIG, steps=6, ema=0.0, checkpoint_every=100, validate_every=0)


class Sure(Line):
    """Without noise, so that one process and two can agree; a queue sees what the batches held."""

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        assert batch.grid is not None
        out = self.linear(batch.grid[:, 0, :4])[:, 0]
        losses = {"fit": F.mse_loss(out, batch.grid[:, 0, 4]), "small": self.linear.weight.square().sum()}
        return Step(losses, {"seen": batch.grid[:, 0].detach()})

    def after_step(self, step: Step) -> None:
        self.updates += step.carry["seen"].sum()


class Words(Line):
    """A loss that is a mean over words, of which the parts have different numbers."""

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        assert batch.ids is not None
        assert batch.keep is not None
        values = F.one_hot(batch.ids[batch.keep], 4).float()
        fit = F.mse_loss(self.linear(values)[:, 0], values @ torch.tensor([1.0, -2.0, 0.5, 0.0]))
        small = self.linear.weight.square().sum()
        return Step({"fit": fit, "small": small}, {"one": torch.ones(1)}, {"fit": batch.keep.sum()})


class Normed(Line):
    """Batch norm, over parts of different sizes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norms = nn.ModuleList([nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False, momentum=None)])
        self.mix = nn.Linear(4, 4)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        assert batch.grid is not None
        inputs = self.norms[1](self.mix(self.norms[0](batch.grid[:, 0, :4])).tanh())
        fit = F.mse_loss(self.linear(inputs)[:, 0], batch.grid[:, 0, 4])
        return Step({"fit": fit, "small": self.linear.weight.square().sum()}, {"one": torch.ones(1)})


class Stack(Line):
    """What sharding must bear: blocks, a scalar, tied weights, a frozen part, a part that is not used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.blocks[2].weight = self.blocks[0].weight
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.idle = nn.Linear(3, 3)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        assert batch.grid is not None
        inputs = self.frozen(batch.grid[:, 0, :4])
        for block in self.blocks:
            inputs = inputs + self.scale * block(inputs).tanh()
        fit = F.mse_loss(self.linear(inputs)[:, 0], batch.grid[:, 0, 4])
        return Step({"fit": fit, "small": self.linear.weight.square().sum()}, {"one": torch.ones(1)})


class Sometimes(Sure):
    """A layer that only some parts of a batch go through."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rare, self.idle = nn.Linear(4, 1), nn.Linear(2, 2)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        step = super().forward(batch, generator)
        assert batch.grid is not None
        rows = batch.grid[batch.grid[:, 0, 0] > 0.3]
        extra = self.rare(rows[:, 0, :4]).square().sum() / len(batch) if len(rows) else 0.0
        return Step({**step.losses, "fit": step.losses["fit"] + extra}, step.carry)


def texts(index: int) -> Batch:
    draw = torch.Generator().manual_seed(index)
    lengths = torch.randint(1, 7, (5,), generator=draw)
    return Batch(
        ids=torch.randint(0, 4, (5, 7), generator=draw), keep=torch.arange(7)[None] < lengths[:, None]
    )


def large(index: int) -> Batch:
    return Batch(grid=data()[[*SAMPLER(2 * index), *SAMPLER(2 * index + 1), 3]])


CLIP_CONFIG = CLIPConfig(
    TowerConfig(8, 2, 16, 1), TowerConfig(8, 2, 16, 1), 8, 4, vocab_size=12, max_length=5, width=6
)


class Pairs(CLIP):
    """CLIP on the toy's terms."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(CLIP_CONFIG)


def pairs(index: int) -> Batch:
    """Five pictures with one, two or no texts."""
    draw = torch.Generator().manual_seed(index)
    owner = torch.tensor([0, 0, 1, 3, 4])
    return Batch(
        pixels=torch.randint(0, 256, (5, 3, 8, 8), generator=draw, dtype=torch.uint8),
        ids=torch.randint(0, 12, (5, 5), generator=draw),
        keep=torch.arange(5)[None] < torch.tensor([2, 5, 3, 1, 4])[:, None],
        owner=owner,
    )


@pytest.fixture(scope="module")
def together() -> Iterator[Together]:
    processes = Together()
    yield processes
    processes.close()


def run(
    output: Path,
    system: type[nn.Module],
    load: Callable[[int], Batch] = load_batch,
    config: TrainConfig = QUIET,
    **options: Any,
) -> dict[str, Tensor]:
    """Train; what this process's system then holds, whole."""
    made = system()
    options = {"validate": error if isinstance(made, Line) else None, **options}
    train(made, load, config, output, finish=finish(made), **options)
    return {name: tensor.clone() for name, tensor in made.state_dict().items()}


def logged(output: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "items_per_second"} for line in lines]


def same_run(one: Path, two: Path) -> None:
    """States, kept weights and logs agree to float32."""
    a, b = (load_file(output / "state" / "state.safetensors") for output in (one, two))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-6)
    a, b = (load_file(output / "model" / "weights.safetensors") for output in (one, two))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-6)
    for line, other in zip(logged(one), logged(two), strict=True):
        assert line.keys() == other.keys()
        for figure in line.keys() & {"loss", "losses", "gradient_norm", "validation"}:
            assert line[figure] == pytest.approx(other[figure], rel=1e-4)


@pytest.mark.parametrize(
    ("system", "load", "changes"),
    [
        (Sure, load_batch, {}),
        (Sure, load_batch, {"accumulate": 3, "ema": 0.9, "validate_every": 2}),
        (Sure, load_batch, {"optimiser": "lars", "learning_rate": 30.0}),
        (Words, texts, {"batch_size": 5}),
        (Normed, large, {"batch_size": 7, "learning_rate": 0.01}),
        (Sometimes, load_batch, {"optimiser": "sgd"}),
        (Pairs, pairs, {"batch_size": 5, "learning_rate": 1e-3, "metric": "loss"}),
        (Pairs, pairs, {"batch_size": 5, "learning_rate": 1e-3, "chunk_size": 2}),
        (Stack, load_batch, {"shard": True, "ema": 0.5, "validate_every": 2}),
        (Stack, load_batch, {"shard": True, "optimiser": "lars", "accumulate": 2}),
        (Stack, load_batch, {"shard": True, "optimiser": "sgd"}),
    ],
    ids=lambda value: getattr(value, "__name__", None) or ",".join(value) or "plain",
)
def test_two_processes_do_what_one_does(
    tmp_path: Path,
    together: Together,
    system: type[nn.Module],
    load: Callable[[int], Batch],
    changes: dict[str, Any],
) -> None:
    config = replace(QUIET, **changes)
    run(tmp_path / "one", system, load, config)
    first, second = together(tmp_path, run, tmp_path / "two", system, load, config)
    same_run(tmp_path / "one", tmp_path / "two")
    if not config.shard:
        assert all(torch.equal(first[name], second[name]) for name in first)
