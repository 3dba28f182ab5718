"""Distributed bag of words: one vector predicts the tokens of its text, whatever their order.

Source: Le and Mikolov 2014, "Distributed Representations of Sentences and Documents", section 2.3, with the
vector of an image in the place of a paragraph's.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def bag_of_words(
    logits: Float[Tensor, "B V"], owner: Int[Tensor, " T"], targets: Int[Tensor, " T"]
) -> Float[Tensor, ""]:
    """Mean of `-log p(targets[t] | owner[t])`: negative log-likelihood per token, in nats.

    `logits [B V]` are those of each image, `owner[t]` the image of token `t`.
    """
    return -F.log_softmax(logits, -1)[owner, targets].mean()
