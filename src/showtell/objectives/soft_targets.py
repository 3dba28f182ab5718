"""Cross-entropy with soft targets: a momentum teacher says which other answers are right as well."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def soft_cross_entropy(
    logits: Float[Tensor, "N M"],
    own: Bool[Tensor, "N M"],
    teacher_logits: Float[Tensor, "N M"],
    alpha: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of each of `N` rows over `M` candidates, mean over the rows, in nats; 0 without rows.

        q = alpha * softmax(teacher_logits) + (1 - alpha) * own / |own|,   loss = -sum_j q_j log p_j

    `own` says which candidates are right, at least one per row. With `alpha = 0` it is InfoNCE.
    Source: Li et al. 2021, "Align before Fuse" (ALBEF), equations 1, 6 and 7.

    >>> import torch
    >>> right = torch.eye(2)
    >>> float(soft_cross_entropy(9 * right, right.bool(), right, 0.0)) < 0.001
    True
    """
    positives = own / own.sum(1, keepdim=True)
    targets = alpha * teacher_logits.softmax(1) + (1 - alpha) * positives
    return -(targets * logits.log_softmax(1)).sum() / max(len(logits), 1)
