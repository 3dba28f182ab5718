"""ResNets have the paper's shapes; `tests/systems/test_resnet.py` compares them with the reference."""

import pytest
import torch

from showtell.nn.backbones.resnet import SHAPES, ConvNorm, ResNet, ResNetShape

TINY = {
    "basic": ResNetShape((1, 2), (8, 12), bottleneck=False, stem_width=8),
    "bottleneck": ResNetShape((2, 1, 1), (16, 24, 32), bottleneck=True, stem_width=8),
}


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)]
)
def test_sizes_are_the_papers(name, parameters) -> None:
    with torch.device("meta"):
        net = ResNet(SHAPES[name])
    classifier = net.width * 1000 + 1000
    assert sum(p.numel() for p in net.parameters()) + classifier == parameters


def test_the_stems_keep_what_they_should() -> None:
    pixels = torch.zeros(1, 3, 32, 32)
    assert ResNet(TINY["bottleneck"], "cifar")(pixels).shape == (1, 64, 32)
    assert ResNet(TINY["bottleneck"], "imagenet")(pixels).shape == (1, 4, 32)
    assert ResNet(SHAPES["resnet18"], "cifar")(pixels).shape == (1, 16, 512)


def test_a_block_begins_as_the_identity() -> None:
    net = ResNet(TINY["basic"], "cifar")
    grid = torch.rand(2, 8, 5, 5)
    assert torch.equal(net.stages[0][0](grid), grid)
    assert isinstance(net.stages[1][0].shortcut, ConvNorm)
