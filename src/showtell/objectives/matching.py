"""Image-text matching (ITM): does this text belong to this image? Its pairs and its loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


class Pairs(NamedTuple):
    """Texts with an image each, their own or another."""

    images: Int[Tensor, " R"]
    """The index of each text's image."""
    matched: Bool[Tensor, " R"]
    """True where it is the text's own."""


def draw_others(
    owner: Int[Tensor, " R"], num_images: int, count: int, generator: torch.Generator | None = None
) -> Int[Tensor, "R {count}"]:
    """`count` images per text that are not its own, each drawn evenly from the rest of the batch.

    Raises `ValueError` for a batch of one image, which has no other.

    >>> draw_others(torch.tensor([0, 1]), 2, 3).tolist()
    [[1, 1, 1], [0, 0, 0]]
    """
    if num_images < 2:
        raise ValueError("a batch of one image has no negatives")
    device = owner.device if generator is None else generator.device
    steps = torch.randint(1, num_images, (len(owner), count), generator=generator, device=device)
    return (owner[:, None] + steps.to(owner.device)) % num_images


def hardest(others: Int[Tensor, "R C"], scores: Float[Tensor, "R C"]) -> Int[Tensor, " R"]:
    """Of several other images per text, the one that the model takes for its own most of all."""
    return others.gather(1, scores.argmax(1, keepdim=True))[:, 0]


def hard_negatives(
    logits: Float[Tensor, "N M"], own: Bool[Tensor, "N M"], generator: torch.Generator | None = None
) -> Int[Tensor, " N"]:
    """For each anchor a candidate that is not its own `[N]`, the likelier the more alike the model finds it.

    Source: Li et al. 2021, "Align before Fuse" (ALBEF), section 3.2 (contrastive hard negative mining).
    """
    weights = logits.detach().softmax(1).clamp(min=1e-6).masked_fill(own, 0)
    device = weights.device if generator is None else generator.device
    return torch.multinomial(weights.to(device), 1, generator=generator)[:, 0].to(weights.device)


def hard_pairs(
    logits: Float[Tensor, "R B"], owner: Int[Tensor, " R"], generator: torch.Generator | None = None
) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """Which texts `[P]` are matched with which images `[P]`, `logits` saying how alike they are.

    First each text with its own image, then each text with a hard negative image, then each image with a
    hard negative text: `P = 2 R + B`. A batch of one image has no negatives: `P = R`.
    """
    texts, images = (torch.arange(size, device=owner.device) for size in logits.shape)
    if len(images) < 2:
        return texts, owner
    own = owner[:, None] == images
    other_texts = hard_negatives(logits.T, own.T, generator)
    other_images = hard_negatives(logits, own, generator)
    return torch.cat([texts, texts, other_texts]), torch.cat([owner, other_images, images])


def half_replaced(
    owner: Int[Tensor, " R"], others: Int[Tensor, " R"], generator: torch.Generator | None = None
) -> Pairs:
    """Each text with its own image, or with probability 1/2 with the other.

    Source: Kim et al. 2021, "ViLT", section 3.2.
    """
    device = owner.device if generator is None else generator.device
    matched = torch.rand(len(owner), generator=generator, device=device).to(owner.device) < 0.5
    return Pairs(torch.where(matched, owner, others), matched)


def matching(logits: Float[Tensor, " R"], matched: Bool[Tensor, " R"]) -> Float[Tensor, ""]:
    """`-log p` where a pair matches and `-log (1 - p)` where not, `p = sigmoid(logit)`: mean, in nats."""
    return F.binary_cross_entropy_with_logits(logits, matched.to(logits.dtype))
