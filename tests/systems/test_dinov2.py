"""DINOv2 equals the reference: with registers, SwiGLU, a classifier, masked patches, at any size."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from showtell.data.batch import Batch, ImageBatch, Targets
from showtell.errors import UsageError
from showtell.hub.huggingface.families.dinov2 import config_to, table
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.hub.huggingface.rename import write_out
from showtell.protocols import ImageEncoder, Trainable
from showtell.systems.dinov2 import DINOv2, DINOv2Classifier, DINOv2ClassifierConfig, DINOv2Config
from support.hf import imported

SMALL = DINOv2ClassifierConfig(12, 4, 12, 2, 3, 24, layer_scale=0.5, num_classes=5)
KINDS = {
    "plain": ("Dinov2Model", "Dinov2Config", {}),
    "classifier": ("Dinov2ForImageClassification", "Dinov2Config", {"num_labels": 5}),
    "gated": ("Dinov2Model", "Dinov2Config", {"use_swiglu_ffn": True, "use_mask_token": False}),
    "registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", {"num_register_tokens": 3}),
    "registers-classifier": (
        "Dinov2WithRegistersForImageClassification",
        "Dinov2WithRegistersConfig",
        {"num_register_tokens": 2, "num_labels": 3},
    ),
}


@pytest.fixture(params=KINDS, scope="module")
def pair(request, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    model, config, extra = KINDS[request.param]
    folder = tmp_path_factory.mktemp("dinov2")
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "mlp_ratio": 2}
    reference = getattr(transformers, model)(
        getattr(transformers, config)(image_size=12, patch_size=4, **sizes, **extra)
    )
    return reference, imported(reference, folder), folder


def normalised(pixels, config):
    mean, std = (torch.tensor(v)[:, None, None] for v in (config.mean, config.std))
    return (pixels / 255 - mean) / std


@pytest.mark.parametrize("size", [(12, 12), (20, 12), (17, 30), (8, 8)])
def test_forward_and_every_gradient(pair, size):
    reference, ours, folder = pair
    pixels = torch.randint(256, (2, 3, *size), dtype=torch.uint8)
    classifies = isinstance(ours, DINOv2Classifier)
    theirs = reference(pixel_values=normalised(pixels, ours.config), output_hidden_states=True)
    batch = Batch(ImageBatch(pixels=pixels))
    out = ours.classify(ours.encode_images(batch)) if classifies else ours.read(batch)
    expected = theirs.logits if classifies else theirs.last_hidden_state
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    if not classifies:
        encoded = ours.encode_images(batch)
        torch.testing.assert_close(encoded.pooled, theirs.pooler_output, atol=1e-5, rtol=1e-5)
        patches = (size[0] // 4) * (size[1] // 4)
        assert torch.equal(encoded.tokens[:, 1:], out[:, -patches:])
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(3)) / 30
    ours.zero_grad()
    reference.zero_grad()
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    same_gradients_on_disk(ours, reference, folder)


def same_gradients_on_disk(ours, reference, folder):
    """The reference names its tensors differently in memory and on disk; so it does for gradients here."""
    zero = torch.zeros
    grads = {n: zero(p.shape) if p.grad is None else p.grad for n, p in ours.named_parameters()}
    grads = write_out(grads, table(ours.config))
    weights = {name: weight.clone() for name, weight in reference.state_dict().items()}
    with torch.no_grad():
        for weight in reference.parameters():
            weight.copy_(zero(weight.shape) if weight.grad is None else weight.grad)
    reference.save_pretrained(folder / "gradients")
    reference.load_state_dict(weights)
    expected = load_file(folder / "gradients" / "model.safetensors")
    assert grads.keys() == expected.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(
            grad, expected[name], atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_masked_patches_become_the_mask_token(pair):
    reference, ours, _ = pair
    pixels = torch.randint(256, (2, 3, 12, 12), dtype=torch.uint8)
    masked = torch.rand(2, 9, generator=torch.Generator().manual_seed(0)) < 0.4
    assert masked.any()
    if not ours.config.mask_token:
        with pytest.raises(AssertionError, match="has no mask token"):
            ours.read(Batch(ImageBatch(pixels=pixels)), masked)
        return
    theirs = reference.base_model(pixel_values=normalised(pixels, ours.config), bool_masked_pos=masked)
    out = ours.read(Batch(ImageBatch(pixels=pixels)), masked)
    torch.testing.assert_close(out, theirs.last_hidden_state, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(out, ours.read(Batch(ImageBatch(pixels=pixels))))


def test_import_and_export_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    export_folder(ours, tmp_path)
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    again = import_folder(tmp_path)
    assert type(again) is type(ours)
    assert again.config == ours.config
    theirs = type(reference).from_pretrained(tmp_path)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(weight, reference.state_dict()[name]), name


def test_it_overfits_one_batch_with_every_parameter():
    torch.manual_seed(0)
    system = DINOv2Classifier(replace(SMALL, num_registers=2, mask_token=False))
    assert isinstance(system, Trainable)
    assert isinstance(system, ImageEncoder)
    pixels = torch.randint(256, (4, 3, 12, 12), dtype=torch.uint8)
    batch = Batch(ImageBatch(pixels=pixels), targets=Targets(labels=torch.tensor([0, 4, 2, 2])))
    optimiser = torch.optim.Adam(system.parameters(), 0.01)
    for _ in range(60):
        loss = system(batch).losses["classes"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
    assert [n for n, p in system.named_parameters() if not p.grad.any()] == []


def test_a_width_that_the_reference_does_not_have_is_refused():
    with pytest.raises(UsageError, match="an MLP of 25 is no whole multiple of the width 12"):
        config_to(replace(SMALL, mlp_dim=25))
    assert config_to(replace(SMALL, mlp_dim=16, activation="swiglu"))["mlp_ratio"] == 2


def test_the_papers_sizes_are_the_defaults():
    with torch.device("meta"):
        system = DINOv2(DINOv2Config())
        giant = DINOv2(DINOv2Config(width=1536, depth=40, num_heads=24, mlp_dim=4096, activation="swiglu"))
    assert sum(p.numel() for p in system.parameters()) == 86_580_480
    assert sum(p.numel() for p in giant.parameters()) == 1_136_480_768
