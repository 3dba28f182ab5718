"""The mask rule, attention, positions and patches against what they are written down to be."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from showtell.nn.attention import Attention, watch_attention
from showtell.nn.embed import PatchEmbedding, normalise
from showtell.nn.mask import attention_mask
from showtell.nn.positions import by_axis, resized, sine_1d, sine_2d
from showtell.nn.transformer import Block, Transformer


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_mask_rule_is_what_it_says(data):
    size = data.draw(st.integers(1, 6))
    row = st.lists(st.booleans(), min_size=size, max_size=size)
    keep = data.draw(st.none() | row)
    segments = data.draw(st.none() | st.lists(st.integers(0, 2), min_size=size, max_size=size))
    causal, prefix = data.draw(st.booleans()), data.draw(st.integers(0, size))
    queries = data.draw(st.integers(1, size))
    offset = data.draw(st.integers(0, size - queries)) if keep or segments else size - queries
    mask = attention_mask(
        None if keep is None else torch.tensor([keep]),
        queries=queries,
        offset=offset,
        causal=causal,
        prefix=prefix,
        segments=None if segments is None else torch.tensor([segments]),
    )
    for q in range(queries):
        for k in range(size):
            may = keep is None or keep[k]
            may = may and (segments is None or segments[k] == segments[q + offset])
            may = may and (not causal or k <= q + offset or k < prefix)
            said = True if mask is None else mask.expand(1, 1, queries, size)[0, 0, q, k].item()
            assert said == may


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
    torch.testing.assert_close(ours(tokens, attention_mask(keep, queries=5)), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_watching_changes_nothing(causal):
    torch.manual_seed(0)
    attention, tokens = Attention(12, 3), torch.randn(3, 5, 12)
    keep = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
    mask = attention_mask(keep, queries=5, causal=causal)
    with watch_attention() as maps:
        watched = attention(tokens, mask)
    unwatched = attention(tokens, mask)
    torch.testing.assert_close(watched, unwatched, atol=1e-6, rtol=1e-5)
    assert maps[0].shape == (3, 3, 5, 5)
    torch.testing.assert_close(maps[0][:2].sum(-1), torch.ones(2, 3, 5))
    assert not maps[0][~mask.expand_as(maps[0])].any()
    # An empty text attends to nothing: zero, not NaN, forward and back.
    torch.testing.assert_close(unwatched[2], attention.output.bias.expand(5, 12))
    unwatched.sum().backward()
    assert all(p.grad.isfinite().all() for p in attention.parameters())


def test_packed_texts_do_not_see_each_other():
    torch.manual_seed(0)
    transformer = Transformer(12, 2, 3, 20, norm="post")
    a, b = torch.randn(1, 3, 12), torch.randn(1, 4, 12)
    packed = transformer(
        torch.cat([a, b], 1), attention_mask(None, queries=7, segments=torch.tensor([[0] * 3 + [1] * 4]))
    )
    torch.testing.assert_close(packed, torch.cat([transformer(a), transformer(b)], 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_gradients_of_a_block(norm):
    torch.manual_seed(0)
    block = Block(4, 2, 6, norm=norm).double()
    tokens = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = attention_mask(torch.tensor([[1, 1, 1], [1, 1, 0]]).bool(), queries=3, causal=True)
    assert torch.autograd.gradcheck(lambda x: block(x, mask), tokens)


def test_heads_must_share_the_width():
    with pytest.raises(ValueError, match="a width of 10 cannot be divided among 3 heads"):
        Attention(10, 3)


def test_sine_positions_are_unique_bounded_and_linearly_related():
    table = sine_1d(500, 32).double()
    assert table.abs().max() <= 1
    assert torch.cdist(table, table).fill_diagonal_(1).min() > 0.1
    step = torch.linalg.lstsq(table[:-7], table[7:]).solution
    torch.testing.assert_close(table[:-7] @ step, table[7:], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="even width, not 5"):
        sine_1d(3, 5)


def test_half_of_the_channels_say_the_column():
    grid = sine_2d(3, 5, 768).view(3, 5, 768)
    assert torch.equal(grid[0, :, :384], grid[2, :, :384])
    assert torch.equal(grid[:, 0, 384:], grid[:, 4, 384:])
    torch.testing.assert_close(grid[1, 4], torch.cat([sine_1d(5, 384)[4], sine_1d(3, 384)[1]]))
    assert by_axis(torch.zeros(5, 2), torch.ones(3, 2)).shape == (15, 4)


def test_a_table_of_its_own_size_is_not_touched():
    table = torch.randn(16, 6)
    assert resized(table, 4, 4) is table
    assert resized(table, 3, 7).shape == (21, 6)
    torch.testing.assert_close(resized(torch.ones(16, 6), 5, 2), torch.ones(10, 6))


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
    ours = normalise(pixels, (0.1, 0.5, 0.9), (0.2, 0.3, 0.4), torch.float32)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_one_token_a_row_is_what_the_whole_says_of_it(norm, causal, kept):
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
