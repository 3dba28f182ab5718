"""A training step of SimCLR, BYOL and SimSiam against plain transcriptions of lightly's examples.

    python benchmarks/siamese_step.py [--batch 128] [--rounds 5] [--threads 2]

ResNet-18 with the CIFAR stem on views of 32 pixels: forward, backward, optimiser, and the teacher of BYOL.
The examples are written as in lightly's documentation, each view through the net on its own, over a ResNet as
torchvision builds it (neither can be installed beside a CPU build of torch). Ours runs with each view's own
batch-norm statistics, as the examples do, and with both views in one pass (`joint_statistics`). CPU time, all
alternately; ratios are those of the medians. The share is that of the faster way's operations, convolutions
and products, in a float32 product of 2048 x 2048 by the faster of torch's two libraries.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from peak import peak
from showtell.data.batch import Batch, ImageBatch
from showtell.protocols import HasAfterStep
from showtell.runtime import prepare_process
from showtell.systems.byol import BYOL, BYOLConfig
from showtell.systems.simclr import SimCLR, SimCLRConfig
from showtell.systems.simsiam import SimSiam, SimSiamConfig
from table import command, table
from turns import turns

CLASSES = {
    "simclr": (SimCLR, SimCLRConfig("resnet18", "cifar", 512, 128, 0.5)),
    "byol": (BYOL, BYOLConfig("resnet18", "cifar", 1024, 256)),
    "simsiam": (SimSiam, SimSiamConfig("resnet18", "cifar", 2048, 2, 512)),
}


class BasicBlock(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        """`[B C H W]` to `[B C' H/s W/s]`."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)), inplace=True)


def backbone() -> nn.Module:
    """ResNet-18 for 32 pixels, averaged."""
    blocks, planes = [], 64
    for width, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        blocks.append(BasicBlock(planes, width, stride))
        planes = width
    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def head(*widths: int) -> nn.Module:
    """Two linear layers with batch norm and ReLU between them."""
    first, hidden, last = widths
    layers = [nn.Linear(first, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(hidden, last))


def negative_cosine(x0: Tensor, x1: Tensor) -> Tensor:
    """The loss of two of lightly's examples."""
    return -F.cosine_similarity(x0, x1, -1, 1e-8).mean()


class Plain(nn.Module):
    """One of lightly's examples."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.net = name, backbone()
        if name == "simclr":
            self.projection = nn.Sequential(*head(512, 512, 128), nn.BatchNorm1d(128))
        elif name == "byol":
            self.projection, self.prediction = head(512, 1024, 256), head(256, 1024, 256)
            self.slow_net, self.slow_projection = copy.deepcopy(self.net), copy.deepcopy(self.projection)
            for p in [*self.slow_net.parameters(), *self.slow_projection.parameters()]:
                p.requires_grad = False
        else:
            self.projection = nn.Sequential(*head(512, 2048, 2048), nn.BatchNorm1d(2048))
            self.prediction = head(2048, 512, 2048)

    def loss(self, x0: Tensor, x1: Tensor) -> Tensor:
        """The loss of two views."""
        if self.name == "simclr":
            z0, z1 = (F.normalize(self.projection(self.net(x)), dim=1) for x in (x0, x1))
            return nt_xent(z0, z1, 0.5)
        if self.name == "byol":
            self.update_slow()
            p0, p1 = (self.prediction(self.projection(self.net(x))) for x in (x0, x1))
            with torch.no_grad():
                z0, z1 = (self.slow_projection(self.slow_net(x)).detach() for x in (x0, x1))
            return 0.5 * (negative_cosine(p0, z1) + negative_cosine(p1, z0))
        z0, z1 = self.projection(self.net(x0)), self.projection(self.net(x1))
        p0, p1 = self.prediction(z0), self.prediction(z1)
        return 0.5 * (negative_cosine(z0.detach(), p1) + negative_cosine(z1.detach(), p0))

    def update_slow(self) -> None:
        """Move the teacher, parameter by parameter."""
        pairs = ((self.net, self.slow_net), (self.projection, self.slow_projection))
        for fast, slow in pairs:
            for p, q in zip(fast.parameters(), slow.parameters(), strict=True):
                q.data = q.data * 0.99 + p.data * 0.01


def nt_xent(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Four products, without the diagonals of two."""
    count = len(z0)
    off = ~torch.eye(count, dtype=torch.bool)
    same0, same1 = ((z @ z.T / temperature)[off].view(count, -1) for z in (z0, z1))
    across = z0 @ z1.T / temperature
    logits = torch.cat([torch.cat([across, same0], 1), torch.cat([across.T, same1], 1)])
    return F.cross_entropy(logits, torch.arange(count).repeat(2))


def ours(name: str, joint: bool) -> Callable[[Tensor], None]:
    """A step of the package's system."""
    cls, config = CLASSES[name]
    system = cls(type(config)(**{**vars(config), "joint_statistics": joint}))
    optimiser = torch.optim.SGD([p for p in system.parameters() if p.requires_grad], 0.06, momentum=0.9)

    def step(views: Tensor) -> None:
        outcome = system(Batch(ImageBatch(views=views)))
        optimiser.zero_grad()
        sum(outcome.losses.values()).backward()
        optimiser.step()
        if isinstance(system, HasAfterStep):
            system.after_step(outcome)

    return step


def plain(name: str) -> Callable[[Tensor], None]:
    """A step of the example."""
    system = Plain(name)
    optimiser = torch.optim.SGD([p for p in system.parameters() if p.requires_grad], 0.06, momentum=0.9)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    def step(views: Tensor) -> None:
        # The examples' transforms normalise; here both sides do it in the step.
        x0, x1 = (views - mean.view(3, 1, 1)) / std.view(3, 1, 1)
        loss = system.loss(x0, x1)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def side(name: str, kind: str, batch: int) -> Callable[[], None]:
    """A step of one side on the same views."""
    torch.manual_seed(0)
    if kind != "plain":
        prepare_process()
    step = plain(name) if kind == "plain" else ours(name, kind == "joint")
    views = torch.rand(2, batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return lambda: step(views)


def operations(name: str, batch: int, counted: int = 4) -> float:
    """Floating-point operations of our step, in proportion to those of a few images."""
    with FlopCounterMode(display=False) as counter:
        ours(name, joint=False)(torch.rand(2, counted, 3, 32, 32))
    return counter.get_total_flops() * batch / counted


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    rows = []
    torch.set_num_threads(options.threads)
    for name in CLASSES:
        makers = {kind: partial(side, name, kind, options.batch) for kind in ("plain", "each", "joint")}
        with turns(makers, time.process_time) as sides:
            sides.take()  # the first warms up
            products, times = [], []
            for _ in range(options.rounds):
                products.append(peak(time.process_time))
                times.append(sides.take())
        peer, each, joint = (statistics.median(one[kind] for one in times) for kind in makers)
        share = operations(name, options.batch) / min(each, joint) / statistics.median(products)
        ratios = [f"{peer / each:.2f}", f"{peer / joint:.2f}", f"{share:.0%}"]
        rows.append([name, f"{1000 * peer:.0f}", *ratios])
    command()
    names = ["each view alone", "both in one pass", "share of the best product"]
    table(["method", "example, CPU ms per step", *names], rows)


if __name__ == "__main__":
    main()
