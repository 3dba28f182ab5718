"""Image towers: every backbone by name, for photographs and for images of 32 pixels."""

import pytest
import torch

from showtell.checkpoint.tensors import named_tensors
from showtell.errors import UsageError
from showtell.nn.towers import ImageTower

GRIDS = {  # tokens of a 64 px image after the ImageNet stem, of a 32 px one after the CIFAR stem, and width
    "resnet_mini": (4, 16, 256),
    "resnet18": (4, 16, 512),
    "vit_mini": (16, 64, 192),
    "efficientnet_lite0": (4, 4, 1280),
    "efficientnet_lite2": (4, 4, 1280),
}


@pytest.mark.parametrize("backbone", GRIDS)
def test_each_backbone_gives_a_grid_and_its_mean(backbone) -> None:
    torch.manual_seed(0)
    photographs, small, width = GRIDS[backbone]
    for stem, size, tokens in (("imagenet", 64, photographs), ("cifar", 32, small)):
        tower = ImageTower(backbone, stem).eval()
        pixels = torch.randint(256, (2, 3, size, size), dtype=torch.uint8)
        encoded = tower.encode(pixels)
        assert encoded.tokens.shape == (2, tokens, width)
        assert tower.width == width
        torch.testing.assert_close(encoded.pooled, encoded.tokens.mean(1))
        torch.testing.assert_close(tower(pixels / 255), encoded.pooled)


@pytest.mark.parametrize("backbone", GRIDS)
def test_the_gradient_reaches_every_parameter_of_a_backbone(backbone) -> None:
    torch.manual_seed(0)
    tower = ImageTower(backbone, "cifar")
    for module in tower.modules():  # a residual block starts as the identity
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    tower(torch.rand(4, 3, 32, 32)).square().sum().backward()
    assert [n for n, p in tower.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert not any("classifier" in name for name in named_tensors(tower))


def test_a_transformer_takes_images_of_other_sizes_and_shapes() -> None:
    tower = ImageTower("vit_mini", "imagenet").eval()
    assert tower.encode(torch.rand(1, 3, 70, 40)).tokens.shape == (1, 4 * 2, 192)


def test_an_unknown_backbone_is_named_with_all_that_are_there() -> None:
    with pytest.raises(UsageError, match=r"'resnet19'.*efficientnet_lite0.*resnet18.*vit_mini"):
        ImageTower("resnet19", "imagenet")
