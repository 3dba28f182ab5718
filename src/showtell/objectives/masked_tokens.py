"""Hide some words and have them guessed: the corruption and its loss."""

from __future__ import annotations

import hashlib
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
    """Choose each real word of `ids [R L]` with probability `rate`.

    Of the chosen, 80 % become `mask_id`, 10 % a random word and 10 % stay as they are. Padding and `special`
    ids are never chosen. With `groups [R L]` (pieces of one word share a number, at least 0 and less than
    L), the pieces of a word are chosen together. `dynamic` draws anew at each call, from the generator;
    else the words of a row decide, so the same row is hidden in the same way whenever it comes.
    Source: Devlin et al. 2019, section 3.1 and appendix A.1; Liu et al. 2019, section 4.1 (dynamic, static).
    """
    chance, fate, word = _draw(ids, generator) if dynamic else _draw_by_row(ids, keep)
    if groups is not None:
        chance = chance.gather(1, groups)
    masked = (chance < rate) & keep & ~torch.isin(ids, ids.new_tensor(special))
    random = (word * vocab_size).long()
    corrupted = torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, random, ids))
    return Masked(torch.where(masked, corrupted, ids), masked)


def _draw(ids: Tensor, generator: torch.Generator | None) -> Tensor:
    """Three numbers a word, 0 or more and less than 1: `[3 R L]`."""
    device = generator.device if generator is not None else ids.device
    return torch.rand((3, *ids.shape), generator=generator, device=device).to(ids.device)


def _draw_by_row(ids: Tensor, keep: Tensor) -> Tensor:
    """The same, from a seed that the row's real words make."""
    drawn = torch.zeros(3, *ids.shape)
    for row, (words, real) in enumerate(zip(ids.cpu(), keep.cpu(), strict=True)):
        digest = hashlib.blake2b(words[real].numpy().tobytes(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
        drawn[:, row, real] = torch.rand(3, int(real.sum()), generator=generator)
    return drawn.to(ids.device)


def masked_tokens(logits: Float[Tensor, "T V"], targets: Int[Tensor, " T"]) -> Float[Tensor, ""]:
    """Mean of `-log p(target)` over the masked words, nats; 0 where none is masked.

    `logits [T V]`, `targets [T]`, the masked positions alone.
    """
    return F.cross_entropy(logits, targets, reduction="sum") / max(len(targets), 1)
