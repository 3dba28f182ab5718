"""A decoder with cross-attention: step by step = whole, and its norms."""

import pytest
import torch

from showtell.nn.blocks import PreNormCrossBlock
from showtell.nn.cross_decoder import CrossDecoder
from showtell.nn.mask import attention_mask


@pytest.fixture
def decoder() -> CrossDecoder:
    torch.manual_seed(0)
    return CrossDecoder(12, 3, 2, 20, 8).eval()


@torch.no_grad()
def test_steps_of_several_hypotheses_equal_the_whole(decoder) -> None:
    context, tokens = torch.randn(2, 5, 8), torch.randn(2, 3, 4, 12)
    memory = decoder.prefill(context)
    state = {
        name: value[:, None].expand(-1, 3, *value.shape[1:]) for name, value in decoder.empty_cache(2).items()
    }
    steps = []
    for place in range(4):
        out, state = decoder.step(tokens[:, :, place], memory, state)
        steps.append(out)
    mask = attention_mask(None, queries=4, causal=True)
    for hypothesis in range(3):
        whole = decoder.decode(tokens[:, hypothesis], memory, mask)
        torch.testing.assert_close(torch.stack([step[:, hypothesis] for step in steps], 1), whole)


def test_a_block_against_the_paper() -> None:
    torch.manual_seed(0)
    block = PreNormCrossBlock(12, 2, 20, 8)
    x, context = torch.randn(2, 4, 12), torch.randn(2, 5, 8)
    u = x + block.attention(block.attention_norm(x))
    v = u + block.cross_attention(block.cross_attention_norm(u), context)
    expected = v + block.mlp(block.mlp_norm(v))
    found = block.look(block.attend(x), block.cross_attention.cache_of(context))
    torch.testing.assert_close(found, expected)
