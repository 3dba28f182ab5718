"""Objectives against naive loops, and the rates at which words are hidden."""

import math

import pytest
import torch

from showtell.objectives.contrastive import info_nce, symmetric_info_nce
from showtell.objectives.hinge import hardest_hinge
from showtell.objectives.masked_tokens import mask_tokens, masked_tokens
from showtell.objectives.next_sentence import next_sentence


def softmax_loss(scores, target):
    return -scores[target] + math.log(sum(math.exp(s) for s in scores))


def within(count, total, rate):
    """Five standard deviations: a right sampler fails once in a million seeds."""
    return abs(count - total * rate) <= 5 * math.sqrt(total * rate * (1 - rate))


def test_words_are_hidden_at_the_papers_rates():
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


def test_pieces_of_a_word_are_hidden_together():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, 1000, (300, 12), generator=generator)
    groups = torch.tensor([0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5, 5]).expand_as(ids)
    _, masked = mask_tokens(ids, ids > 0, mask_id=4, vocab_size=1000, groups=groups, generator=generator)
    for first, last in ((1, 3), (5, 6), (8, 11)):
        word = masked[:, first : last + 1]
        assert torch.equal(word.any(1), word.all(1))
    assert within(int(masked[:, [0, 1, 4, 5, 7, 8]].sum()), 300 * 6, 0.15)
    assert not torch.equal(masked[:, 3], masked[:, 4])


def test_static_masks_are_those_of_the_row():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, 1000, (400, 20), generator=generator)

    def hide(ids, keep):
        return mask_tokens(ids, keep, mask_id=4, vocab_size=1000, dynamic=False)

    all_real = torch.ones_like(ids, dtype=torch.bool)
    out, masked = hide(ids, all_real)
    assert within(int(masked.sum()), masked.numel(), 0.15)
    assert within(int((out[masked] == 4).sum()), int(masked.sum()), 0.8 + 0.1 / 1000)
    assert not torch.equal(masked[0], masked[1])
    # Another order, and padding, change nothing.
    order = torch.randperm(400, generator=generator)
    padded = torch.nn.functional.pad(ids[order], (0, 3), value=77)
    again, masked_again = hide(padded, torch.nn.functional.pad(all_real, (0, 3)))
    assert torch.equal(again[:, :20], out[order])
    assert torch.equal(masked_again[:, :20], masked[order])
    assert not masked_again[:, 20:].any()


def test_masked_words_against_loops():
    torch.manual_seed(0)
    logits, targets = torch.randn(5, 7, dtype=torch.float64), torch.tensor([0, 6, 3, 3, 1])
    rows = zip(logits.tolist(), targets.tolist(), strict=True)
    expected = sum(softmax_loss(row, target) for row, target in rows) / 5
    assert masked_tokens(logits, targets).item() == pytest.approx(expected, abs=1e-9)
    assert masked_tokens(logits[:0], targets[:0]).item() == 0


def test_next_sentence_against_loops():
    logits, follows = torch.tensor([[2.0, -1.0], [0.5, 0.7]]).double(), torch.tensor([True, False])
    expected = (softmax_loss([2.0, -1.0], 0) + softmax_loss([0.5, 0.7], 1)) / 2
    assert next_sentence(logits, follows).item() == pytest.approx(expected, abs=1e-7)


def test_info_nce_against_loops():
    torch.manual_seed(0)
    anchors, candidates = torch.randn(3, 4).double(), torch.randn(5, 4).double()
    expected = 0.0
    for i in range(3):
        scores = [7.0 * sum((anchors[i, d] * c[d]).item() for d in range(4)) for c in candidates]
        expected += softmax_loss(scores, i) / 3
    assert info_nce(anchors, candidates, 7.0).item() == pytest.approx(expected, abs=1e-9)
    pairs = candidates[:3]
    both = (info_nce(anchors, pairs, 7.0) + info_nce(pairs, anchors, 7.0)) / 2
    assert symmetric_info_nce(anchors, pairs, 7.0).item() == pytest.approx(both.item(), abs=1e-12)
    same = torch.ones(6, 2)
    assert info_nce(same, same, 3.0).item() == pytest.approx(math.log(6))


def test_hinge_against_loops():
    torch.manual_seed(0)
    scores = torch.randn(4, 4, dtype=torch.float64)
    s = scores.tolist()
    expected = 0.0
    for i in range(4):
        others = [j for j in range(4) if j != i]
        expected += max(max(0.0, 0.2 - s[i][i] + s[i][j]) for j in others)
        expected += max(max(0.0, 0.2 - s[i][i] + s[j][i]) for j in others)
    assert hardest_hinge(scores).item() == pytest.approx(expected / 4, abs=1e-12)
    assert hardest_hinge(torch.eye(3)).item() == 0


def test_gradients_are_right():
    torch.manual_seed(0)
    a, b = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(symmetric_info_nce, (a, b, scale))
    assert torch.autograd.gradcheck(info_nce, (a, b, scale))
    assert torch.autograd.gradcheck(lambda x, y: hardest_hinge(x @ y.T), (a, b))
    assert torch.autograd.gradcheck(lambda x: masked_tokens(x, torch.tensor([0, 2, 1, 1])), a)
