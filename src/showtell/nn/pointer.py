"""A pointer that follows a text through a grid: where each token begins, from where the last one began."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.feedforward import MLP
from showtell.nn.linear import Linear
from showtell.protocols import State

WINDOW = 6
"""Cells that are read from a place on: a token's letters, in their order."""
AHEAD = 24
"""Cells, this one included, among which the next token begins unless it stands on another line."""


class Pointer(nn.Module):
    """Points at where the next token begins, and adds what stands there to the last one.

        p = x + W_p sum_n stood_n g_n                                       the last token, where it began
        scores_n = W_k g_n . mlp(q) / sqrt(D) + sum_k (W_a q)_k stood_n-k   by what is there, and how far
        y = p + W_v sum_n softmax(scores)_n [g_n .. g_n+5]                  and what is read from there on

    with `q = norm(p)`. `stood` are shares of the cells that add up to 1, or 0 for a token without a place.

    Source: attention that knows where it was, Chorowski et al. 2015, "Attention-based models for speech
    recognition", section 2.2; there the last weights are convolved by one kernel, here by the last token's.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.query = MLP(width, 2 * width, "gelu")
        self.ahead = Linear(width, AHEAD)
        self.key = Linear(width, width)
        self.value = Linear(WINDOW * width, width)

    def prefill(self, grid: Float[Tensor, "B N D"]) -> State:
        """What the pointer computes once per grid, each `[B N D]`."""
        windows = F.pad(grid, (0, 0, 0, WINDOW - 1)).unfold(1, WINDOW, 1).flatten(2)
        return {
            "pointer.places": self.place(grid),
            "pointer.keys": self.key(grid) * grid.shape[-1] ** -0.5,
            "pointer.values": self.value(windows),
        }

    def forward(
        self, tokens: Float[Tensor, "B L D"], stood: Float[Tensor, "B L N"], memory: State
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B L N"]]:
        """The tokens with what stands next, and the scores of where that begins, before their softmax."""
        placed, scores = self._point(tokens, stood, memory)
        return placed + scores.softmax(-1) @ memory["pointer.values"], scores

    def follow(
        self, tokens: Float[Tensor, "B L D"], memory: State
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B L N"]]:
        """`forward` where nobody says where the tokens stood: each where the pointer had pointed."""
        placed, scores = self._pointed(tokens, memory)
        return placed + scores.softmax(-1) @ memory["pointer.values"], scores

    @torch.no_grad()
    def followed(
        self, tokens: Float[Tensor, "B L D"], truth: Float[Tensor, "B L N"], memory: State
    ) -> Float[Tensor, "B L N"]:
        """Where the tokens began, for training: every second row as the truth has it, the others as pointed.

        By the truth the pointer learns to go on, by its own places to find back. Source: Bengio et al. 2015,
        "Scheduled sampling for sequence prediction with recurrent neural networks", here by rows.
        """
        own = {name: tensor[1::2] for name, tensor in memory.items() if name.startswith("pointer.")}
        stood = truth.clone()
        if len(stood) > 1:
            _, scores = self._pointed(tokens[1::2], own)
            stood[1::2] = torch.cat([nowhere(own), scores[:, :-1].softmax(-1)], 1).to(stood.dtype)
        return stood

    def _point(self, tokens: Tensor, stood: Tensor, memory: State) -> tuple[Tensor, Tensor]:
        """The tokens with what stands where they began, and the scores of where the next ones do."""
        stood = stood.to(tokens.dtype)
        placed = tokens + stood @ memory["pointer.places"]
        at = self.norm(placed)
        behind = F.pad(stood, (AHEAD - 1, 0)).unfold(-1, AHEAD, 1)
        ahead = (behind @ self.ahead(at)[..., None])[..., 0]
        return placed, self.query(at) @ memory["pointer.keys"].transpose(1, 2) + ahead

    def _pointed(self, tokens: Tensor, memory: State) -> tuple[Tensor, Tensor]:
        """`_point`, token by token, each where the pointer had pointed."""
        stood, steps = nowhere(memory), []
        for token in tokens.split(1, 1):
            steps.append(self._point(token, stood, memory))
            stood = steps[-1][1].softmax(-1)
        placed, scores = zip(*steps, strict=True)
        return torch.cat(placed, 1), torch.cat(scores, 1)


def nowhere(memory: State) -> Tensor:
    """The shares `[B 1 N]` of one token per grid that stands nowhere, such as the start of a text."""
    keys = memory["pointer.keys"]
    return keys.new_zeros(len(keys), 1, keys.shape[1])
