"""Backbones for images of text: the grid they give, row by row, and patches without a network."""

import pytest
import torch

from showtell.errors import UsageError
from showtell.nn.backbones.patches import cut
from showtell.nn.patch_embedding import PatchEmbedding
from showtell.nn.towers import ImageTower


@pytest.mark.parametrize(
    ("backbone", "stem", "grid", "width"),
    [
        ("text_cnn_mini", "imagenet", (3, 9), 192),
        ("text_cnn", "imagenet", (3, 9), 512),
        ("patches_16x8", "imagenet", (3, 9), 384),
        ("patches_16", "imagenet", (3, 5), 768),
        ("resnet_mini", "imagenet", (2, 3), 256),
        ("resnet_mini", "cifar", (6, 9), 256),
        ("efficientnet_lite0", "imagenet", (2, 3), 1280),
    ],
)
@torch.no_grad()
def test_the_grid_has_a_cell_per_stride(backbone, stem, grid, width) -> None:
    tower = ImageTower(backbone, stem).eval()
    tokens = tower.grid(torch.rand(2, 3, 48, 72))
    assert tokens.shape == (2, grid[0] * grid[1], width)
    assert tuple(-(-side // step) for side, step in zip((48, 72), tower.stride, strict=True)) == grid


@torch.no_grad()
def test_a_cell_sees_its_own_place() -> None:
    tower = ImageTower("text_cnn_mini", "imagenet").eval()
    pixels = torch.zeros(1, 3, 128, 256)
    changed = pixels.clone()
    changed[:, :, 64:80, 128:136] = 1
    moved = (tower.grid(pixels) != tower.grid(changed)).any(2).view(8, 32)
    rows, columns = moved.nonzero().unbind(1)
    assert rows.double().mean().item() == pytest.approx(4, abs=0.5)
    assert columns.double().mean().item() == pytest.approx(16, abs=0.5)


@torch.no_grad()
def test_blank_paper_around_a_text_makes_no_difference_to_its_cells() -> None:
    torch.manual_seed(0)
    net = ImageTower("text_cnn_mini", "imagenet").train()
    text = torch.zeros(1, 3, 64, 128)
    text[..., 16:32, 40:80] = 1
    wide = torch.nn.functional.pad(text, (0, 256, 0, 64))
    alone, among = net.grid(text).view(4, 16, -1), net.grid(wide).view(8, 48, -1)
    torch.testing.assert_close(alone[:2, 4:11], among[:2, 4:11])


def test_patches_are_those_of_a_vit() -> None:
    pixels = torch.rand(2, 3, 32, 48)
    torch.testing.assert_close(cut(pixels, (16, 16)), PatchEmbedding(16, 8).cut(pixels))
    whole = cut(torch.ones(1, 3, 17, 16), (16, 16))
    assert whole.shape == (1, 2, 768)
    assert whole[0, 1].sum().item() == 3 * 16


def test_an_unknown_backbone_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError, match="patches_16"):
        ImageTower("patches_5", "imagenet")
