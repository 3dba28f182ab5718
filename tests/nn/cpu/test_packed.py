"""Packed layers compute the vectors of plain ones, and leave gradients to them."""

import copy

import pytest
import torch
from torch import nn

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.nn.cpu.packed import FUSED, PackedLinear, PackedMLP, pack
from showtell.nn.feedforward import ACTIVATIONS, GATED, MLP
from showtell.nn.watch import watch_attention
from showtell.protocols import Encoded
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig
from showtell.systems.clip import CLIP, CLIPConfig, TowerConfig


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_fused_activation_equals_the_separate_one(activation):
    torch.manual_seed(0)
    holder = nn.Sequential(MLP(24, 40, activation))
    tokens = 3 * torch.randn(2, 5, 24)
    expected = holder(tokens)
    pack(holder)
    assert isinstance(holder[0], PackedMLP) == (activation not in GATED)
    with torch.inference_mode():
        torch.testing.assert_close(holder(tokens), expected.detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(0, 7), (1, 7), (3, 0, 7), (2, 3, 4, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_any_number_of_rows_can_be_packed(shape, bias):
    linear = nn.Linear(7, 3, bias=bias)
    tokens = torch.randn(shape)
    with torch.no_grad():
        torch.testing.assert_close(PackedLinear(linear)(tokens), linear(tokens))


def towers():
    torch.manual_seed(0)
    clip = CLIP(CLIPConfig(TowerConfig(48, 3, 80, 2), TowerConfig(32, 2, 64, 2), 12, 4, 31, 16, 40))
    bert = BERTEncoder(BERTEncoderConfig(31, 24, 2, 2, 48, 16))
    ids, keep = pad([[1, 2, 3], [4], [5, 6, 7, 8]])
    batch = Batch(
        ImageBatch(pixels=torch.randint(256, (3, 3, 12, 12), dtype=torch.uint8)), TextBatch(ids, keep)
    )
    return [
        (clip, lambda s: s.encode_images(batch)),
        (clip, lambda s: s.encode_texts(batch)),
        (bert, lambda s: s.encode_texts(batch)),
        (clip, lambda s: Encoded(s.image_vectors(batch)[:, None], s.image_vectors(batch))),
        (clip, lambda s: Encoded(s.text_vectors(batch)[:, None], s.text_vectors(batch))),
    ]


@pytest.mark.parametrize("which", range(5))
def test_towers_keep_their_vectors_their_names_and_their_gradients(which):
    system, embed = towers()[which]
    plain = copy.deepcopy(system).eval()
    pack(system.eval())
    assert not any(type(module) is nn.Linear for module in system.modules())
    assert system.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        a, b = embed(system), embed(plain)
    torch.testing.assert_close(a.pooled, b.pooled, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(a.tokens, b.tokens, atol=1e-5, rtol=1e-5)
    for one in (system, plain):
        embed(one).pooled[:, 0].sum().backward()
    for name, parameter in plain.named_parameters():
        mine = system.get_parameter(name).grad
        assert (mine is None) == (parameter.grad is None)
        if mine is not None:
            assert torch.equal(mine, parameter.grad), name


def test_changed_weights_are_packed_again():
    linear = nn.Linear(7, 3)
    packed = PackedLinear(linear)
    tokens = torch.randn(2, 7)
    with torch.no_grad():
        before = packed(tokens)
    optimiser = torch.optim.SGD(packed.parameters(), 0.1)
    packed(tokens).sum().backward()
    optimiser.step()
    with torch.no_grad():
        torch.testing.assert_close(packed(tokens), linear(tokens))
        assert not torch.equal(packed(tokens), before)
        linear.bias.zero_()
        torch.testing.assert_close(packed(tokens), linear(tokens))


def test_attention_can_still_be_watched():
    system, embed = towers()[0]
    pack(system.eval())
    with torch.no_grad(), watch_attention() as maps:
        embed(system)
    assert [m.shape for m in maps] == [(3, 3, 10, 10), (3, 3, 10, 10)]
    with torch.no_grad(), watch_attention() as maps:
        towers()[3][1](system)  # the vectors alone: the last block computes one token
    assert [m.shape for m in maps] == [(3, 3, 10, 10), (3, 3, 1, 10)] * 2


def test_double_and_half_precision_are_not_packed():
    linear = nn.Linear(7, 3).double()
    with torch.no_grad():
        tokens = torch.randn(2, 7, dtype=torch.float64)
        assert torch.equal(PackedLinear(linear)(tokens), linear(tokens))
    assert FUSED.keys() == {ACTIVATIONS[name] for name in ("gelu", "gelu_tanh", "relu", "quick_gelu")}


def test_a_copy_packs_its_own():
    linear = PackedLinear(nn.Linear(7, 3))
    tokens = torch.randn(2, 7)
    with torch.no_grad():
        expected = linear(tokens)
        other = copy.deepcopy(linear)
        torch.testing.assert_close(other(tokens), expected)
        other.weight.zero_()
        torch.testing.assert_close(other(tokens), other.bias.expand(2, 3))
        torch.testing.assert_close(linear(tokens), expected)
