"""Transformer blocks and their stack: gradients, packing, one token per row, cached steps."""

import pytest
import torch

from showtell.nn.blocks import CrossBlock, PostNormBlock, PreNormBlock
from showtell.nn.mask import attention_mask
from showtell.nn.transformer import Transformer


def test_packed_texts_do_not_attend_to_each_other():
    torch.manual_seed(0)
    transformer = Transformer(12, 2, 3, 20, norm="post")
    a, b = torch.randn(1, 3, 12), torch.randn(1, 4, 12)
    packed = transformer(
        torch.cat([a, b], 1), attention_mask(None, queries=7, segments=torch.tensor([[0] * 3 + [1] * 4]))
    )
    torch.testing.assert_close(packed, torch.cat([transformer(a), transformer(b)], 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("block", [PreNormBlock, PostNormBlock])
def test_gradients_of_a_block(block):
    torch.manual_seed(0)
    block = block(4, 2, 6).double()
    tokens = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = attention_mask(torch.tensor([[1, 1, 1], [1, 1, 0]]).bool(), queries=3, causal=True)
    assert torch.autograd.gradcheck(lambda x: block(x, mask), tokens)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_one_token_per_row_equals_that_of_the_whole(norm, causal, kept):
    torch.manual_seed(0)
    transformer, tokens = Transformer(12, 2, 3, 16, norm=norm).double(), torch.randn(3, 5, 12).double()
    keep = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]).bool() if kept else None
    mask, at = attention_mask(keep, queries=5, causal=causal), torch.tensor([4, 1, 0])
    whole = transformer(tokens, mask)[torch.arange(3), at]
    whole.square().sum().backward()
    expected = {name: weight.grad.clone() for name, weight in transformer.named_parameters()}
    transformer.zero_grad()
    one = transformer(tokens, mask, at)
    assert one.shape == (3, 1, 12)
    torch.testing.assert_close(one[:, 0], whole)
    one.square().sum().backward()
    for name, weight in transformer.named_parameters():
        torch.testing.assert_close(weight.grad, expected[name], msg=name)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_cached_steps_equal_the_whole(norm):
    torch.manual_seed(0)
    transformer, tokens = Transformer(12, 3, 3, 16, norm=norm).double(), torch.randn(2, 7, 12).double()
    whole = transformer(tokens, attention_mask(None, queries=7, causal=True))
    state, parts, offset = transformer.empty_cache(2), [], 0
    for size in (3, 1, 2, 1):
        mask = attention_mask(None, queries=size, offset=offset, causal=True)
        before = {name: tensor.clone() for name, tensor in state.items()}
        given = dict(state)
        out, state = transformer.step(tokens[:, offset : offset + size], state, mask)
        assert all(torch.equal(given[name], before[name]) for name in before), "a state is never changed"
        parts.append(out)
        offset += size
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    assert {tuple(tensor.shape) for tensor in state.values()} == {(2, 3, 7, 4)}


def cross_block():
    """A small block in float64, tokens `[2 4 4]`, a context `[2 3 6]` and the masks of both."""
    torch.manual_seed(0)
    block = CrossBlock(4, 2, 6, context_width=6).double()
    tokens, context = torch.randn(2, 4, 4).double(), torch.randn(2, 3, 6).double()
    mask = attention_mask(torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool(), queries=4, causal=True)
    context_mask = attention_mask(torch.tensor([[1, 1, 0], [1, 1, 1]]).bool(), queries=4)
    return block, tokens, context, mask, context_mask


def through(block, x, context, mask, context_mask=None, cache=None):
    """Both halves of the block."""
    return block.look(block.attend(x, mask, cache), block.cross_attention.cache_of(context), context_mask)


def test_a_cross_block_equals_its_three_lines():
    block, x, context, mask, context_mask = cross_block()
    u = block.attention_norm(x + block.attention(x, mask=mask))
    v = block.cross_attention_norm(u + block.cross_attention(u, context, context_mask))
    torch.testing.assert_close(through(*cross_block()), block.mlp_norm(v + block.mlp(v)))
    torch.testing.assert_close(block.feed(u), block.mlp_norm(u + block.mlp(u)))


def test_gradients_of_a_cross_block():
    block, tokens, context, mask, context_mask = cross_block()
    inputs = (tokens.requires_grad_(), context.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, c: through(block, x, c, mask, context_mask), inputs)
    through(block, tokens, context, mask, context_mask).square().sum().backward()
    assert [n for n, p in block.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_cached_cross_block_equals_the_whole():
    block, tokens, context, mask, context_mask = cross_block()
    whole = through(block, tokens, context, mask, context_mask)
    cache, parts = block.attention.empty_cache(2), []
    for t in range(4):
        now = mask[:, :, t : t + 1, : t + 1]
        parts.append(through(block, tokens[:, t : t + 1], context, now, context_mask, cache))
    torch.testing.assert_close(torch.cat(parts, 1), whole)


def test_padding_of_the_context_is_not_seen():
    block, tokens, context, mask, context_mask = cross_block()
    changed = context.clone()
    changed[0, 2] += 5
    before, after = (through(block, tokens, c, mask, context_mask) for c in (context, changed))
    torch.testing.assert_close(before, after)
    assert not torch.allclose(before[0], through(block, tokens, changed, mask)[0])
