"""Attention as heat maps: rollout against loops, cross-attention told from self-attention."""

import pytest
import torch

from showtell.explain.attention_maps import grid_of, over_image, rollout

PATCHES, TOKENS = 4, 5


def attention(*shape: int, seed: int = 0, causal: bool = False) -> torch.Tensor:
    scores = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2
    if causal:
        scores = scores.masked_fill(torch.ones(shape[-2:]).triu(1).bool(), -torch.inf)
    return scores.softmax(-1)


def rolled(maps: list[torch.Tensor]) -> list[list[float]]:
    """The product of all layers, each half the heads' mean and half the residual, by loops."""
    size = maps[0].shape[-1]
    flow = [[float(i == j) for j in range(size)] for i in range(size)]
    for weights in maps:
        heads, rows = weights.shape[1:3]
        layer = [
            [
                sum(float(weights[0, h, i, j]) for h in range(heads)) / heads / 2 + (i == j) / 2
                for j in range(size)
            ]
            for i in range(rows)
        ]
        flow = [
            [sum(layer[i][k] * flow[k][j] for k in range(size)) for j in range(size)] for i in range(rows)
        ]
    return flow


def test_rollout_is_the_product_of_the_layers() -> None:
    maps = [attention(1, 3, PATCHES + 2, PATCHES + 2, seed=layer) for layer in range(3)]
    flow = rolled(maps)
    first = rollout(maps, PATCHES, pooled_first=True)
    assert first.tolist() == pytest.approx(flow[0][2:], abs=1e-6)
    mean = [sum(flow[i][j] for i in range(2, 6)) / 4 for j in range(2, 6)]
    assert rollout(maps, PATCHES, pooled_first=False).tolist() == pytest.approx(mean, abs=1e-6)


def test_attention_pooling_has_one_query_and_no_residual() -> None:
    layer, pooling = attention(1, 2, PATCHES, PATCHES), attention(1, 2, 1, PATCHES, seed=1)
    expected = pooling[0].mean(0) @ torch.tensor(rolled([layer]))
    found = rollout([layer, pooling], PATCHES, pooled_first=False)
    torch.testing.assert_close(found, expected[0])
    assert float(found.sum()) == pytest.approx(1)


def test_a_network_without_attention_has_none() -> None:
    assert rollout([], PATCHES, pooled_first=False) is None
    assert over_image([], TOKENS, PATCHES) is None


def test_a_recurrent_decoder_attends_once_per_token() -> None:
    maps = [attention(1, 1, PATCHES, seed=token) for token in range(TOKENS)]
    found = over_image(maps, TOKENS, PATCHES)
    torch.testing.assert_close(found, torch.cat([m[0] for m in maps]))
    assert over_image(maps[:-1], TOKENS, PATCHES) is None


@pytest.mark.parametrize("patches", [PATCHES, TOKENS])
def test_a_transformer_decoder_attends_in_each_layer_beside_its_causal_attention(patches: int) -> None:
    crossed = [attention(1, 2, TOKENS, patches, seed=layer) for layer in range(2)]
    own = [attention(1, 2, TOKENS, TOKENS, seed=9, causal=True) for _ in range(2)]
    found = over_image([own[0], crossed[0], own[1], crossed[1]], TOKENS, patches)
    torch.testing.assert_close(found, torch.cat(crossed).mean((0, 1)))
    assert over_image(own, TOKENS, patches) is None


def test_a_grid_has_the_shape_of_the_image_or_is_none() -> None:
    assert grid_of(torch.zeros(2, 9), 224, 224).shape == (2, 3, 3)
    assert grid_of(torch.zeros(2, 8), 224, 224) is None
    assert grid_of(torch.zeros(32), 32, 256).shape == (2, 16)
