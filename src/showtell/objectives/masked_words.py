"""Hide some words and have them guessed: the corruption and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


class Masked(NamedTuple):
    """A corrupted text."""

    ids: Int[Tensor, "R L"]
    """`int64 [R L]`, what the model reads."""
    masked: Bool[Tensor, "R L"]
    """`bool [R L]`, True where a word is to be predicted."""


def mask_words(
    ids: Int[Tensor, "R L"],
    keep: Bool[Tensor, "R L"],
    *,
    mask_id: int,
    vocab_size: int,
    special: Sequence[int] = (),
    rate: float = 0.15,
    groups: Int[Tensor, "R L"] | None = None,
    generator: torch.Generator | None = None,
) -> Masked:
    """Choose each real word of `ids [R L]` with probability `rate`, anew at each call.

    Of the chosen, 80 % become `mask_id`, 10 % a random word and 10 % stay as they are. Padding and `special`
    ids are never chosen. With `groups [R L]` (pieces of one word share a number, at least 0 and less than
    L), the pieces of a word are chosen together.
    Source: Devlin et al. 2019, section 3.1 and appendix A.1; Liu et al. 2019, section 4.1 (dynamic).
    """
    device = generator.device if generator is not None else ids.device

    def draw() -> Tensor:
        return torch.rand(ids.shape, generator=generator, device=device).to(ids.device)

    chance, fate = draw(), draw()
    if groups is not None:
        chance = chance.gather(1, groups)
    random = torch.randint(vocab_size, ids.shape, generator=generator, device=device).to(ids.device)
    masked = (chance < rate) & keep & ~torch.isin(ids, ids.new_tensor(special))
    corrupted = torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, random, ids))
    return Masked(torch.where(masked, corrupted, ids), masked)


def masked_words(logits: Float[Tensor, "T V"], targets: Int[Tensor, " T"]) -> Float[Tensor, ""]:
    """Mean of `-log p(target)` over the masked words, nats; 0 where none is masked.

    `logits [T V]`, `targets [T]`, the masked positions alone.
    """
    return F.cross_entropy(logits, targets, reduction="sum") / max(len(targets), 1)
