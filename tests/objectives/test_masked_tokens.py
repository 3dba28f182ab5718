"""Masked tokens: the rates and groups of the masks, and the loss against loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from showtell.objectives.masked_tokens import mask_tokens, masked_tokens


def softmax_loss(scores, target):
    return -scores[target] + math.log(sum(math.exp(s) for s in scores))


def within(count, total, rate):
    """Within five standard deviations: a right sampler fails once in a million seeds."""
    return abs(count - total * rate) <= 5 * math.sqrt(total * rate * (1 - rate))


def test_tokens_are_masked_at_the_papers_rates():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, 1000, (1000, 100), generator=generator)
    keep = torch.arange(100) < 90
    keep = keep.expand_as(ids)
    ids[:, 0] = 2
    out, masked = mask_tokens(ids, keep, mask_id=4, vocab_size=1000, special=(2, 4), generator=generator)
    assert not masked[:, 0].any()
    assert not masked[:, 90:].any()
    assert torch.equal(out[~masked], ids[~masked])
    total, hidden = 1000 * 89, int(masked.sum())
    assert within(hidden, total, 0.15)
    became, was = out[masked], ids[masked]
    assert within(int((became == 4).sum()), hidden, 0.8 + 0.1 / 1000)
    assert within(int((became == was).sum()), hidden, 0.1 + 0.1 / 1000)
    random = became[(became != 4) & (became != was)]
    assert within(int((random < 500).sum()), len(random), 0.5)


def test_pieces_of_a_word_are_masked_together():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, 1000, (300, 12), generator=generator)
    groups = torch.tensor([0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5, 5]).expand_as(ids)
    _, masked = mask_tokens(ids, ids > 0, mask_id=4, vocab_size=1000, groups=groups, generator=generator)
    for first, last in ((1, 3), (5, 6), (8, 11)):
        word = masked[:, first : last + 1]
        assert torch.equal(word.any(1), word.all(1))
    assert within(int(masked[:, [0, 1, 4, 5, 7, 8]].sum()), 300 * 6, 0.15)
    assert not torch.equal(masked[:, 3], masked[:, 4])


def test_static_masks_depend_on_the_row_alone():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, 1000, (400, 20), generator=generator)

    def mask(ids, keep):
        return mask_tokens(ids, keep, mask_id=4, vocab_size=1000, dynamic=False)

    all_real = torch.ones_like(ids, dtype=torch.bool)
    out, masked = mask(ids, all_real)
    assert within(int(masked.sum()), masked.numel(), 0.15)
    assert within(int((out[masked] == 4).sum()), int(masked.sum()), 0.8 + 0.1 / 1000)
    assert not torch.equal(masked[0], masked[1])
    # Order and padding change nothing.
    order = torch.randperm(400, generator=generator)
    padded = F.pad(ids[order], (0, 3), value=77)
    again, masked_again = mask(padded, F.pad(all_real, (0, 3)))
    assert torch.equal(again[:, :20], out[order])
    assert torch.equal(masked_again[:, :20], masked[order])
    assert not masked_again[:, 20:].any()


def test_masked_tokens_against_loops():
    torch.manual_seed(0)
    logits, targets = torch.randn(5, 7, dtype=torch.float64), torch.tensor([0, 6, 3, 3, 1])
    rows = zip(logits.tolist(), targets.tolist(), strict=True)
    expected = sum(softmax_loss(row, target) for row, target in rows) / 5
    assert masked_tokens(logits, targets).item() == pytest.approx(expected, abs=1e-9)
    assert masked_tokens(logits[:0], targets[:0]).item() == 0


def test_gradients_are_right():
    torch.manual_seed(0)
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: masked_tokens(x, torch.tensor([0, 2, 1, 1])), logits)
