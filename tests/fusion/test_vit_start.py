"""A single stream begins as a pretrained ViT."""

import pytest
import torch

from showtell.data.batch import Batch, ImageBatch
from showtell.systems.dinov2 import DINOv2Config
from showtell.systems.vilt import ViLTConfig
from showtell.systems.vit import ViTEncoderConfig
from showtell.train.config import TrainConfig
from showtell.train.optimiser import build_optimiser

SIZES = {"image_size": 32, "patch_size": 8, "width": 24, "depth": 2, "num_heads": 3, "mlp_dim": 40}
VITS = {
    "ViT": ViTEncoderConfig(**SIZES),
    "DINOv2": DINOv2Config(**SIZES, layer_scale=0.5, mask_token=False),
}


def vit(name):
    torch.manual_seed(0)
    encoder = VITS[name].build().eval()
    for parameter in encoder.parameters():
        parameter.data.normal_(std=0.3)
    return encoder


def begun(encoder, **settings):
    """A ViLT that begins as it."""
    system = ViLTConfig(20, **settings).with_image_tower(encoder.config).build().eval()
    system.begin_images(encoder)
    return system


@pytest.mark.parametrize("name", VITS)
def test_an_image_without_a_text_is_encoded_as_by_the_vit(name):
    encoder = vit(name)
    system = begun(encoder, image_size=32)
    images = Batch(ImageBatch(pixels=torch.rand(2, 3, 32, 32)))
    with torch.inference_mode():
        tokens = system.embed_images(images).tokens - system.modal_types.weight[1]
        through, alone = system.transformer(tokens), encoder.encode_images(images).tokens
    torch.testing.assert_close(through, alone, atol=1e-5, rtol=1e-5)


def test_positions_are_resized_to_the_grid_of_the_images():
    encoder = vit("ViT")
    system = begun(encoder, image_size=48)
    torch.testing.assert_close(system.image.positions, encoder.embed.positions(6, 6))


def test_what_is_pretrained_learns_at_a_rate_of_its_own():
    system = begun(vit("ViT"), image_size=32, image_rate=0.25)
    optimiser = build_optimiser(system, TrainConfig(steps=1, batch_size=1, learning_rate=1.0))
    slow = {id(p) for group in optimiser.param_groups if group["scale"] == 0.25 for p in group["params"]}
    pretrained = [*system.image.parameters(), *system.transformer.parameters()]
    assert slow == {id(parameter) for parameter in pretrained}
