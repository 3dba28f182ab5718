"""ResNets against the reference library, weights in and out, and the shapes of the paper."""

import pytest
import torch
from torch import nn

from showtell.hub.resnet import export_resnet, load_resnet, rename
from showtell.nn.backbones.resnet import SHAPES, ConvNorm, ResNet, ResNetShape

TINY = {
    "basic": ResNetShape((1, 2), (8, 12), bottleneck=False, stem_width=8),
    "bottleneck": ResNetShape((2, 1, 1), (16, 24, 32), bottleneck=True, stem_width=8),
}


def shuffled(net: nn.Module) -> nn.Module:
    """Random gains and statistics: zeros and ones would hide a layer that is skipped or misplaced."""
    generator = torch.Generator().manual_seed(3)
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return net.eval()


@pytest.fixture(params=TINY)
def pair(request):
    transformers = pytest.importorskip("transformers", reason="parity needs transformers")
    shape = TINY[request.param]
    config = transformers.ResNetConfig(
        embedding_size=shape.stem_width,
        hidden_sizes=list(shape.widths),
        depths=list(shape.depths),
        layer_type=request.param,
    )
    return ResNet(shape).eval(), transformers.ResNetModel(config).eval()


@pytest.mark.parametrize("size", [64, 37])
def test_it_is_the_references_network(pair, size) -> None:
    ours, theirs = pair
    load_resnet(ours, shuffled(theirs).state_dict())
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        grid, expected = ours(pixels), theirs(pixels)
    assert expected.last_hidden_state.std() > 0
    torch.testing.assert_close(
        grid, expected.last_hidden_state.flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(grid.mean(1), expected.pooler_output.flatten(1))


def test_weights_go_out_and_come_back(pair) -> None:
    ours, theirs = pair
    theirs.load_state_dict(export_resnet(shuffled(ours)), strict=True)
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = theirs(pixels).last_hidden_state.flatten(2).transpose(1, 2)
        torch.testing.assert_close(ours(pixels), expected, atol=1e-5, rtol=1e-5)
    back = ResNet(TINY["basic" if len(ours.stages) == 2 else "bottleneck"])
    load_resnet(back, theirs.state_dict())
    for name, tensor in ours.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name


def test_a_foreign_or_missing_tensor_is_refused() -> None:
    net = ResNet(TINY["basic"])
    weights = export_resnet(net)
    with pytest.raises(KeyError, match=r"classifier\.1\.weight"):
        load_resnet(net, weights | {"classifier.1.weight": torch.zeros(1)})
    weights.pop("embedder.embedder.convolution.weight")
    with pytest.raises(RuntimeError, match=r"stem\.0\.0\.weight"):
        load_resnet(net, weights)
    with pytest.raises(KeyError):
        rename("encoder.stages.0.layers.0.layer.0.dropout.weight")


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)]
)
def test_sizes_are_the_papers(name, parameters) -> None:
    with torch.device("meta"):
        net = ResNet(SHAPES[name])
    classifier = net.width * 1000 + 1000
    assert sum(p.numel() for p in net.parameters()) + classifier == parameters


def test_the_stems_keep_what_they_should() -> None:
    pixels = torch.zeros(1, 3, 32, 32)
    assert ResNet(TINY["bottleneck"], "cifar")(pixels).shape == (1, 64, 32)
    assert ResNet(TINY["bottleneck"], "imagenet")(pixels).shape == (1, 4, 32)
    assert ResNet(SHAPES["resnet18"], "cifar")(pixels).shape == (1, 16, 512)


def test_a_block_begins_as_the_identity() -> None:
    net = ResNet(TINY["basic"], "cifar")
    grid = torch.rand(2, 8, 5, 5)
    assert torch.equal(net.stages[0][0](grid), grid)
    assert isinstance(net.stages[1][0].shortcut, ConvNorm)
