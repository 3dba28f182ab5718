"""BLIP: its tokens, its three ways through one transformer, its teacher and queues, frozen features."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch
from showtell.objectives.causal_tokens import causal_tokens, next_tokens
from showtell.systems.blip import BLIP, BLIPConfig
from support.tiny import WIDTH, batch, build, seeded, tiny


@pytest.fixture
def blip():
    return build(BLIP)


@pytest.fixture
def over_features():
    torch.manual_seed(0)
    return replace(tiny(BLIPConfig()), feature_width=WIDTH).build().eval()


def test_only_self_attention_separates_reading_from_writing(blip):
    writing = {name for name, _ in blip.towers.text.stack.causal.named_parameters()}
    parts = {name.split(".")[1] for name in writing}
    assert parts == {"attention", "attention_norm"}
    assert len(list(blip.towers.text.stack.causal)) == blip.config.depth


def test_the_first_token_says_what_a_text_is_for(blip):
    """Without rows of [Encode] and [Decode], matching and captions change; the contrast does not."""
    blip.eval()
    given, table = batch(), blip.reader.embed.tokens.weight
    with torch.no_grad():
        before = blip.text_vectors(given), blip.match(blip.fuse(given)), blip(given, seeded()).losses["lm"]
        table[[blip.config.encode_id, blip.config.decode_id]] += 3
        after = blip.text_vectors(given), blip.match(blip.fuse(given)), blip(given, seeded()).losses["lm"]
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])
    assert not torch.allclose(before[2], after[2])


def test_the_language_model_loss_is_that_of_its_captions(blip):
    given, texts = batch(), batch().texts
    memory = blip.prefill(blip.encode_images(given))
    logits = blip.teacher_forced_logits(memory, texts.owner, texts.ids, texts.keep)
    smooth = causal_tokens(logits, next_tokens(texts.ids, texts.keep), blip.config.smoothing)
    torch.testing.assert_close(blip(given, seeded()).losses["lm"], smooth)


def test_matching_sees_each_pair_a_hard_image_and_a_hard_text(blip, monkeypatch):
    seen = []
    ground = blip.ground
    monkeypatch.setattr(blip, "ground", lambda texts, *rest: seen.append(texts.ids) or ground(texts, *rest))
    blip(batch(), seeded())
    (ids,) = seen
    assert len(ids) == 5 + 5 + 4  # texts with their own, texts with another image, images with another text
    assert torch.equal(ids[:5], batch().texts.ids)


def test_the_teacher_follows_and_the_queues_are_a_ring(blip):
    """Queues of 6 and batches of 5 texts: the second batch writes over the oldest four."""
    slow = [p.clone() for p in blip.teacher.net.parameters()]
    first = blip(batch(), seeded())
    blip.after_step(first)
    assert int(blip.queued) == 5
    assert torch.equal(blip.text_queue[:5], first.carry["texts"])
    for before, after, fast in zip(
        slow, blip.teacher.net.parameters(), blip.towers.parameters(), strict=True
    ):
        torch.testing.assert_close(after, before + (1 - blip.config.momentum) * (fast.detach() - before))
    second = blip(batch(), seeded())
    blip.after_step(second)
    assert torch.equal(blip.text_queue[5], second.carry["texts"][0])
    assert torch.equal(blip.text_queue[:4], second.carry["texts"][1:])
    assert torch.equal(blip.text_queue[4], first.carry["texts"][4])


def test_remembered_vectors_are_negatives(blip):
    before = blip(batch(), seeded()).losses["itc"]
    blip.image_queue[:3] = blip.text_queue[:3] = F.normalize(torch.ones(3, WIDTH), dim=1)
    blip.queued += 3
    assert blip(batch(), seeded()).losses["itc"] > before


def test_one_image_has_no_negatives(blip):
    step = blip(batch().part(0, 4), seeded())
    assert all(loss.isfinite() for loss in step.losses.values())


@torch.no_grad()
def test_padded_features_are_not_seen(over_features):
    given = batch()
    longer = ImageBatch(
        features=F.pad(given.images.features, (0, 0, 0, 3), value=5.0),
        keep=F.pad(torch.ones(4, 5, dtype=torch.bool), (0, 3)),
    )
    padded = Batch(longer, given.texts)
    assert over_features.reads == "features"
    torch.testing.assert_close(over_features.image_vectors(padded), over_features.image_vectors(given))
    torch.testing.assert_close(over_features.fuse(padded).pooled, over_features.fuse(given).pooled)
    whole, part = (over_features(one, seeded()).losses["lm"] for one in (given, padded))
    torch.testing.assert_close(part, whole)
