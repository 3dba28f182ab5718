"""Image-text contrast with soft targets (ITC): a momentum teacher says how alike images and texts are."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def soft_contrast(
    logits: Float[Tensor, "N M"],
    own: Bool[Tensor, "N M"],
    teacher_logits: Float[Tensor, "N M"],
    alpha: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of each anchor over `M` candidates, mean over the anchors, in nats.

        q = alpha * softmax(teacher_logits) + (1 - alpha) * own / |own|,   loss = -sum_j q_j log p_j

    `own` says which candidates are positives, at least one per anchor. With `alpha = 0` it is InfoNCE.
    Source: Li et al. 2021, "Align before Fuse" (ALBEF), equations 1 and 6.

    >>> right = torch.eye(2)
    >>> float(soft_contrast(9 * right, right.bool(), right, 0.0)) < 0.001
    True
    """
    positives = own / own.sum(1, keepdim=True)
    targets = alpha * teacher_logits.softmax(1) + (1 - alpha) * positives
    return -(targets * logits.log_softmax(1)).sum(1).mean()
