"""Patches against a convolution; pixels against their normalisation written out."""

import pytest
import torch
from torch.nn import functional as F

from showtell.nn.patch_embedding import PatchEmbedding
from showtell.nn.pixels import PixelNorm


@pytest.mark.parametrize("size", [(8, 12), (11, 13)])
def test_patches_equal_a_convolution(size):
    torch.manual_seed(0)
    embed, pixels = PatchEmbedding(4, 5), torch.randn(2, 3, *size)
    weight = embed.project.weight.view(5, 3, 4, 4)
    expected = F.conv2d(pixels, weight, embed.project.bias, stride=4).flatten(2).transpose(1, 2)
    torch.testing.assert_close(embed(pixels), expected, atol=1e-5, rtol=1e-5)


def test_vit_sees_196_patches():
    assert PatchEmbedding(16, 768)(torch.zeros(1, 3, 224, 224)).shape == (1, 196, 768)


def test_pixels_are_normalised_channel_by_channel():
    pixels = torch.randint(256, (2, 3, 4, 5), dtype=torch.uint8)
    mean, std = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.2, 0.3, 0.4])
    expected = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
    ours = PixelNorm((0.1, 0.5, 0.9), (0.2, 0.3, 0.4))(pixels)
    torch.testing.assert_close(ours, expected)


def test_bytes_and_floats_are_normalised_alike():
    norm, pixels = PixelNorm((0.1, 0.5, 0.9), (0.2, 0.3, 0.4)), torch.randint(256, (2, 3, 4, 5)).byte()
    torch.testing.assert_close(norm(pixels), norm(pixels / 255))
    assert norm.bfloat16()(pixels).dtype == torch.bfloat16
    assert norm.state_dict() == {}, "constants of the config are not parameters of the checkpoint"
