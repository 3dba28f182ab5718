"""Embedding of texts."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from showtell.errors import UserError


class TextEmbedding(nn.Module):
    """Token + position (+ segment) embedding, then a norm if `eps` is given: `[R L]` to `[R L D]`.

    Source: Devlin et al. 2019, figure 2.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int,
        max_length: int,
        *,
        first_position: int = 0,
        num_segments: int = 0,
        eps: float | None = None,
    ) -> None:
        super().__init__()
        self.max_length, self.first_position = max_length, first_position
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(first_position + max_length, width)
        self.segments = nn.Embedding(num_segments, width) if num_segments else None
        self.norm = nn.Identity() if eps is None else nn.LayerNorm(width, eps)

    @torch.no_grad()
    def begin(self, given: TextEmbedding) -> None:
        """Begin as a pretrained embedding, whose first segment is the type of a text."""
        assert self.segments is not None
        self.tokens.weight.copy_(given.tokens.weight)
        self.positions.weight.copy_(given.positions.weight)
        if given.segments is not None:
            self.segments.weight[0].copy_(given.segments.weight[0])
        self.norm.load_state_dict(given.norm.state_dict())

    def forward(
        self,
        ids: Int[Tensor, "R L"],
        positions: Int[Tensor, "R L"] | None = None,
        segments: Int[Tensor, "R L"] | None = None,
    ) -> Float[Tensor, "R L D"]:
        """`positions [R L]` count from 0 and default to 0, 1, 2, ...; `segments [R L]` default to 0.

        Raises `UserError` when a text is longer than `max_length`.
        """
        if positions is None:
            if ids.shape[1] > self.max_length:
                raise UserError(
                    f"a text has {ids.shape[1]} tokens, and the model reads at most {self.max_length}; "
                    "truncate it"
                )
            positions = torch.arange(ids.shape[1], device=ids.device)
        tokens = self.tokens(ids) + self.positions(positions + self.first_position)
        if self.segments is not None:
            tokens = tokens + (self.segments.weight[0] if segments is None else self.segments(segments))
        return self.norm(tokens)
