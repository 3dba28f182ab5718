"""Image search by inverting a captioner: gradient descent on a representation that gives the query.

    r* = argmin_r  -log p(query | r) / T  +  (weight / 2) |z|^2,     r = mean + basis z,   z_0 ~ N(0, 1)

The network is frozen; the gradient moves a representation until the captioner would generate the query from
it, and the images nearest to that representation are the answer. The second term keeps `r` where images
are: `mean` and `basis` are those of the images that are searched.

Source: Chopra 2019, "One neural network, many uses", who starts from one random vector with weight 0;
Mahendran & Vedaldi 2015, "Understanding Deep Image Representations by Inverting Them", for the prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.batch import pad
from showtell.objectives.causal_tokens import next_tokens
from showtell.protocols import Captioner, Encoded


@runtime_checkable
class VectorCaptioner(Captioner, Protocol):
    """Describes an image from its pooled vector alone, as if that were its only token."""

    describes_vectors: bool


@dataclass(frozen=True)
class Prior:
    """A Gaussian prior over image representations: `r = mean + basis z` with `z ~ N(0, I)`."""

    mean: Tensor
    """`[D]`."""
    basis: Tensor
    """`[D min(B, D)]`: the columns are principal directions times the standard deviation along them."""

    @classmethod
    def of(cls, pooled: Tensor) -> Prior:
        """The prior fitted to the images `[B D]` that will be searched."""
        mean = pooled.mean(0)
        _, singular, directions = torch.linalg.svd(pooled - mean, full_matrices=False)
        return cls(mean, directions.T * (singular / max(len(pooled) - 1, 1) ** 0.5))


@dataclass(frozen=True)
class Inversion:
    """The representations that the descent found for one query."""

    vectors: Tensor
    """`[S D]`, one per start."""
    losses: list[float]
    """Negative log-likelihood per token before each step, nats, averaged over the starts."""
    final: Tensor
    """`[S]`, each start's last value, nats per token."""


def invert(
    system: VectorCaptioner,
    queries: Sequence[Sequence[int]],
    prior: Prior,
    *,
    starts: int = 4,
    steps: int = 50,
    learning_rate: float = 0.1,
    weight: float = 0.03,
    tolerance: float = 1e-3,
    threshold: float = 0.0,
    seed: int = 0,
) -> list[Inversion]:
    """Representations from which the captioner would generate each query, all starts and queries batched.

    Adam stops after `steps`, when ten steps gained less than `tolerance` nats per token, or when every start
    is below `threshold`. A query is ids between start and end.
    """
    generator = torch.Generator().manual_seed(seed)
    rank = prior.basis.shape[1]
    latent = torch.randn(len(queries) * starts, rank, generator=generator).to(prior.mean.device)
    latent.requires_grad_()
    ids, keep = pad([q for q in queries for _ in range(starts)])
    ids, keep = ids.to(latent.device), keep.to(latent.device)
    owner = torch.arange(len(ids), device=latent.device)
    lengths = keep[:, 1:].sum(1)
    row = owner.repeat_interleave(lengths)
    optimiser = torch.optim.Adam([latent], lr=learning_rate)
    curve: list[Tensor] = []
    for _ in range(steps):
        vectors = prior.mean + latent @ prior.basis.T
        memory = system.prefill(Encoded(vectors[:, None], vectors))
        nll = F.cross_entropy(
            system.teacher_forced_logits(memory, owner, ids, keep), next_tokens(ids, keep), reduction="none"
        )
        loss = torch.zeros_like(latent[:, 0]).index_add(0, row, nll) / lengths
        curve.append(loss.detach())
        if loss.max() < threshold:
            break
        if len(curve) > 10 and (curve[-11] - curve[-1]).mean() < tolerance:
            break
        objective = loss.sum() + 0.5 * weight * latent.square().sum()
        # The gradient of the representation alone: the network is frozen.
        (latent.grad,) = torch.autograd.grad(objective, [latent])
        optimiser.step()
    with torch.no_grad():
        vectors = (prior.mean + latent @ prior.basis.T).unflatten(0, (len(queries), starts))
    losses = torch.stack(curve, 1).unflatten(0, (len(queries), starts))
    return [Inversion(vectors[q], losses[q].mean(0).tolist(), losses[q, :, -1]) for q in range(len(queries))]


def nearest(inversion: Inversion, pooled: Tensor) -> Tensor:
    """Cosine similarity of each image `[B D]` to the mean of the representations found, `[B]`."""
    return F.cosine_similarity(pooled, inversion.vectors.mean(0, keepdim=True), dim=1)
