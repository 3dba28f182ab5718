"""CLIP equals the reference library, trims padding exactly, and overfits a batch."""

import math

import pytest
import torch
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.hub.huggingface.families.clip import table
from showtell.hub.huggingface.folder import import_folder
from showtell.nn.watch import watch_layers
from showtell.protocols import HasTokenEmbeddings, ImageEncoder, TextEncoder, Trainable
from showtell.systems.clip import CLIP, CLIPConfig, TowerConfig
from support.hf import imported, same_bits, same_gradients

END = 30
SMALL = CLIPConfig(TowerConfig(12, 3, 20, 2), TowerConfig(8, 2, 16, 2), 12, 4, 31, 16, 10)


def texts(rows, length=0):
    ids, keep = pad([[*row, END] for row in rows], padding=END)
    extra = max(length - ids.shape[1], 0)
    return F.pad(ids, (0, extra), value=END), F.pad(keep, (0, extra))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (3, 3, 12, 12), dtype=torch.uint8, generator=generator)
    ids, keep = texts([[1, 2, 3], [4], [5, 6, 7, 8]])
    return Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep, owner=torch.tensor([2, 0, 1])))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 21}
    config = transformers.CLIPConfig(
        text_config={
            "hidden_size": 9,
            "vocab_size": 31,
            "max_position_embeddings": 16,
            "bos_token_id": 0,
            "eos_token_id": END,
            **sizes,
        },
        vision_config={"hidden_size": 12, "image_size": 12, "patch_size": 4, **sizes},
        projection_dim=10,
    )
    folder = tmp_path_factory.mktemp("clip")
    reference = transformers.CLIPModel(config)
    return reference, imported(reference, folder), folder


@pytest.mark.parametrize("size", [(12, 12), (17, 22)])
@pytest.mark.parametrize("rows", [[[1, 2, 3], [4, 5, 6]], [[1, 2, 3, 4, 5], [6]]], ids=["full", "padded"])
def test_forward_and_every_gradient(pair, size, rows):
    reference, ours, _ = pair
    ids, keep = texts(rows)
    pixels = torch.randint(256, (2, 3, *size), dtype=torch.uint8)
    mean, std = (torch.tensor(v)[:, None, None] for v in (ours.config.mean, ours.config.std))
    theirs = reference(
        input_ids=ids,
        attention_mask=keep.long(),
        pixel_values=(pixels / 255 - mean) / std,
        interpolate_pos_encoding=True,
        return_loss=True,
    )
    batch = Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep, owner=torch.arange(2)))
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(ours.encode_images(batch).pooled, theirs.image_embeds, **close)
    torch.testing.assert_close(ours.encode_texts(batch).pooled, theirs.text_embeds, **close)
    loss = ours(batch).losses["contrast"]
    torch.testing.assert_close(loss, theirs.loss, **close)
    ours.zero_grad()
    reference.zero_grad()
    loss.backward()
    theirs.loss.backward()
    same_gradients(ours, reference, table(ours.config))


def test_import_and_export_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    again = import_folder(tmp_path)
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, ours.state_dict()[name]), name


def test_padding_to_77_changes_nothing(batch):
    torch.manual_seed(0)
    system = CLIP(SMALL)
    ids, keep = texts([[1, 2, 3], [4], [5, 6, 7, 8]], length=16)
    with watch_layers() as layers:
        padded = system.encode_texts(Batch(texts=TextBatch(ids, keep)))
    assert {tokens.shape[1] for tokens in layers} == {5}
    assert torch.equal(padded.pooled, system.encode_texts(batch).pooled)
    one = system.encode_texts(Batch(texts=TextBatch(ids[1:2, :2], keep[1:2, :2])))
    torch.testing.assert_close(one.pooled, padded.pooled[1:2], atol=1e-5, rtol=1e-5)


def test_it_overfits_one_batch_with_every_parameter(batch):
    torch.manual_seed(0)
    system = CLIP(SMALL)
    for protocol in (Trainable, ImageEncoder, TextEncoder, HasTokenEmbeddings):
        assert isinstance(system, protocol)
    optimiser = torch.optim.Adam(system.parameters(), 0.003)
    for _ in range(150):
        step = system(batch)
        optimiser.zero_grad()
        step.losses["contrast"].backward()
        optimiser.step()
        system.after_step(step)
    assert step.losses["contrast"] < 0.1
    assert [n for n, p in system.named_parameters() if not p.grad.any()] == []
    similarity = system.encode_texts(batch).pooled @ system.encode_images(batch).pooled.T
    assert similarity.argmax(1).tolist() == [2, 0, 1]


def test_the_logit_scale_is_clipped_at_100(batch):
    system = CLIP(SMALL)
    with torch.no_grad():
        system.log_logit_scale.fill_(9.0)
    system.after_step(system(batch))
    assert system.log_logit_scale.exp().item() == pytest.approx(100)


def test_the_papers_sizes_are_the_defaults():
    with torch.device("meta"):
        system = CLIP(CLIPConfig())
    assert sum(p.numel() for p in system.parameters()) == 151_277_313
    assert math.exp(-math.log(CLIPConfig().temperature)) == pytest.approx(1 / 0.07)
