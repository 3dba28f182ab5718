"""A single stream begins as a pretrained encoder of texts."""

import pytest
import torch

from showtell.data.batch import Batch, TextBatch
from showtell.protocols import Encoded
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig
from showtell.systems.pixel_bert import PixelBERTConfig
from showtell.systems.uniter import UNITERConfig
from showtell.train.config import TrainConfig
from showtell.train.optimiser import build_optimiser
from support.tiny import WIDTH, batch

ENCODER = BERTEncoderConfig(20, 24, 3, 2, 40, max_length=16, pooler=False, pooling="mean")
SYSTEMS = {
    "UNITER": UNITERConfig(20, feature_width=WIDTH, text_rate=0.25),
    "Pixel-BERT": PixelBERTConfig(20, backbone="", feature_width=WIDTH, text_rate=0.25),
}


def begun(name):
    """The encoder of texts, and the system that begins as it."""
    torch.manual_seed(0)
    encoder = BERTEncoder(ENCODER).eval()
    for parameter in encoder.parameters():
        parameter.data.normal_(std=0.3)
    system = SYSTEMS[name].with_text_tower(encoder.config).build().eval()
    system.begin_texts(encoder)
    return encoder, system


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_text_whose_image_cannot_be_seen_is_encoded_as_by_the_encoder(name):
    encoder, system = begun(name)
    given = batch()
    texts = TextBatch(given.texts.ids[:4], given.texts.keep[:4])
    images = system.embed_images(Batch(given.images))
    unseen = images.tokens.new_zeros(images.tokens.shape[:2], dtype=torch.bool)
    with torch.inference_mode():
        fused = system.join(texts, Encoded(images.tokens, images.pooled, unseen)).tokens[
            :, : texts.ids.shape[1]
        ]
        alone = encoder.encode_texts(Batch(texts=texts)).tokens
    torch.testing.assert_close(fused[texts.keep], alone[texts.keep], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_pretrained_learns_at_a_rate_of_its_own(name):
    _, system = begun(name)
    optimiser = build_optimiser(system, TrainConfig(steps=1, batch_size=1, learning_rate=1.0))
    slow = {id(p) for group in optimiser.param_groups if group["scale"] == 0.25 for p in group["params"]}
    pretrained = [*system.text.parameters(), *system.transformer.parameters()]
    assert slow == {id(parameter) for parameter in pretrained}
