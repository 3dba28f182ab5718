"""Next-token prediction: cross-entropy over real tokens."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def predicted(
    keep: Bool[Tensor, "R L"],
    sequences: Int[Tensor, "R L"] | None = None,
    answers: Bool[Tensor, "R L"] | None = None,
) -> Bool[Tensor, "R L-1"]:
    """Which of the tokens after the first are predicted: the real ones, but the first of each text.

    `sequences [R L]` is the index of a token's text in a packed row; where some tokens are `answers [R L]`,
    they alone are predicted.
    """
    chosen = keep[:, 1:] if answers is None else keep[:, 1:] & answers[:, 1:]
    return chosen if sequences is None else chosen & (sequences[:, 1:] == sequences[:, :-1])


def next_tokens(ids: Int[Tensor, "R L"], keep: Bool[Tensor, "R L"]) -> Int[Tensor, " T"]:
    """The predicted tokens `[T]`, row by row, where each row is one text."""
    return ids[:, 1:][predicted(keep)]


def causal_tokens(
    logits: Float[Tensor, "T V"], targets: Int[Tensor, " T"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Mean of `-log p(target)`: negative log-likelihood per token, in nats.

    With label `smoothing` e, the target is `1 - e` for the right token plus `e / V` for every token (Szegedy
    et al. 2016, section 7).
    """
    return F.cross_entropy(logits, targets, label_smoothing=smoothing)
