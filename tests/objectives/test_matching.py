"""Image-text matching: negatives are never a text's own image; the loss against loops."""

import math

import pytest
import torch

from showtell.objectives.matching import draw_others, half_replaced, hard_pairs, hardest, matching


def test_negatives_are_the_other_images_evenly():
    owner = torch.tensor([0, 1, 2, 3, 3])
    drawn = draw_others(owner, 4, 3000, torch.Generator().manual_seed(0))
    assert drawn.shape == (5, 3000)
    for row, own in zip(drawn, owner.tolist(), strict=True):
        counts = row.bincount(minlength=4)
        assert counts[own] == 0
        assert (counts[counts > 0] - 1000).abs().max() < 4 * math.sqrt(3000 * 2 / 9)
    with pytest.raises(ValueError, match="no negatives"):
        draw_others(torch.tensor([0]), 1, 1)


def test_half_of_the_pairs_match():
    owner, others = torch.zeros(4000, dtype=torch.long), torch.ones(4000, dtype=torch.long)
    images, matched = half_replaced(owner, others, torch.Generator().manual_seed(0))
    assert torch.equal(images, (~matched).long())
    assert abs(int(matched.sum()) - 2000) < 4 * math.sqrt(1000)


def test_the_hardest_is_the_one_that_scores_highest():
    others = torch.tensor([[1, 2, 3], [0, 2, 3]])
    scores = torch.tensor([[0.1, 0.5, -1.0], [-3.0, -5.0, -2.0]])
    assert hardest(others, scores).tolist() == [2, 3]


def test_the_loss_against_loops():
    logits = torch.tensor([0.3, -2.0, 1.5], dtype=torch.float64, requires_grad=True)
    matched = torch.tensor([True, False, False])
    expected = 0.0
    for logit, match in zip(logits.tolist(), matched.tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        expected -= math.log(p if match else 1 - p)
    assert matching(logits, matched).item() == pytest.approx(expected / 3, abs=1e-12)
    assert torch.autograd.gradcheck(lambda x: matching(x, matched), logits)


def test_hard_pairs_are_each_text_with_its_own_and_a_hard_image_and_each_image_with_a_hard_text():
    logits = torch.zeros(3, 2)
    logits[0, 1] = logits[2, 0] = 5
    owner = torch.tensor([0, 0, 1])
    which, where = hard_pairs(logits, owner, torch.Generator().manual_seed(0))
    assert which[:6].tolist() == [0, 1, 2] * 2
    assert where.tolist() == [0, 0, 1, 1, 1, 0, 0, 1]
    assert which[6] == 2  # the only text that is not of image 0
    assert which[7] in (0, 1)
    only, own = hard_pairs(logits[:2, :1], owner[:2])
    assert (only.tolist(), own.tolist()) == ([0, 1], [0, 0])
