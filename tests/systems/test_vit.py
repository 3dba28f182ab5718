"""ViT equals the reference library at any image size, and overfits a batch."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from showtell.data.batch import Batch, ImageBatch, Targets
from showtell.errors import UsageError
from showtell.hub.huggingface.families.vit import table
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.hub.huggingface.rename import write_out
from showtell.protocols import ImageClassifier, Trainable
from showtell.systems.vit import ViT, ViTConfig, ViTEncoder
from support.hf import imported

SMALL = ViTConfig(12, 4, 12, 2, 3, 20, num_classes=5)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (4, 3, 12, 12), dtype=torch.uint8, generator=generator)
    return Batch(ImageBatch(pixels=pixels), targets=Targets(labels=torch.tensor([0, 4, 2, 2])))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=21,
        image_size=12,
        patch_size=4,
        num_labels=5,
    )
    folder = tmp_path_factory.mktemp("vit")
    reference = transformers.ViTForImageClassification(config)
    return reference, imported(reference, folder), folder


@pytest.mark.parametrize("size", [(12, 12), (20, 12), (17, 30)])
def test_forward_and_every_gradient(pair, size):
    reference, ours, folder = pair
    pixels = torch.randint(256, (2, 3, *size), dtype=torch.uint8)
    labels = torch.tensor([1, 4])
    theirs = reference(
        pixel_values=pixels / 127.5 - 1, interpolate_pos_encoding=True, output_hidden_states=True
    )
    torch.testing.assert_close(
        ours.classify(ours.encode_images(Batch(ImageBatch(pixels=pixels)))),
        theirs.logits,
        atol=1e-5,
        rtol=1e-5,
    )
    ours.zero_grad()
    reference.zero_grad()
    ours(Batch(ImageBatch(pixels=pixels), targets=Targets(labels=labels))).losses["classes"].backward()
    torch.nn.functional.cross_entropy(theirs.logits, labels).backward()
    # The reference names its tensors differently in memory and on disk; so it does for gradients here.
    grads = write_out({n: p.grad for n, p in ours.named_parameters()}, table(ours.config))
    with torch.no_grad():
        for weight in reference.parameters():
            weight.copy_(weight.grad)
    reference.save_pretrained(folder / "gradients")
    expected = load_file(folder / "gradients" / "model.safetensors")
    restored = type(reference).from_pretrained(folder)
    reference.load_state_dict(restored.state_dict())
    assert grads.keys() == expected.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(grad, expected[name], atol=1e-5, rtol=1e-4, msg=name)


def test_import_and_export_keep_every_bit(pair, tmp_path):
    _, ours, folder = pair
    export_folder(ours, tmp_path)
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert import_folder(tmp_path).config == ours.config


@pytest.mark.parametrize("pooler", [True, False])
def test_the_encoder_alone(pooler, tmp_path):
    """As released by DINO and by the pretraining on ImageNet-21k."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 21}
    config = transformers.ViTConfig(image_size=12, patch_size=4, **sizes)
    reference = transformers.ViTModel(config, add_pooling_layer=pooler)
    ours = imported(reference, tmp_path / "theirs")
    assert type(ours) is ViTEncoder
    assert ours.config.pooler == pooler
    pixels = torch.randint(256, (2, 3, 12, 20), dtype=torch.uint8)
    theirs = reference(pixel_values=pixels / 127.5 - 1, interpolate_pos_encoding=True)
    encoded = ours.encode_images(Batch(ImageBatch(pixels=pixels)))
    pooled = theirs.pooler_output if pooler else theirs.last_hidden_state[:, 0]
    torch.testing.assert_close(encoded.tokens, theirs.last_hidden_state, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(encoded.pooled, pooled, atol=1e-5, rtol=1e-5)
    export_folder(ours, tmp_path / "ours")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert import_folder(tmp_path / "ours").config == ours.config


def test_class_names_are_imported_and_exported(pair, tmp_path):
    transformers = pytest.importorskip("transformers")
    _, ours, _ = pair
    assert ours.config.class_names == ()  # the reference calls them LABEL_0, LABEL_1, ...
    named = ViT(replace(ours.config, class_names=("cat", "dog", "crane", "crane", "鸟")))
    export_folder(named, tmp_path)
    theirs = transformers.ViTForImageClassification.from_pretrained(tmp_path)
    assert theirs.config.id2label == dict(enumerate(named.class_names))
    assert import_folder(tmp_path).class_names == named.class_names
    with pytest.raises(ValueError, match="2 names for 5 classes"):
        replace(ours.config, class_names=("cat", "dog"))


def test_it_overfits_one_batch_with_every_parameter(batch):
    torch.manual_seed(0)
    system = ViT(SMALL)
    assert isinstance(system, Trainable)
    assert isinstance(system, ImageClassifier)
    optimiser = torch.optim.Adam(system.parameters(), 0.01)
    for _ in range(60):
        loss = system(batch).losses["classes"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
    assert [n for n, p in system.named_parameters() if not p.grad.any()] == []


KINDS = ("learned", "learned_2d", "sine", "sine_2d")


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_every_kind_of_positions_distinguishes_patches(kind, monkeypatch):
    torch.manual_seed(0)
    system = ViT(replace(SMALL, positions=kind)).eval()
    pixels = torch.zeros(2, 3, 12, 12, dtype=torch.uint8)
    pixels[0, :, :4, :4] = pixels[1, :, 8:, 4:8] = 255
    first, moved = system.encode_images(Batch(ImageBatch(pixels=pixels))).pooled
    assert (first - moved).abs().max() > 1e-4
    assert system.encode_images(Batch(ImageBatch(pixels=pixels[:, :, :8]))).tokens.shape == (2, 7, 12)
    nowhere = torch.zeros(10, 12)
    monkeypatch.setattr(type(system.embed.positions), "forward", lambda *_: nowhere)
    first, moved = system.encode_images(Batch(ImageBatch(pixels=pixels))).pooled
    torch.testing.assert_close(first, moved, atol=1e-6, rtol=0)


def test_other_positions_than_the_references_are_not_exported(tmp_path):
    with pytest.raises(UsageError, match="positions, not 'sine_2d'"):
        export_folder(ViT(replace(SMALL, positions="sine_2d")), tmp_path / "out")
    with pytest.raises(UsageError, match="no pooler below its classifier"):
        export_folder(ViT(replace(SMALL, pooler=True)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_papers_sizes_are_the_defaults():
    with torch.device("meta"):
        system = ViT(ViTConfig())
    assert system.embed.positions.table.shape == (197, 768)
    assert sum(p.numel() for p in system.parameters()) == 86_567_656
