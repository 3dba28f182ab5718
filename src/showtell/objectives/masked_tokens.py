"""Masked language modelling (MLM): which tokens are masked, and the loss of their prediction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


class Masked(NamedTuple):
    """Texts with masked tokens."""

    ids: Int[Tensor, "R L"]
    """`int64 [R L]`, the model's input."""
    masked: Bool[Tensor, "R L"]
    """`bool [R L]`, True where a token is to be predicted."""


def mask_tokens(
    ids: Int[Tensor, "R L"],
    keep: Bool[Tensor, "R L"],
    *,
    mask_id: int,
    vocab_size: int,
    special: Sequence[int] = (),
    rate: float = 0.15,
    groups: Int[Tensor, "R L"] | None = None,
    dynamic: bool = True,
    generator: torch.Generator | None = None,
) -> Masked:
    """Mask each real token of `ids [R L]` with probability `rate`.

    Of the masked tokens, 80 % become `mask_id`, 10 % a random token and 10 % stay. Padding and `special` ids
    are never masked. With `groups [R L]` (the index of a token's word, in 0..L-1), whole words are masked. If
    `dynamic`, each call draws from the generator; else the tokens of a row seed its mask, so the same row is
    always masked in the same way.
    Source: Devlin et al. 2019, section 3.1 and appendix A.1; Liu et al. 2019, section 4.1 (dynamic, static).
    """
    chance, fate, token = _draw(ids, generator) if dynamic else _draw_by_row(ids, keep)
    if groups is not None:
        chance = chance.gather(1, groups)
    masked = (chance < rate) & keep & ~torch.isin(ids, ids.new_tensor(special))
    random = (token * vocab_size).long()
    corrupted = torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, random, ids))
    return Masked(torch.where(masked, corrupted, ids), masked)


def _draw(ids: Tensor, generator: torch.Generator | None) -> Tensor:
    """Three uniform numbers in [0, 1) per token: `[3 R L]`."""
    device = generator.device if generator is not None else ids.device
    return torch.rand((3, *ids.shape), generator=generator, device=device).to(ids.device)


def _draw_by_row(ids: Tensor, keep: Tensor) -> Tensor:
    """The same, seeded by the real tokens of each row."""
    drawn = torch.zeros(3, *ids.shape)
    for row, (tokens, real) in enumerate(zip(ids.cpu(), keep.cpu(), strict=True)):
        digest = hashlib.blake2b(tokens[real].numpy().tobytes(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
        drawn[:, row, real] = torch.rand(3, int(real.sum()), generator=generator)
    return drawn.to(ids.device)


def masked_tokens(logits: Float[Tensor, "T V"], targets: Int[Tensor, " T"]) -> Float[Tensor, ""]:
    """Mean of `-log p(target)` over the masked tokens, in nats; 0 if none is masked.

    `logits [T V]`, `targets [T]` of the masked positions alone.
    """
    return F.cross_entropy(logits, targets, reduction="sum") / max(len(targets), 1)
