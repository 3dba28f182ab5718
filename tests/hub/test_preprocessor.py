"""Preprocessing equals that of the reference library's image processors, whose files are read and written."""

import json

import numpy as np
import pytest
import torch

from showtell.data.images.preprocess import Preprocessing
from showtell.errors import UserError
from showtell.hub.huggingface.families import clip, dinov2, resnet, siglip, vit
from showtell.hub.huggingface.preprocessor import Preprocessor, preprocessor_config, read_preprocessor
from showtell.nn.pixels import PixelNorm

transformers = pytest.importorskip("transformers")
PROCESSORS = {
    "vit": ("ViTImageProcessorPil", {"size": {"height": 32, "width": 32}}, "squash32-v1"),
    "clip": (
        "CLIPImageProcessorPil",
        {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}},
        "crop24-v1",
    ),
    "dinov2": (
        "BitImageProcessorPil",
        {"size": {"shortest_edge": 37}, "crop_size": {"height": 28, "width": 28}},
        "crop28of37-v1",
    ),
    "convnext": ("ConvNextImageProcessorPil", {"size": {"shortest_edge": 32}}, "crop32of36-v1"),
    "convnext-large": ("ConvNextImageProcessorPil", {"resample": 2}, "squash384-v1"),
    "siglip": ("SiglipImageProcessorPil", {"size": {"height": 32, "width": 32}}, "squash32-bicubic-v1"),
    "bare": ("SiglipImageProcessorPil", {"do_normalize": False, "resample": 1}, "squash224-lanczos-v1"),
}


@pytest.fixture(params=PROCESSORS)
def processor(request, tmp_path):
    name, settings, version = PROCESSORS[request.param]
    reference = getattr(transformers, name)(**settings)
    reference.save_pretrained(tmp_path)
    return reference, read_preprocessor(tmp_path), version


@pytest.mark.parametrize("shape", [(40, 60), (61, 33), (32, 32), (24, 24), (5, 90), (300, 17), (1, 1)])
def test_images_equal_the_references(processor, shape):
    reference, ours, version = processor
    assert ours.version == version
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    theirs = reference(pixels, input_data_format="channels_last", return_tensors="pt")["pixel_values"]
    prepared = torch.from_numpy(Preprocessing.of(version)(pixels)).permute(2, 0, 1)[None]
    found = PixelNorm(ours.mean, ours.std)(prepared)
    torch.testing.assert_close(found, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", [vit, clip, dinov2, resnet, siglip])
def test_a_written_file_is_read_the_same_by_both(processor, family, tmp_path):
    reference, ours, _ = processor
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(preprocessor_config(ours, family.PROCESSOR))
    )
    assert read_preprocessor(tmp_path) == ours
    again = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
    for each in (reference, again):
        each.do_convert_rgb = False  # it would guess the axes of an array
    options = {"input_data_format": "channels_last", "return_tensors": "pt"}
    assert torch.equal(again(pixels, **options)["pixel_values"], reference(pixels, **options)["pixel_values"])


OLD = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3, "do_resize": True}


@pytest.mark.parametrize(
    ("theirs", "version"),
    [
        (OLD | {"size": 224, "crop_size": 224, "do_center_crop": True}, "crop224-v1"),
        (OLD | {"size": 384}, "squash384-bicubic-v1"),
    ],
)
def test_the_oldest_files_have_one_number_for_the_size(theirs, version, tmp_path):
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": theirs}))
    assert read_preprocessor(tmp_path) == Preprocessor(version, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"do_resize": False}, "do_resize is false"),
        ({"do_rescale": False}, "do_rescale is false"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor"),
        ({"size": {"height": 20, "width": 30}}, r"size .* is no square"),
        ({"size": {"longest_edge": 20}}, r"size .* is no square"),
        ({"size": None}, "is not supported"),
        ({"resample": 0}, "resample 0 is none of"),
        ({"image_mean": [0.5]}, "not have three channels"),
        ({"image_std": None}, "is not supported"),
        ({"do_center_crop": True, "crop_size": 9}, "has no shortest_edge alone"),
        ({"do_center_crop": True, "crop_size": 9, "size": 8}, "9 pixels cannot be cropped from 8"),
    ],
)
def test_an_unsupported_setting_is_named(change, reason, tmp_path):
    theirs = OLD | {"size": {"height": 20, "width": 20}} | change
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(theirs))
    with pytest.raises(UserError, match=reason):
        read_preprocessor(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_file_is_named(text, tmp_path):
    with pytest.raises(UserError, match=r"lacks preprocessor_config\.json"):
        read_preprocessor(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(UserError, match=r"preprocessor_config\.json"):
        read_preprocessor(tmp_path)


@pytest.mark.parametrize(
    "version", ["squash224-v2", "crop0-v1", "squash8of9-v1", "crop9of8-v1", "crop8-box-v1"]
)
def test_an_unknown_version_is_refused(version):
    with pytest.raises(ValueError, match=r"cannot be cropped|no preprocessing"):
        Preprocessing.of(version)


def test_a_very_long_image_is_not_enlarged_whole():
    line = np.zeros((1, 50_000, 3), np.uint8)
    line[:, 24_000:26_000] = 255
    assert Preprocessing.of("crop64-v1")(line).min() == 255
