"""The Q-Former: its three masks, by plain loops and by what a change can reach."""

import pytest
import torch

from showtell.data.batch import pad
from showtell.errors import UserError
from showtell.fusion.q_former import QFormer, QFormerConfig
from support.q_former import BIDIRECTIONAL, CAUSAL, UNI_MODAL, joint

QUERIES, WIDTH, PATCHES = 3, 8, 5
ROWS = [[2, 5, 6, 3], [2, 7, 8, 9, 10, 3]]
CLOSE = {"rtol": 0, "atol": 1e-9}


@pytest.fixture(scope="module")
def former():
    torch.manual_seed(0)
    config = QFormerConfig(QUERIES, WIDTH, depth=3, num_heads=2, mlp_dim=12)
    former = QFormer(config, context_width=6, vocab_size=12, max_length=8).double()
    for parameter in former.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.3)
    return former.requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, PATCHES, 6, generator=torch.Generator().manual_seed(1)).double()


def test_every_second_layer_looks_at_the_image(former):
    assert [block.looks for block in former.blocks] == [True, False, True]
    assert not any("cross" in name for name, _ in former.blocks[1].named_parameters())


def test_queries_and_text_alone_are_the_uni_modal_mask(former, images):
    ids, keep = pad(ROWS)
    queries, _ = former.see(former.prefill(images))
    tokens = former.read(ids, keep)
    for row, text in enumerate(ROWS):
        expected = joint(former, images[row], text, UNI_MODAL)
        torch.testing.assert_close(queries[row], expected[:QUERIES], **CLOSE)
        torch.testing.assert_close(tokens[row, : len(text)], expected[QUERIES:], **CLOSE)


def test_both_together_are_the_bi_directional_mask(former, images):
    ids, keep = pad(ROWS)
    queries, tokens = former.ground(ids, keep, former.prefill(images))
    for row, text in enumerate(ROWS):
        expected = joint(former, images[row], text, BIDIRECTIONAL)
        torch.testing.assert_close(queries[row], expected[:QUERIES], **CLOSE)
        torch.testing.assert_close(tokens[row, : len(text)], expected[QUERIES:], **CLOSE)


@pytest.mark.parametrize("size", [1, 2, 6])
def test_text_after_the_queries_is_the_causal_mask(former, images, size):
    """Also in pieces, through the cache."""
    ids, keep = pad(ROWS)
    _, state = former.see(former.prefill(images))
    parts = []
    for at in range(0, ids.shape[1], size):
        tokens, state = former.extend(state, ids[:, at : at + size], keep[:, at : at + size])
        parts.append(tokens)
    for row, text in enumerate(ROWS):
        expected = joint(former, images[row], text, CAUSAL)
        found = torch.cat(parts, 1)[row, : len(text)]
        torch.testing.assert_close(found, expected[QUERIES:], **CLOSE)


def test_a_changed_token_reaches_queries_under_the_bi_directional_mask_and_later_tokens_under_the_causal(
    former, images
):
    ids, keep = pad(ROWS)
    other = ids.clone()
    other[:, 2] = 11
    memory = former.prefill(images)
    _, state = former.see(memory)
    before, after = (former.extend(dict(state), one, keep)[0] for one in (ids, other))
    assert torch.equal(before[:, :2], after[:, :2])
    assert (before[:, 2:] - after[:, 2:]).abs().amax(2)[keep[:, 2:]].min() > 1e-6
    before, after = (former.ground(one, keep, memory)[0] for one in (ids, other))
    assert (before - after).abs().amax(2).min() > 1e-6


def test_a_changed_image_reaches_every_token_after_the_queries_and_none_that_is_read_alone(former, images):
    ids, keep = pad(ROWS)
    found = []
    for seen in (images, images + 1):
        _, state = former.see(former.prefill(seen))
        found.append(former.extend(state, ids, keep)[0])
    assert (found[0] - found[1]).abs().amax(2)[keep].min() > 1e-6


def test_padding_of_images_is_not_looked_at(former, images):
    longer = torch.cat([images, torch.full((2, 2, 6), 9.0).double()], 1)
    keep = torch.arange(PATCHES + 2).expand(2, -1) < PATCHES
    torch.testing.assert_close(
        former.see(former.prefill(longer, keep))[0], former.see(former.prefill(images))[0], **CLOSE
    )


def test_a_text_that_grows_too_long_is_refused(former, images):
    ids, keep = pad([[2] * 9] * 2)
    _, state = former.see(former.prefill(images))
    with pytest.raises(UserError, match="8 tokens"):
        former.extend(state, ids, keep)
