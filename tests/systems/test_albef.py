"""ALBEF: what the text alone is read by, and masked words whose targets the teacher has a say in."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.objectives.masked_tokens import mask_tokens
from showtell.systems.albef import ALBEF
from support.tiny import batch, build, seeded


@pytest.fixture
def albef():
    return build(ALBEF)


@torch.no_grad()
def test_the_lower_half_alone_reads_the_texts_of_the_contrast(albef):
    albef.eval()
    before = albef.text_vectors(batch()), albef.fuse(batch()).pooled
    for parameter in albef.towers.fusion.parameters():
        parameter.add_(1)
    after = albef.text_vectors(batch()), albef.fuse(batch()).pooled
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


@torch.no_grad()
def test_a_text_that_is_read_already_is_not_read_again(albef, monkeypatch):
    albef.eval()
    texts = batch().texts
    memory = albef.towers.prefill(albef.encode_images(batch()))
    memory = {name: tensor[texts.owner] for name, tensor in memory.items()}
    whole, read = albef.ground(texts, memory), albef.embed_texts(texts)
    monkeypatch.setattr(albef.towers, "text_tokens", None)
    assert torch.equal(albef.ground(texts, memory, read), whole)


def test_the_loss_of_masked_words_is_equation_7(albef):
    """The words and the teacher's opinion of them, row by row."""
    albef.config = replace(albef.config, distillation=0.4)
    given, c = batch(), albef.config
    generator = seeded()
    found = albef(given, generator).losses["mlm"]
    ids, masked = mask_tokens(
        given.texts.ids,
        given.texts.keep,
        mask_id=c.mask_id,
        vocab_size=c.vocab_size,
        special=c.special,
        rate=c.mask_rate,
        generator=seeded(),
    )
    texts, total = replace(given.texts, ids=ids), 0.0
    student, teacher = albef.towers, albef.teacher.net
    for row in range(len(texts)):
        own = replace(given, images=given.images.part(slice(*[int(texts.owner[row]) + i for i in (0, 1)])))
        one = replace(texts.part(slice(row, row + 1)), owner=None)
        said, opinion = (
            net.masked_logits(one, net.prefill(net.image_tokens(own)), masked[row : row + 1])
            for net in (student, teacher)
        )
        right = F.cross_entropy(said, given.texts.ids[row][masked[row]], reduction="sum")
        soft = -(opinion.softmax(1) * said.log_softmax(1)).sum()
        total += (0.6 * right + 0.4 * soft).item()
    assert found.item() == pytest.approx(total / int(masked.sum()), abs=1e-5)
