"""BLIP: its tokens, its three ways through one transformer, its teacher and queues, frozen features."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch
from showtell.objectives.causal_tokens import causal_tokens, next_tokens
from showtell.systems.bert import BERTEncoder
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
        before = (
            blip.text_vectors(given),
            blip.match(blip.pair_vectors(given)),
            blip(given, seeded()).losses["lm"],
        )
        table[[blip.config.encode_id, blip.config.decode_id]] += 3
        after = (
            blip.text_vectors(given),
            blip.match(blip.pair_vectors(given)),
            blip(given, seeded()).losses["lm"],
        )
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


@pytest.fixture
def pretrained():
    return build(BERTEncoder).eval()


def test_texts_begin_as_a_pretrained_encoder_and_so_does_the_teacher(pretrained):
    config = tiny(BLIPConfig()).with_text_tower(pretrained.config)
    blip = replace(config, vocab_size=pretrained.config.vocab_size + 2, start_id=1, pooling="mean").build()
    blip.begin_texts(pretrained)
    given = batch()
    one_segment = replace(given.texts, segments=None)
    expected = pretrained.encode_texts(replace(given, texts=one_segment)).tokens
    for towers in (blip.towers, blip.teacher.net):
        torch.testing.assert_close(towers.text_tokens(given.texts).tokens, expected)
    reader = blip.reader
    for block, causal in zip(reader.stack.blocks, reader.stack.causal, strict=True):
        for name, tensor in causal.state_dict().items():
            assert torch.equal(block.state_dict()[name], tensor), name
    start = reader.embed.tokens.weight[1]
    assert torch.equal(reader.embed.tokens.weight[-2:], start.expand(2, -1))
    assert not any(p.requires_grad for p in blip.teacher.parameters())


def test_a_texts_vector_is_its_first_token_or_the_mean_of_the_real_ones(blip):
    texts = batch().texts
    blip.towers.pooling = "mean"
    tokens = blip.towers.text_tokens(texts)
    keep = texts.keep[..., None]
    mean = (tokens.tokens * keep).sum(1) / keep.sum(1)
    torch.testing.assert_close(tokens.pooled, F.normalize(blip.towers.project_text(mean), dim=-1))


def test_pretrained_parts_of_the_texts_have_a_rate_of_their_own():
    blip = replace(tiny(BLIPConfig()), text_rate=0.1).build()
    scales = {}
    for name, _ in blip.named_parameters():
        prefix = max((p for p in blip.rates if name.startswith(p)), key=len, default=None)
        scales[name] = blip.rates[prefix].scale if prefix else 1.0
    slow = {name for name, scale in scales.items() if scale == 0.1}
    assert slow == {n for n in scales if n.startswith("towers.text.") and "cross_attention" not in n}


def test_a_feature_is_hidden_from_all_tokens_of_an_image(over_features):
    tower = over_features.towers.image
    tower.dropout.p, tower.training = 0.5, True
    tower.dropout.train()
    seen = []
    tower.project.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    tower(ImageBatch(features=torch.ones(2, 4, WIDTH)))
    hidden = seen[0] == 0
    assert hidden.any()
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))
    assert not torch.equal(hidden[0], hidden[1])
