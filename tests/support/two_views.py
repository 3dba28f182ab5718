"""Very small images and networks for the tests of SimCLR, BYOL and SimSiam."""

import torch
from torch import nn

from showtell.data.batch import Batch, ImageBatch
from showtell.nn.backbones.resnet import SHAPES, ResNetShape
from showtell.systems.byol import BYOL, BYOLConfig
from showtell.systems.simclr import SimCLR, SimCLRConfig
from showtell.systems.simsiam import SimSiam, SimSiamConfig

SHAPES["tiny"] = ResNetShape((1, 1), (16, 32), bottleneck=False, stem_width=16)
STEPS = 200
SMALL = {
    "simclr": (SimCLR, SimCLRConfig("tiny", "cifar", 32, 16, temperature=0.5)),
    "byol": (BYOL, BYOLConfig("tiny", "cifar", 32, 16, total_steps=STEPS, momentum=0.9)),
    "simsiam": (SimSiam, SimSiamConfig("tiny", "cifar", 32, 2, 8)),
}


def build(name: str, seed: int = 0, **changes) -> nn.Module:
    torch.manual_seed(seed)
    cls, config = SMALL[name]
    return cls(type(config)(**{**vars(config), **changes}))


def images(count: int = 32, size: int = 12, seed: int = 0) -> torch.Tensor:
    """`uint8 [count 3 size size]`: a coloured stripe each, of its own colour, width and direction."""
    generator = torch.Generator().manual_seed(seed)
    colour, ground = torch.rand(2, count, 3, 1, 1, generator=generator)
    angle, pace, phase = torch.rand(3, count, 1, 1, generator=generator)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    along = x * torch.cos(3.14 * angle) + y * torch.sin(3.14 * angle)
    stripe = (torch.sin(along * (0.4 + pace) + 6.28 * phase) > 0)[:, None]
    return (torch.where(stripe, colour, ground) * 255).to(torch.uint8)


def load_batch(index: int, count: int = 32) -> Batch:
    """Batch `index` of a stream without end, a function of `index` alone: shifted, mirrored, noisy views."""
    pixels = images(count, seed=index % 16)
    generator = torch.Generator().manual_seed(index)
    views = []
    for _ in range(2):
        flip = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
        view = torch.where(flip, pixels.flip(-1), pixels) / 255
        view = view * (0.6 + 0.4 * torch.rand(count, 3, 1, 1, generator=generator))
        views.append((view + 0.05 * torch.randn(view.shape, generator=generator)).clamp(0, 1))
    return Batch(ImageBatch(pixels=pixels, views=torch.stack(views)))
