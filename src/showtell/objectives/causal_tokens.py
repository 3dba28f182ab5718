"""Predict each next word: cross-entropy over the real words of a caption."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def predicted(
    keep: Bool[Tensor, "R L"], sequences: Int[Tensor, "R L"] | None = None
) -> Bool[Tensor, "R L-1"]:
    """Which of the words `[R 1:]` are to be predicted: every real one but the first of each text.

    `sequences [R L]` tells the texts of a row apart.
    """
    chosen = keep[:, 1:]
    return chosen if sequences is None else chosen & (sequences[:, 1:] == sequences[:, :-1])


def next_tokens(ids: Int[Tensor, "R L"], keep: Bool[Tensor, "R L"]) -> Int[Tensor, " T"]:
    """The words to be predicted, `[T]`, row by row, where a row is one text."""
    return ids[:, 1:][predicted(keep)]


def causal_tokens(
    logits: Float[Tensor, "T V"], targets: Int[Tensor, " T"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Mean of `-log p(target)` over words that are not padding; nats.

    `logits [T V]`, `targets [T]`. With `smoothing` e, the target is `1 - e` for the word plus `e / V`
    for every word (Szegedy et al. 2016, section 7).
    """
    return F.cross_entropy(logits, targets, label_smoothing=smoothing)
