"""Losses of two views of one image: SimCLR, BYOL and SimSiam."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def nt_xent(
    first: Float[Tensor, "B D"], second: Float[Tensor, "B D"], temperature: float = 0.1
) -> Float[Tensor, ""]:
    """NT-Xent: the other view of an image among all other views; nats, mean over the `2B` views.

        l(i, j) = -log exp(cos(z_i, z_j) / tau) / sum_{k != i} exp(cos(z_i, z_k) / tau)

    `first`, `second [B D]`, of any length. If all views are equal, the loss is `log(2B - 1)`.

    Source: Chen et al. 2020, "SimCLR", equation 1 and algorithm 1.
    """
    views = F.normalize(torch.cat([first, second]), dim=1)
    logits = views @ views.T / temperature
    logits = logits.masked_fill(torch.eye(len(views), dtype=torch.bool, device=views.device), -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(views), device=views.device).roll(len(first)))


def byol_loss(prediction: Float[Tensor, "B D"], target: Float[Tensor, "B D"]) -> Float[Tensor, ""]:
    """Squared distance of the normalised vectors, `2 - 2 cos(q, z')`, mean over the batch.

    `prediction`, `target [B D]`; no gradient reaches the target.

    Source: Grill et al. 2020, "Bootstrap your own latent", equation 2.
    """
    return 2 + 2 * simsiam_loss(prediction, target)


def simsiam_loss(prediction: Float[Tensor, "B D"], target: Float[Tensor, "B D"]) -> Float[Tensor, ""]:
    """Negative cosine, `-cos(p, stopgrad(z))`, mean over the batch; in -1..1.

    `prediction`, `target [B D]`; no gradient reaches the target.

    Source: Chen & He 2021, "Exploring simple siamese representation learning", equations 1 and 3.
    """
    return -F.cosine_similarity(prediction, target.detach(), dim=1).mean()
