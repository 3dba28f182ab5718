"""Any imported image encoder is a backbone: its grid is the reference library's patch tokens."""

import numpy as np
import pytest
import torch
from PIL import Image

from showtell.checkpoint.save import save_checkpoint
from showtell.errors import MissingError, UsageError
from showtell.hub.backbones import TorchRunner, backbone_of, load_backbone
from showtell.hub.sources import load_pretrained
from showtell.pipelines.import_model import import_model
from showtell.systems.bert import BERTEncoderConfig
from showtell.systems.resnet import ResNetEncoderConfig
from support.checkpoints import tiny_checkpoint
from support.image_encoders import ENCODERS, image_encoder


@pytest.fixture(params=ENCODERS, scope="module")
def pair(request, tmp_path_factory):
    return image_encoder(request.param, tmp_path_factory.mktemp(request.param))


@torch.no_grad()
def test_the_grid_is_the_references_patches(pair) -> None:
    reference, processor, patches, folder = pair
    backbone = load_backbone(str(folder))
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (70, 90, 3), np.uint8) for _ in range(3)]
    grid = backbone(np.stack([backbone.prepare(image) for image in images]))
    pixels = processor([Image.fromarray(image) for image in images], return_tensors="pt")["pixel_values"]
    expected = patches(reference, pixels)
    assert grid.shape == (3, backbone.num_tokens, backbone.width)
    assert backbone.num_tokens == int(backbone.num_tokens**0.5) ** 2
    torch.testing.assert_close(grid, expected, atol=2e-5, rtol=2e-5)
    assert backbone(np.empty((0, backbone.size, backbone.size, 3), np.uint8)).shape[1:] == grid.shape[1:]


def test_its_name_is_the_absolute_path_and_its_hash_follows_the_checkpoint(pair, monkeypatch) -> None:
    folder = pair[-1]
    monkeypatch.chdir(folder.parent)
    backbone = load_backbone(f"./{folder.name}")
    assert backbone.name == str(folder.resolve())
    assert load_backbone(backbone.name).hash == backbone.hash
    assert folder.name in backbone.about


def test_openvino_computes_what_torch_computes() -> None:
    system = ResNetEncoderConfig((2, 1), (16, 24), True, stem_width=8).build().eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in system.state_dict().items():
        if "1.weight" in name or "running_var" in name:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    from showtell.hub.openvino import OpenVINORunner

    images = np.random.default_rng(0).integers(0, 256, (3, 50, 50, 3), np.uint8)
    expected = TorchRunner(system, "cpu")(images)
    torch.testing.assert_close(OpenVINORunner(system, 50)(images), expected, atol=1e-4, rtol=1e-4)


def test_what_encodes_no_images_from_pixels_is_refused(tmp_path) -> None:
    sizes = {"vocab_size": 9, "width": 6, "depth": 1, "num_heads": 2, "mlp_dim": 8, "max_length": 5}
    encoder = BERTEncoderConfig(**sizes).build()
    save_checkpoint(tmp_path / "bert", encoder, record={}, tokenizer_json="", preprocess={}, card="")
    with pytest.raises(UsageError, match="BERTEncoder does not encode images"):
        load_backbone(str(tmp_path / "bert"))
    tiny_checkpoint(tmp_path / "captioner")
    with pytest.raises(UsageError, match="reads the features of another, efficientnet_lite0, not pixels"):
        load_backbone(str(tmp_path / "captioner"))


def test_a_folder_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(MissingError, match="moved/dinov2") as error:
        load_backbone(str(tmp_path / "moved" / "dinov2"))
    assert error.value.exit_status == 4


def test_an_imported_classifier_of_a_package_is_its_backbone(tmp_path) -> None:
    package = load_backbone("efficientnet_lite0")
    import_model("efficientnet_lite0", tmp_path / "net")
    imported = load_backbone(str(tmp_path / "net"))
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    assert torch.equal(package(images), imported(images))


def test_a_package_in_this_layout_is_the_same_backbone_without_an_import(pair) -> None:
    """The mean and std of its image processor hold as soon as it is read, not only in the checkpoint."""
    imported = load_backbone(str(pair[-1]))
    given = load_pretrained(str(pair[-1].with_name("theirs")))
    direct = backbone_of(given.system, given.preprocessing, name="package", hash="", about="")
    images = np.random.default_rng(1).integers(0, 256, (2, imported.size, imported.size, 3), np.uint8)
    assert torch.equal(direct(images), imported(images))


def test_backbones_joined_by_a_plus_read_an_image_side_by_side(pair) -> None:
    """Each sees its own square of the same image; the finer grid is averaged over the coarser one."""
    name = str(pair[-1])
    alone = [load_backbone(one) for one in ("efficientnet_lite0", name)]
    both = load_backbone(f"efficientnet_lite0+{name}")
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    tokens = both(np.stack([both.prepare(pixels)]))
    parts = [one(one.prepare(pixels)[None]) for one in alone]
    assert (both.num_tokens, both.width) == (min(p.shape[1] for p in parts), 1280 + parts[1].shape[2])
    assert tokens.shape == (1, both.num_tokens, both.width)
    torch.testing.assert_close(
        tokens.mean(1), torch.cat([p.mean(1) for p in parts], -1), atol=1e-4, rtol=1e-4
    )
    assert load_backbone(both.name).hash == both.hash not in {one.hash for one in alone}
    assert both(np.empty((0, *both.prepare(pixels).shape), np.uint8)).shape[1:] == tokens.shape[1:]


def test_a_backbone_that_is_named_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="efficientnet_lite0 is named twice"):
        load_backbone("efficientnet_lite0+efficientnet_lite0")
