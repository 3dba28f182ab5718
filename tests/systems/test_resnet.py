"""ResNet equals the reference library at any image size, survives import and export, and learns."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from showtell.data.batch import Batch, ImageBatch, Targets
from showtell.errors import UsageError, UserError
from showtell.hub.huggingface.families.resnet import table
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.protocols import ImageClassifier, ImageEncoder, Trainable
from showtell.systems.resnet import (
    ResNetClassifier,
    ResNetClassifierConfig,
    ResNetEncoder,
    ResNetEncoderConfig,
)
from support.hf import same_bits, same_gradients

TINY = {
    "basic": {"depths": [1, 2], "hidden_sizes": [8, 12], "layer_type": "basic"},
    "bottleneck": {"depths": [2, 1, 1], "hidden_sizes": [16, 24, 32], "layer_type": "bottleneck"},
}
SMALL = ResNetClassifierConfig((1, 1), (8, 12), False, stem_width=8, num_classes=5)


@pytest.fixture(params=[(kind, head) for kind in TINY for head in ("Model", "ForImageClassification")])
def pair(request, tmp_path):
    transformers = pytest.importorskip("transformers")
    kind, head = request.param
    labels = {"num_labels": 5} if head != "Model" else {}
    config = transformers.ResNetConfig(embedding_size=8, **TINY[kind], **labels)
    reference = shuffled(getattr(transformers, f"ResNet{head}")(config))
    reference.save_pretrained(tmp_path / "theirs")
    return reference, import_folder(tmp_path / "theirs"), tmp_path / "theirs"


def shuffled(net: nn.Module) -> nn.Module:
    """Random gains and statistics: zeros and ones would hide a layer that is skipped or misplaced."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(noise + 0.5 if "var" in name or "normalization.weight" in name else noise / 6 - 0.08)
        else:
            tensor.fill_(7)
    return net.eval()


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (32, 33)])
def test_forward_and_every_gradient(pair, size) -> None:
    reference, ours, _ = pair
    pixels = torch.randint(256, (2, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(v)[:, None, None] for v in (ours.config.mean, ours.config.std))
    encoded = ours.encode_images(Batch(ImageBatch(pixels=pixels)))
    theirs = reference.base_model(pixel_values=(pixels / 255 - mean) / std)
    expected = theirs.last_hidden_state.flatten(2).transpose(1, 2)
    assert expected.std() > 0.05
    torch.testing.assert_close(encoded.tokens, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(encoded.pooled, theirs.pooler_output.flatten(1), atol=1e-5, rtol=1e-5)
    out = encoded.tokens
    if isinstance(ours, ResNetClassifier):
        out, expected = ours.classify(encoded), reference.classifier(theirs.pooler_output)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(3)) / 30
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    counters = [rule for rule in table(ours.config) if rule.ours in dict(ours.named_parameters())]
    same_gradients(ours, reference, counters)


def test_export_and_import_keep_every_bit(pair, tmp_path) -> None:
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path / "ours")
    again = import_folder(tmp_path / "ours")
    assert type(again) is type(ours)
    assert again.config == ours.config
    assert all(torch.equal(again.state_dict()[n], t) for n, t in ours.state_dict().items())


def test_what_the_system_does_not_compute_is_refused(tmp_path) -> None:
    transformers = pytest.importorskip("transformers")
    for setting in ("downsample_in_bottleneck", "downsample_in_first_stage"):
        config = transformers.ResNetConfig(embedding_size=8, **TINY["bottleneck"], **{setting: True})
        transformers.ResNetModel(config).save_pretrained(tmp_path / setting)
        with pytest.raises(UserError, match=setting):
            import_folder(tmp_path / setting)
    with pytest.raises(UsageError, match="the stem 'imagenet', not 'cifar'"):
        export_folder(ResNetClassifier(replace(SMALL, stem="cifar")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_class_names_survive_export_and_import(tmp_path) -> None:
    named = ResNetClassifier(replace(SMALL, class_names=("cat", "dog", "crane", "crane", "鸟")))
    export_folder(named, tmp_path)
    assert import_folder(tmp_path).class_names == named.class_names
    with pytest.raises(ValueError, match="2 names for 5 classes"):
        replace(SMALL, class_names=("cat", "dog"))


def test_it_overfits_one_batch_with_every_parameter() -> None:
    torch.manual_seed(0)
    system = SMALL.build()
    assert isinstance(system, Trainable)
    assert isinstance(system, ImageClassifier)
    pixels = torch.randint(256, (4, 3, 40, 40), dtype=torch.uint8)
    batch = Batch(ImageBatch(pixels=pixels), targets=Targets(labels=torch.tensor([0, 4, 2, 2])))
    optimiser = torch.optim.Adam(system.parameters(), 0.01)
    for _ in range(40):
        loss = system(batch).losses["classes"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
    assert [n for n, p in system.named_parameters() if not p.grad.any()] == []


def test_the_papers_sizes_are_the_defaults() -> None:
    with torch.device("meta"):
        system = ResNetClassifierConfig().build()
    assert sum(p.numel() for p in system.parameters()) == 25_557_032
    assert isinstance(ResNetEncoderConfig((1,), (8,), stem_width=8).build(), ImageEncoder)
    assert type(ResNetEncoderConfig((1,), (8,), stem_width=8).build()) is ResNetEncoder
