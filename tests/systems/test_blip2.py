"""BLIP-2: its losses in plain loops, its queries, what is frozen, how its texts and its captioner begin."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.objectives.matching import hard_pairs
from showtell.systems.bert import BERTEncoder
from showtell.systems.blip2 import BLIP2, BLIP2Config
from showtell.systems.blip2_captioner import BLIP2Captioner, BLIP2CaptionerConfig
from showtell.tasks.pair_scores import pair_scores
from support.q_former import BIDIRECTIONAL, CAUSAL, UNI_MODAL, joint
from support.tiny import WIDTH, batch, build, seeded, tiny


@pytest.fixture
def blip2():
    return build(BLIP2)


@pytest.fixture
def over_features():
    torch.manual_seed(0)
    return replace(tiny(BLIP2Config()), feature_width=WIDTH).build()


def in_loops(system, given, generator):
    """The three losses of a batch, pair by pair and token by token."""
    c, count = system.config, system.config.former.num_queries
    images = system.image(given.images).tokens
    owner = given.texts.owner.tolist()
    rows = [ids[keep].tolist() for ids, keep in zip(given.texts.ids, given.texts.keep, strict=True)]
    queries = [joint(system.former, image, [2], UNI_MODAL)[:count] for image in images]
    read = [joint(system.former, images[0], row, UNI_MODAL)[count] for row in rows]

    scores = (
        torch.stack(
            [
                torch.stack(
                    [
                        max(
                            F.normalize(system.project_image(q), dim=0)
                            @ F.normalize(system.project_text(text), dim=0)
                            for q in seen
                        )
                        for seen in queries
                    ]
                )
                for text in read
            ]
        )
        / system.log_temperature.exp()
    )
    itc = []
    for r, b in enumerate(owner):
        itc.append(-(scores[r, b] - scores[r].exp().sum().log()))
        others = [t for t, other in enumerate(owner) if other != b]
        rivals = torch.stack([scores[r, b], *scores[others, b]])
        itc.append(-(scores[r, b] - rivals.exp().sum().log()))

    which, where = hard_pairs(scores, given.texts.owner, generator)
    itm = []
    for place, (r, b) in enumerate(zip(which.tolist(), where.tolist(), strict=True)):
        seen = joint(system.former, images[b], rows[r], BIDIRECTIONAL)[:count]
        no, yes = sum(system.itm_head(q) for q in seen) / count
        right = owner[r] == b
        assert right == (place < len(rows))
        itm.append(-(yes if right else no) + (yes.exp() + no.exp()).log())

    lm = []
    for r, b in enumerate(owner):
        begun = [c.decode_id, *rows[r][1:]]
        tokens = joint(system.former, images[b], begun[:-1], CAUSAL)[count:]
        for token, target in zip(tokens, begun[1:], strict=True):
            logprob = system.next_token_logits(token[None])[0].log_softmax(0)
            lm.append(-(1 - c.smoothing) * logprob[target] - c.smoothing * logprob.mean())
    return {name: sum(loss) / len(loss) for name, loss in {"itc": itc, "itm": itm, "lm": lm}.items()}


@pytest.mark.parametrize("kind", ["blip2", "over_features"])
@torch.no_grad()
def test_the_losses_are_those_of_plain_loops(kind, request):
    system = request.getfixturevalue(kind).double()
    step, expected = system(batch(torch.float64), seeded()), in_loops(system, batch(torch.float64), seeded())
    for name, loss in expected.items():
        torch.testing.assert_close(step.losses[name], loss, rtol=0, atol=1e-6, msg=name)
    real = batch().texts.keep
    assert step.counts == {"itc": 5, "itm": 5, "lm": int(real.sum()) - 5}


def test_one_image_has_no_negatives(blip2):
    step = blip2(batch().part(0, 4), seeded())
    assert all(loss.isfinite() for loss in step.losses.values())


def test_the_frozen_image_encoder_is_never_trained(blip2, over_features):
    assert not any(parameter.requires_grad for parameter in blip2.image.parameters())
    assert not any(parameter.requires_grad for parameter in build(BLIP2Captioner).image.parameters())
    assert all(parameter.requires_grad for parameter in over_features.parameters())


@torch.no_grad()
def test_an_image_is_found_by_the_query_that_is_most_alike(blip2):
    """Its vectors have length 1 each; `pooled` is their mean, also of length 1."""
    blip2.eval()
    encoded = blip2.encode_images(batch())
    vectors = blip2.query_vectors(encoded)
    assert vectors.shape == (4, 3, WIDTH)
    torch.testing.assert_close(vectors.norm(dim=2), torch.ones(4, 3))
    torch.testing.assert_close(encoded.pooled, F.normalize(vectors.mean(1), dim=1))


@torch.no_grad()
def test_a_pair_is_scored_by_match_and_contrast(blip2):
    """As the published code ranks; the cosine over the temperature, so that both are nats."""
    given, system = batch(), blip2.eval()
    rows = [ids[keep].tolist() for ids, keep in zip(given.texts.ids, given.texts.keep, strict=True)]
    images = system.image(given.images).tokens
    scores = pair_scores(system, rows, system.embed_images(given))
    count = system.config.former.num_queries
    for r, row in enumerate(rows):
        text = F.normalize(system.project_text(joint(system.former, images[0], row, UNI_MODAL)[count]), dim=0)
        for b, image in enumerate(images):
            seen = joint(system.former, image, row, BIDIRECTIONAL)[:count]
            no, yes = sum(system.itm_head(q) for q in seen) / count
            queries = joint(system.former, image, [2], UNI_MODAL)[:count]
            alike = max(F.normalize(system.project_image(q), dim=0) @ text for q in queries)
            expected = yes - no + alike / system.log_temperature.exp()
            torch.testing.assert_close(scores[r, b], expected, atol=1e-4, rtol=1e-4)


def test_the_temperature_stays_in_its_range(blip2):
    for value, kept in ((-20.0, 0.001), (3.0, 0.5)):
        blip2.log_temperature.data.fill_(value)
        blip2.after_step(None)
        assert blip2.log_temperature.item() == pytest.approx(math.log(kept))


@torch.no_grad()
def test_texts_begin_as_a_pretrained_encoder():
    pretrained = build(BERTEncoder).eval()
    config = tiny(BLIP2Config()).with_text_tower(pretrained.config)
    blip2 = replace(config, vocab_size=pretrained.config.vocab_size + 1, start_id=1).build().eval()
    blip2.begin_texts(pretrained)
    given = batch()
    expected = pretrained.encode_texts(replace(given, texts=replace(given.texts, segments=None))).tokens
    torch.testing.assert_close(blip2.encode_texts(given).tokens, expected)
    for block in blip2.former.blocks:
        for name, tensor in block.mlp.state_dict().items():
            assert torch.equal(block.query_mlp.state_dict()[name], tensor)
    table = blip2.former.embed.tokens.weight
    assert torch.equal(table[-1], table[1])


def test_pretrained_parts_of_the_texts_have_a_rate_of_their_own():
    blip2 = replace(tiny(BLIP2Config()), text_rate=0.1).build()
    slow, used = set(), set()
    for name, _ in blip2.named_parameters():
        prefix = max((p for p in blip2.rates if name.startswith(p)), key=len, default=None)
        used.add(prefix)
        if prefix and blip2.rates[prefix].scale == 0.1:
            slow.add(name)
    assert used >= blip2.rates.keys()
    assert slow == {
        name
        for name, _ in blip2.named_parameters()
        if name.startswith("former.") and "cross" not in name and name != "former.queries"
    }


@torch.no_grad()
def test_the_captioner_begins_with_the_queries_of_the_first_stage(over_features):
    config = tiny(BLIP2CaptionerConfig()).with_first_stage(over_features.config)
    captioner = config.build().eval()
    over_features.eval()
    over_features.image.norm.weight.mul_(2)
    captioner.begin_queries(over_features)
    former, seen = over_features.former, over_features.image(batch().images)
    queries, _ = former.see(former.prefill(seen.tokens))
    encoded = captioner.encode_images(batch())
    torch.testing.assert_close(encoded.tokens, captioner.project(queries))
    assert encoded.tokens.shape == (4, 3, WIDTH)


def test_gradients_pass_through_the_frozen_language_model_to_queries_and_projection():
    config = replace(tiny(BLIP2CaptionerConfig()), train_language=False)
    captioner = config.build()
    assert not BLIP2CaptionerConfig().train_language
    captioner(batch()).losses["lm"].backward()
    reached = {name.split(".")[0] for name, p in captioner.named_parameters() if p.grad is not None}
    assert reached == {"former", "project"}


@torch.no_grad()
def test_positions_tell_queries_that_are_alike_apart():
    config = replace(tiny(BLIP2CaptionerConfig()), positions=True, position_rate=20, former_rate=0.05)
    captioner = config.build().eval()
    captioner.former.queries[1:] = captioner.former.queries[0]
    tokens = captioner.encode_images(batch()).tokens
    alike = tokens - captioner.positions
    torch.testing.assert_close(alike, alike[:, :1].expand_as(alike))
    assert not torch.allclose(tokens[:, 1], tokens[:, 0])
    assert {part: rate.scale for part, rate in captioner.rates.items()} == {"former.": 0.05, "positions": 20}
    assert build(BLIP2Captioner).rates.keys() == {"former."}
    assert not captioner.requires_grad_(False).rates, "an adapter is trained beside parts that stay"
