"""Attention against torch's own and naive loops: self, cross, cached, watched."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from showtell.nn.attention import Attention, KVCache
from showtell.nn.mask import attention_mask
from showtell.nn.watch import watch_attention


def test_attention_equals_torch():
    torch.manual_seed(0)
    ours, theirs = Attention(12, 3), torch.nn.MultiheadAttention(12, 3, batch_first=True)
    names = {"in_proj_weight": "qkv.weight", "in_proj_bias": "qkv.bias"}
    state = ours.state_dict()
    theirs.load_state_dict(
        {n: state[names.get(n, n.replace("out_proj", "output"))] for n in theirs.state_dict()}, strict=True
    )
    tokens, keep = torch.randn(2, 5, 12), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    expected, _ = theirs(tokens, tokens, tokens, key_padding_mask=~keep)
    torch.testing.assert_close(
        ours(tokens, mask=attention_mask(keep, queries=5)), expected, atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("causal", [False, True])
def test_watching_does_not_change_the_output(causal):
    torch.manual_seed(0)
    attention, tokens = Attention(12, 3), torch.randn(3, 5, 12)
    keep = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
    mask = attention_mask(keep, queries=5, causal=causal)
    with watch_attention() as maps:
        watched = attention(tokens, mask=mask)
    unwatched = attention(tokens, mask=mask)
    torch.testing.assert_close(watched, unwatched, atol=1e-6, rtol=1e-5)
    assert maps[0].shape == (3, 3, 5, 5)
    torch.testing.assert_close(maps[0][:2].sum(-1), torch.ones(2, 3, 5))
    assert not maps[0][~mask.expand_as(maps[0])].any()
    # An empty text attends to nothing: zero and not NaN, forward and backward.
    torch.testing.assert_close(unwatched[2], attention.output.bias.expand(5, 12))
    unwatched.sum().backward()
    assert all(p.grad.isfinite().all() for p in attention.parameters())


def test_heads_must_share_the_width():
    with pytest.raises(ValueError, match="a width of 10 cannot be divided among 3 heads"):
        Attention(10, 3)


def naive(attention, x, context, mask):
    """Cross-attention, one batch row, head and query at a time."""
    heads, width = attention.num_heads, x.shape[-1]
    size = width // heads
    queries = attention.query(x)
    keys, values = attention.key_value(context).split(width, -1)
    out = torch.zeros_like(x)
    for row, head, q in itertools.product(range(len(x)), range(heads), range(x.shape[1])):
        part = slice(head * size, (head + 1) * size)
        allowed = [k for k in range(context.shape[1]) if mask[row, 0, q, k]]
        scores = torch.stack([queries[row, q, part] @ keys[row, k, part] / size**0.5 for k in allowed])
        weights = scores.softmax(0)
        out[row, q, part] = sum(w * values[row, k, part] for w, k in zip(weights, allowed, strict=True))
    return attention.output(out)


def crossing():
    """Tokens `[2 3 4]`, a context `[2 5 6]` of which the second has two tokens of padding, and the mask."""
    torch.manual_seed(0)
    attention = Attention(4, 2, context_width=6).double()
    x, context = torch.randn(2, 3, 4).double(), torch.randn(2, 5, 6).double()
    keep = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    return attention, x, context, attention_mask(keep, queries=3).expand(2, 1, 3, 5)


def test_cross_attention_equals_naive_loops():
    attention, x, context, mask = crossing()
    torch.testing.assert_close(attention(x, context, mask), naive(attention, x, context, mask))
    assert torch.autograd.gradcheck(
        lambda x, c: attention(x, c, mask), (x.requires_grad_(), context.requires_grad_())
    )


def test_cross_attention_equals_torch():
    attention, x, context, mask = crossing()
    key_weight, value_weight = attention.key_value.weight.chunk(2)
    key_bias, value_bias = attention.key_value.bias.chunk(2)
    expected, _ = F.multi_head_attention_forward(
        x.transpose(0, 1), context.transpose(0, 1), context.transpose(0, 1), 4, 2, None,
        torch.cat([attention.query.bias, key_bias, value_bias]), None, None, False, 0.0,
        attention.output.weight, attention.output.bias, key_padding_mask=~mask[:, 0, 0],
        use_separate_proj_weight=True, q_proj_weight=attention.query.weight, k_proj_weight=key_weight,
        v_proj_weight=value_weight,
    )  # fmt: skip
    torch.testing.assert_close(attention(x, context, mask), expected.transpose(0, 1))


def test_the_fused_layer_crosses_too():
    """Attention to the tokens themselves as a context is self-attention."""
    torch.manual_seed(0)
    attention, x = Attention(12, 3).double(), torch.randn(2, 5, 12).double()
    mask = attention_mask(None, queries=5, causal=True)
    torch.testing.assert_close(attention(x, x, mask), attention(x, mask=mask))
    query = torch.randn(2, 1, 12).double()
    assert not torch.allclose(attention(query, x), attention(query))


def test_cached_cross_attention_computes_its_context_once():
    attention, x, context, mask = crossing()
    cache, calls = KVCache(), []
    attention.key_value.register_forward_hook(lambda *_: calls.append(1))
    first = attention(x[:, :1], context, mask[:, :, :1], cache)
    rest = attention(x[:, 1:], None, mask[:, :, 1:], cache)
    assert len(calls) == 1
    assert cache.keys.shape == cache.values.shape == (2, 2, 5, 2)
    torch.testing.assert_close(torch.cat([first, rest], 1), attention(x, context, mask))
    with pytest.raises(ValueError, match="needs a context or a cache"):
        attention(x)


def test_one_query_per_row_crosses_as_among_all():
    attention, x, context, mask = crossing()
    at = torch.tensor([2, 0])
    whole = attention(x, context, mask)
    torch.testing.assert_close(attention(x, context, mask, at=at)[:, 0], whole[torch.arange(2), at])


@pytest.mark.parametrize("masked", [False, True])
def test_heads_that_share_keys_equal_heads_with_copies_of_them(masked):
    torch.manual_seed(0)
    grouped, whole = (Attention(12, 6, num_kv_heads=n, bias=False).double() for n in (2, 6))
    query, keys, values = grouped.qkv.weight.split([12, 4, 4])
    copied = [part.unflatten(0, (2, 2)).repeat_interleave(3, 0).flatten(0, 1) for part in (keys, values)]
    with torch.no_grad():
        whole.qkv.weight.copy_(torch.cat([query, *copied]))
        whole.output.weight.copy_(grouped.output.weight)
    tokens = torch.randn(2, 5, 12).double()
    mask = (
        attention_mask(torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]).bool(), queries=5) if masked else None
    )
    with watch_attention() as maps:
        watched = grouped(tokens, mask=mask)
    torch.testing.assert_close(watched, whole(tokens, mask=mask))
    torch.testing.assert_close(grouped(tokens, mask=mask), whole(tokens, mask=mask))
    assert maps[0].shape == (2, 6, 5, 5)
    cache = grouped.empty_cache(2)
    grouped(tokens, mask=mask, cache=cache)
    assert cache.keys.shape == (2, 2, 5, 2)
    assert torch.autograd.gradcheck(lambda x: grouped(x, mask=mask), tokens.requires_grad_())


def test_the_keys_must_share_the_heads():
    with pytest.raises(ValueError, match="6 heads cannot share the keys of 4"):
        Attention(12, 6, num_kv_heads=4)


@pytest.mark.parametrize("watched", [False, True])
def test_a_scale_and_a_bias_are_those_of_the_scores(watched):
    torch.manual_seed(0)
    attention, tokens, bias = Attention(12, 3, scale=0.7), torch.randn(2, 5, 12), torch.randn(1, 3, 5, 5)
    keep = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]).bool()
    with watch_attention() if watched else torch.no_grad():
        found = attention(tokens, mask=attention_mask(keep, queries=5), bias=bias)
        plain = attention(tokens)
    queries, keys, values = attention.qkv(tokens).unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4)
    for given, out in ((bias, found[:1]), (None, plain[:1])):
        heads = F.scaled_dot_product_attention(queries[:1], keys[:1], values[:1], given, scale=0.7)
        torch.testing.assert_close(out, attention.output(heads.transpose(1, 2).flatten(2)))
    torch.testing.assert_close(found[1], attention.output.bias.expand(5, 12))  # nothing to attend to
