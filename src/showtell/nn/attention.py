"""Attention, and how to watch it from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor, nn

_watcher: ContextVar[list[Tensor] | None] = ContextVar("watcher", default=None)


@contextmanager
def watch_attention() -> Iterator[list[Tensor]]:
    """Collect the weights of every attention that runs inside the block, in order, detached.

    >>> import torch
    >>> attention = AdditiveAttention(4, 4, 3)
    >>> with watch_attention() as maps:
    ...     _ = attention(torch.zeros(2, 3, 4), attention.keys(torch.zeros(2, 1, 5, 4)), torch.zeros(2, 5, 4))
    >>> [tuple(m.shape) for m in maps]
    [(2, 3, 5)]
    """
    maps: list[Tensor] = []
    token = _watcher.set(maps)
    try:
        yield maps
    finally:
        _watcher.reset(token)


class AdditiveAttention(nn.Module):
    """Score each token with a small network, softmax, average.

    `e_i = v . tanh(W a_i + U h)`, `alpha = softmax(e)`, `z = sum_i alpha_i a_i`.
    Source: Bahdanau et al. 2015, appendix A.1.2; Xu et al. 2015, equations 4 to 6.
    """

    def __init__(self, token_width: int, query_width: int, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(token_width, width)
        self.query = nn.Linear(query_width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def keys(self, tokens: Tensor) -> Tensor:
        """What the tokens cost once, whatever is asked of them later: `[B N D]` to `[B N A]`."""
        return self.key(tokens)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts `[B K D]` and weights `[B K N]` of `query [B K Q]`, `K` questions to each picture.

        `keys [B 1 N A]` and `values [B N D]` are shared by the questions.
        """
        scores = self.score((keys + self.query(query).unsqueeze(-2)).tanh_()).squeeze(-1)
        weights = scores.softmax(-1)
        if (maps := _watcher.get()) is not None:
            maps.append(weights.detach())
        return weights @ values, weights
