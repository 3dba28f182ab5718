"""A linear system for the tests of the training loop."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from showtell.checkpoint.tensors import named_tensors, write_tensors
from showtell.data.batch import Batch, ImageBatch
from showtell.data.sampler import Sampler
from showtell.protocols import Step
from showtell.train.config import TrainConfig

ITEMS = 20
SAMPLER = Sampler(ITEMS, 3, seed=7)
CONFIG = TrainConfig(
    steps=30,
    batch_size=3,
    learning_rate=0.05,
    warmup_steps=3,
    validate_every=7,
    checkpoint_every=5,
    metric="error",
    ema=0.9,
)


class Line(nn.Module):
    """One linear layer, with dropout, noise and a counter so that every kind of state matters."""

    def __init__(self) -> None:
        super().__init__()
        self.loss_weights = {"fit": 1.0, "small": 0.01}
        self.linear = nn.Linear(4, 1)
        self.register_buffer("updates", torch.zeros(()))
        with torch.no_grad():
            for p in self.parameters():
                p.fill_(0.1)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        noise = torch.randn(batch.images.features[:, 0, :4].shape, generator=generator) * 0.01
        inputs = F.dropout(batch.images.features[:, 0, :4], 0.1, self.training)
        out = self.linear(inputs + noise)[:, 0] + 0.001 * self.updates
        fit = F.mse_loss(out, batch.images.features[:, 0, 4])
        return Step({"fit": fit, "small": self.linear.weight.square().sum()}, carry={"one": torch.ones(1)})

    def after_step(self, step: Step) -> None:
        self.updates += step.carry["one"].mean()


def data() -> torch.Tensor:
    grid = torch.randn(ITEMS, 1, 5, generator=torch.Generator().manual_seed(0))
    grid[:, 0, 4] = grid[:, 0, :4] @ torch.tensor([1.0, -2.0, 0.5, 0.0])
    return grid


def load_batch(index: int) -> Batch:
    return Batch(ImageBatch(features=data()[SAMPLER(index)]))


@torch.no_grad()
def error(system: nn.Module) -> dict[str, float]:
    torch.rand(3)  # random numbers of a validation must not affect training
    grid = data()
    out = system.linear(grid[:, 0, :4])[:, 0]
    return {"error": float(F.mse_loss(out, grid[:, 0, 4])), "other": 0.0}


def finish(system: nn.Module):
    """Writes the current parameters, as a run does."""

    def write(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / "weights.safetensors", named_tensors(system))

    return write


def kept(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model" / "weights.safetensors")
