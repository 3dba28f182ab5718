"""Contrastive pairs: several texts per image, chunks, processes."""

import math
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.objectives.contrastive import symmetric_info_nce
from showtell.objectives.gather import gather_pairs
from showtell.objectives.hinge import hardest_hinge, sum_hinge
from showtell.protocols import Contrastive, HasTokenEmbeddings, ImageEncoder, TextEncoder
from showtell.systems.bert import BERTEncoderConfig
from showtell.systems.clip import CLIP, CLIPConfig, TowerConfig
from showtell.systems.lit import LiT, LiTConfig
from showtell.systems.vse import VSE, VSEConfig
from showtell.train.gradient_cache import cached_backward, divide

BERT = BERTEncoderConfig(31, 8, 2, 2, 16, 16, pooler=False, pooling="mean", dropout=0.3)
OWNER = [2, 0, 1, 0, 4, 2, 2]


def build(name):
    torch.manual_seed(0)
    match name:
        case "clip":
            return CLIP(CLIPConfig(TowerConfig(12, 3, 20, 2), TowerConfig(8, 2, 16, 2), 12, 4, 31, 16, 10))
        case "vse":
            return VSE(VSEConfig(31, 6, 5, 8))
        case "lit":
            return LiT(LiTConfig(BERT, 6, 10))


@pytest.fixture
def batch():
    """Five images, the fourth without a text."""
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(1, 30, (n,), generator=generator).tolist() for n in (3, 5, 1, 2, 6, 4, 2)]
    ids, keep = pad(rows)
    return Batch(
        ImageBatch(
            pixels=torch.randint(256, (5, 3, 12, 12), dtype=torch.uint8, generator=generator),
            features=torch.randn(5, 4, 6, generator=generator),
        ),
        TextBatch(ids, keep, owner=torch.tensor(OWNER)),
    )


def double(batch):
    images = ImageBatch(pixels=batch.images.pixels, features=batch.images.features.double())
    return replace(batch, images=images)


def unit(*shape):
    return F.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1).requires_grad_()


def gradients(system):
    return {name: p.grad.clone() for name, p in system.named_parameters() if p.grad is not None}


def test_info_nce_with_several_texts_per_image_against_loops():
    torch.manual_seed(0)
    images, texts = unit(5, 4), unit(7, 4)
    s = (3.0 * texts @ images.T).tolist()
    to_image = to_text = 0.0
    for r, own in enumerate(OWNER):
        to_image -= s[r][own] - math.log(sum(math.exp(s[r][b]) for b in range(5)))
        rivals = [q for q in range(7) if OWNER[q] != own]
        to_text -= s[r][own] - math.log(math.exp(s[r][own]) + sum(math.exp(s[q][own]) for q in rivals))
    loss = symmetric_info_nce(images, texts, 3.0, torch.tensor(OWNER))
    assert loss.item() == pytest.approx((to_image + to_text) / 14, abs=1e-12)
    assert torch.autograd.gradcheck(
        lambda x, y: symmetric_info_nce(x, y, 3.0, torch.tensor(OWNER)), (images, texts)
    )


def test_hinge_with_several_texts_per_image_against_loops():
    torch.manual_seed(0)
    scores = torch.randn(5, 7, dtype=torch.float64)
    s, expected = scores.tolist(), 0.0
    for r, own in enumerate(OWNER):
        expected += max(max(0.0, 0.2 - s[own][r] + s[own][q]) for q in range(7) if OWNER[q] != own)
        expected += max(max(0.0, 0.2 - s[own][r] + s[b][r]) for b in range(5) if b != own)
    assert hardest_hinge(scores, 0.2, torch.tensor(OWNER)).item() == pytest.approx(expected / 7, abs=1e-12)


def test_the_sum_of_hinges_against_loops():
    torch.manual_seed(0)
    scores = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    s, expected = scores.tolist(), 0.0
    for r, own in enumerate(OWNER):
        expected += sum(max(0.0, 0.2 - s[own][r] + s[own][q]) for q in range(7) if OWNER[q] != own)
        expected += sum(max(0.0, 0.2 - s[own][r] + s[b][r]) for b in range(5) if b != own)
    owner = torch.tensor(OWNER)
    assert sum_hinge(scores, 0.2, owner).item() == pytest.approx(expected / 7, abs=1e-12)
    assert torch.autograd.gradcheck(lambda x: sum_hinge(x, 0.2, owner), scores)


def test_the_first_updates_of_vse_count_every_negative(batch):
    system = VSE(VSEConfig(31, 6, 5, 8, warmup_updates=2))
    images, texts = system.encode_pairs(batch)
    scores = images @ texts.T
    for hinge in (sum_hinge, sum_hinge, hardest_hinge, hardest_hinge):
        step = system(batch)
        torch.testing.assert_close(step.losses["hinge"], hinge(scores, 0.2, batch.texts.owner))
        system.after_step(step)


def test_the_texts_of_one_image_are_no_negatives_of_each_other():
    torch.manual_seed(0)
    texts = unit(3, 4)
    images = unit(1, 4)
    loss = symmetric_info_nce(images, texts, 3.0, torch.zeros(3, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
    assert not texts.grad.any()
    assert not images.grad.any()


@pytest.mark.parametrize("name", ["clip", "vse", "lit"])
def test_systems_keep_the_protocols_and_forward_is_compare_after_embed(name, batch):
    system = build(name)
    for protocol in (Contrastive, ImageEncoder, TextEncoder, HasTokenEmbeddings):
        assert isinstance(system, protocol)
    system.eval()
    (loss,) = system(batch).losses.values()
    images, texts = system.encode_images(batch), system.encode_texts(batch)
    (again,) = system.compare((images.pooled, texts.pooled), batch).losses.values()
    assert torch.equal(loss, again)
    for encoded in (images, texts):
        assert encoded.tokens.shape[:2] == (len(encoded.pooled), encoded.tokens.shape[1])
        torch.testing.assert_close(encoded.pooled.norm(dim=1), torch.ones(len(encoded.pooled)))


@pytest.mark.parametrize("name", ["vse", "lit"])
def test_padding_is_not_seen(name, batch):
    system = build(name).eval()
    pooled = system.encode_texts(batch).pooled
    for row, length in enumerate(batch.texts.keep.sum(1).tolist()):
        alone = Batch(
            texts=TextBatch(batch.texts.ids[row : row + 1, :length], batch.texts.keep[row : row + 1, :length])
        )
        torch.testing.assert_close(
            system.encode_texts(alone).pooled, pooled[row : row + 1], atol=1e-6, rtol=1e-5
        )


@pytest.mark.parametrize("name", ["vse", "lit"])
def test_it_overfits_one_batch_with_every_parameter(name, batch):
    system = build(name)
    optimiser = torch.optim.Adam(system.parameters(), 0.01)
    for index in range(100):
        step = system(batch)
        optimiser.zero_grad()
        (loss,) = step.losses.values()
        loss.backward()
        if not index:
            assert [n for n, p in system.named_parameters() if not p.grad.any()] == []
        optimiser.step()
        system.after_step(step)
    system.eval()
    scores = system.encode_texts(batch).pooled @ system.encode_images(batch).pooled.T
    assert scores.argmax(1).tolist() == OWNER


def backward(system, batch, chunk_size, autocast=nullcontext):
    system.zero_grad(set_to_none=True)
    return cached_backward(
        system,
        batch,
        torch.Generator().manual_seed(3),
        lambda step: sum(step.losses.values()),
        chunk_size=chunk_size,
        autocast=autocast,
    )


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 9])
@pytest.mark.parametrize("name", ["clip", "vse", "lit"])
def test_chunks_have_the_gradients_of_the_whole_batch(name, chunk_size, batch):
    system, batch = build(name).double().eval(), double(batch)
    step = system(batch)
    sum(step.losses.values()).backward()
    whole = gradients(system)
    chunked = backward(system, batch, chunk_size)
    for loss, same in zip(step.losses.values(), chunked.losses.values(), strict=True):
        assert loss.item() == pytest.approx(same.item(), abs=1e-12)
    assert gradients(system).keys() == whole.keys()
    for name_, gradient in gradients(system).items():
        torch.testing.assert_close(gradient, whole[name_], atol=1e-12, rtol=1e-10)


def test_dropout_is_the_same_in_both_passes(batch):
    system, batch = build("lit").double(), double(batch)
    backward(system, batch, 2)
    weight = system.project_text.weight
    gradient = weight.grad.clone()
    direction = torch.randn_like(weight, generator=torch.Generator().manual_seed(1))

    def loss(shift):
        weight.data.add_(shift * direction)
        step = backward(system, batch, 2)
        weight.data.sub_(shift * direction)
        return step.losses["contrast"].item()

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-6)
    torch.manual_seed(9)
    assert loss(0.0) == loss(0.0)


def test_bfloat16_is_kept_in_chunks(batch):
    system = build("lit").eval()
    autocast = partial(torch.autocast, "cpu", torch.bfloat16)
    with autocast():
        whole = sum(system(batch).losses.values())
    whole.backward()
    expected = gradients(system)
    backward(system, batch, 2, autocast)
    for name, gradient in gradients(system).items():
        torch.testing.assert_close(gradient, expected[name], atol=2e-3, rtol=0.1)


def test_only_a_contrastive_system_is_chunked(batch):
    with pytest.raises(ValueError, match=r"train\.chunk_size must be 0"):
        cached_backward(
            torch.nn.Linear(1, 1), batch, torch.Generator(), lambda s: s, chunk_size=2, autocast=nullcontext
        )


def test_chunks_cover_the_batch(batch):
    chunks = divide(batch, 2)
    assert [len(c.images) for c in chunks] == [2, 2, 1]
    assert torch.equal(torch.cat([c.texts.ids for c in chunks]), batch.texts.ids)
    assert torch.equal(torch.cat([c.images.pixels for c in chunks]), batch.images.pixels)


def _process(rank, address, images, texts, split, results):
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    mine = [t.detach().clone().requires_grad_() for t in split(images, texts, rank)[:2]]
    owner = split(images, texts, rank)[2]
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    loss = symmetric_info_nce(*gather_pairs(*mine, owner)[:2], scale, gather_pairs(*mine, owner)[2])
    loss.backward()
    results[rank] = [t.detach() for t in (loss, scale.grad, *(m.grad for m in mine))]
    distributed.destroy_process_group()


def _uneven(images, texts, rank):
    """Three images with their five texts, and two with two."""
    if rank == 0:
        return images[:3], texts[:5], torch.tensor([2, 0, 1, 0, 2])
    return images[3:], texts[5:], torch.tensor([1, 1])


def test_two_processes_have_the_loss_and_gradients_of_one(tmp_path):
    torch.manual_seed(0)
    images, texts = unit(5, 4), unit(7, 4)
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    loss = symmetric_info_nce(images, texts, scale, torch.tensor([2, 0, 1, 0, 2, 4, 4]))
    loss.backward()
    results = multiprocessing.get_context("spawn").Manager().dict()
    multiprocessing.spawn(
        _process,
        (f"file://{tmp_path / 'meeting'}", images.detach(), texts.detach(), _uneven, results),
        nprocs=2,
    )
    found = [results[rank] for rank in (0, 1)]
    for one in found:
        torch.testing.assert_close(one[0], loss.detach())
        torch.testing.assert_close(one[1], scale.grad)
    # Averaged over the processes, like the gradients of parameters.
    for place, whole in ((2, images.grad), (3, texts.grad)):
        torch.testing.assert_close(torch.cat([one[place] for one in found]) / 2, whole)
