"""LoRA against its equation, and its merge."""

import pytest
import torch
from torch import nn

from showtell.nn.lora import add_lora, lora_layers, lora_tensors, merge_lora


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3, bias=False), nn.LayerNorm(3))


def trained(module: nn.Module) -> None:
    """Move every correction away from zero."""
    with torch.no_grad():
        for tensor in lora_tensors(module).values():
            tensor.normal_()


def test_training_starts_at_the_pretrained_model() -> None:
    inputs, plain, adapted = torch.randn(2, 5), net(), net()
    add_lora(adapted, ["0", "2"], rank=2)
    assert torch.equal(adapted(inputs), plain(inputs))


def test_an_adapted_layer_follows_the_equation() -> None:
    inputs, plain, adapted = torch.randn(2, 5), net(), net()
    add_lora(adapted, ["0"], rank=2, alpha=6.0)
    trained(adapted)
    a, b = lora_tensors(adapted)["0.a"], lora_tensors(adapted)["0.b"]
    assert (a.shape, b.shape) == ((2, 5), (4, 2))
    expected = plain[0](inputs) + 6.0 / 2 * inputs @ a.T @ b.T
    torch.testing.assert_close(adapted[0](inputs), expected)


def test_the_corrections_alone_are_trained() -> None:
    adapted = net()
    add_lora(adapted, ["2"], rank=1)
    adapted(torch.randn(2, 5)).square().sum().backward()
    gradients = {name for name, p in adapted.named_parameters() if p.grad is not None}
    assert gradients == {"2.parametrizations.weight.0.a", "2.parametrizations.weight.0.b"}


def test_merged_is_the_same_function_without_extra_layers() -> None:
    inputs, adapted = torch.randn(2, 5), net()
    add_lora(adapted, ["0", "2"], rank=2)
    trained(adapted)
    before = adapted(inputs)
    merge_lora(adapted)
    torch.testing.assert_close(adapted(inputs), before)
    assert adapted.state_dict().keys() == net().state_dict().keys()
    assert not lora_layers(adapted)


@pytest.mark.parametrize("name", ["1", "3", "4", ""])
def test_only_linear_layers_are_adapted(name: str) -> None:
    with pytest.raises(ValueError, match="is not a linear layer"):
        add_lora(net(), [name])


def test_a_layer_is_adapted_once() -> None:
    adapted = net()
    add_lora(adapted, ["0"])
    with pytest.raises(ValueError, match="'0' is not a linear layer"):
        add_lora(adapted, ["0"])
