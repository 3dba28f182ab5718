"""Two streams: when they meet, what they see, and what not."""

from dataclasses import dataclass

import pytest
import torch

from showtell.fusion.co_attention import CoAttention


@dataclass(frozen=True)
class Sizes:
    width: int
    depth: int
    num_heads: int = 2
    mlp_dim: int = 10
    activation: str = "gelu"
    eps: float = 1e-6


def streams(text_depth=3, image_depth=1):
    torch.manual_seed(0)
    return CoAttention(Sizes(8, text_depth), Sizes(6, image_depth)).eval()


@torch.no_grad()
def test_each_stream_sees_the_other_and_no_padding():
    both = streams()
    text, image = torch.randn(2, 4, 8), torch.randn(2, 5, 6)
    masks = torch.ones(2, 1, 1, 4, dtype=torch.bool), torch.ones(2, 1, 1, 5, dtype=torch.bool)
    masks[1][1, ..., 3:] = False
    before = both(text, image, *masks)
    other_image, other_text = image.clone(), text.clone()
    other_image[:, 0] += 1
    other_text[:, 0] += 1
    assert (both(text, other_image, *masks)[0] - before[0]).abs().amin((1, 2)).max() > 0
    assert not torch.allclose(both(other_text, image, *masks)[1], before[1])
    padded = image.clone()
    padded[1, 3:] += 9
    after = both(text, padded, *masks)
    torch.testing.assert_close(after[0], before[0])
    torch.testing.assert_close(after[1][1, :3], before[1][1, :3])


@torch.no_grad()
def test_the_streams_look_at_each_other_at_the_same_time():
    """Neither sees the other as it was already changed."""
    both = streams(1, 1)
    text, image = torch.randn(1, 4, 8), torch.randn(1, 5, 6)
    seen_text = both.text_looks[0](text, image, None)
    seen_image = both.image_looks[0](image, text, None)
    expected = both.text[0](seen_text, None), both.image[0](seen_image, None)
    for ours, other in zip(both(text, image, None, None), expected, strict=True):
        torch.testing.assert_close(ours, other)


def test_the_text_is_the_longer_stream():
    with pytest.raises(ValueError, match="1 blocks meets 2 times"):
        streams(1, 2)
