"""Contrast with soft targets against plain loops, and what it becomes at its limits."""

import math

import torch

from showtell.objectives.matching import hard_negatives
from showtell.objectives.soft_targets import soft_cross_entropy


def by_hand(logits, own, teacher, alpha):
    """The formula, one number at a time."""
    total = 0.0
    for row in range(len(logits)):
        norm = sum(math.exp(x) for x in logits[row].tolist())
        believed = sum(math.exp(x) for x in teacher[row].tolist())
        positives = sum(own[row].tolist())
        for column in range(logits.shape[1]):
            target = alpha * math.exp(teacher[row, column]) / believed
            target += (1 - alpha) * own[row, column].item() / positives
            total -= target * (logits[row, column].item() - math.log(norm))
    return total / len(logits)


def test_equals_the_formula_in_loops():
    torch.manual_seed(0)
    logits, teacher = torch.randn(3, 5).double(), torch.randn(3, 5).double()
    own = torch.tensor([[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0]]).bool()
    for alpha in (0.0, 0.4, 1.0):
        found = soft_cross_entropy(logits, own, teacher, alpha).item()
        assert abs(found - by_hand(logits, own, teacher, alpha)) < 1e-6


def test_a_teacher_that_knows_nothing_but_its_own_is_infonce():
    logits, own = torch.randn(4, 4, generator=torch.Generator().manual_seed(1)), torch.eye(4).bool()
    sure = torch.where(own, 50.0, -50.0)
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(4))
    torch.testing.assert_close(soft_cross_entropy(logits, own, sure, 0.7), expected)


def test_hard_negatives_are_never_their_own_and_mostly_alike():
    own = torch.eye(3).bool()
    logits = torch.tensor([[9.0, 5.0, 0.0], [5.0, 9.0, 0.0], [0.0, 4.0, 9.0]])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([hard_negatives(logits, own, generator) for _ in range(200)])
    assert not (drawn == torch.arange(3)).any()
    shares = (drawn == torch.tensor([1, 0, 1])).float().mean(0)
    assert (shares > 0.9).all()
    assert (shares < 1).any(), "the others are drawn too"
