"""Next sentence prediction against loops."""

import math

import pytest
import torch

from showtell.objectives.next_sentence import next_sentence


def softmax_loss(scores, target):
    return -scores[target] + math.log(sum(math.exp(s) for s in scores))


def test_next_sentence_against_loops():
    logits, follows = torch.tensor([[2.0, -1.0], [0.5, 0.7]]).double(), torch.tensor([True, False])
    expected = (softmax_loss([2.0, -1.0], 0) + softmax_loss([0.5, 0.7], 1)) / 2
    assert next_sentence(logits, follows).item() == pytest.approx(expected, abs=1e-7)
