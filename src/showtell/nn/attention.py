"""Attention, and how to watch it from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.protocols import State

SHORT = 256
"""Tokens up to which fused attention, whose gradient computes the weights again, is slower on a processor."""

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

    def keys(self, tokens: Float[Tensor, "*B N D"]) -> Float[Tensor, "*B N A"]:
        """What the tokens cost once, whatever is asked of them later: `[B N D]` to `[B N A]`."""
        return self.key(tokens)

    def forward(
        self, query: Float[Tensor, "B K Q"], keys: Float[Tensor, "B 1 N A"], values: Float[Tensor, "B N D"]
    ) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K N"]]:
        """Contexts `[B K D]` and weights `[B K N]` of `query [B K Q]`, `K` questions to each image.

        `keys [B 1 N A]` and `values [B N D]` are shared by the questions.
        """
        scores = self.score((keys + self.query(query).unsqueeze(-2)).tanh_()).squeeze(-1)
        weights = scores.softmax(-1)
        if (maps := _watcher.get()) is not None:
            maps.append(weights.detach())
        return weights @ values, weights


def pick(tensor: Tensor, at: Int[Tensor, " B"], dim: int) -> Tensor:
    """One place a row along `dim`, which stays, with a length of 1: `[B ... N ...]` to `[B ... 1 ...]`."""
    return tensor.take_along_dim(at.view(-1, *[1] * (tensor.ndim - 1)), dim)


class Attention(nn.Module):
    """Several attentions side by side, each over its own slice of the width.

    `softmax(Q K^T / sqrt(D / H)) V`, one matrix product for all of Q, K and V. Fused attention runs, unless
    somebody watches, or a processor learns from few tokens: then the weights `[B H Q N]` are kept.
    Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"a width of {width} cannot be divided among {num_heads} heads")
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self,
        tokens: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "#B #H #N #N"] | None = None,
        at: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """`[B N D]` to `[B N D]`; `mask` broadcasts to `bool [B H N N]`, True = may attend.

        A token that may attend to none receives zero. Where only one token a row is asked for, `at [B]`, that
        one alone attends, and is returned as `[B 1 D]`.
        """
        queries, keys, values = self._heads(tokens)
        if at is not None:
            queries = pick(queries, at, 2)
            mask = mask if mask is None or mask.shape[2] == 1 else pick(mask, at, 2)
        return self._attend(queries, keys, values, mask)

    def step(
        self, tokens: Float[Tensor, "B Q D"], past: State, mask: Bool[Tensor, "#B #H #Q #M"] | None = None
    ) -> tuple[Float[Tensor, "B Q D"], State]:
        """The next tokens `[B Q D]`, after those whose `keys` and `values [B H N D/H]` are remembered.

        Returns their outputs and what to remember next; `mask` broadcasts to `bool [B H Q N+Q]`.
        """
        queries, keys, values = self._heads(tokens)
        keys, values = torch.cat([past["keys"], keys], 2), torch.cat([past["values"], values], 2)
        return self._attend(queries, keys, values, mask), {"keys": keys, "values": values}

    def ask(
        self, questions: Float[Tensor, "B Q D"], tokens: Float[Tensor, "B N D"]
    ) -> Float[Tensor, "B Q D"]:
        """`forward`, where those who attend, `[B Q D]`, are not those attended to, `[B N D]`."""
        width = questions.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        queries = F.linear(questions, weight[:width], bias[:width]).unflatten(-1, (self.num_heads, -1))
        both = F.linear(tokens, weight[width:], bias[width:]).unflatten(-1, (2, self.num_heads, -1))
        keys, values = both.permute(2, 0, 3, 1, 4).unbind()
        return self._attend(queries.transpose(1, 2), keys, values, None)

    def empty_cache(self, batch: int) -> State:
        """What is remembered before the first token."""
        weight = self.qkv.weight
        empty = weight.new_empty(batch, self.num_heads, 0, weight.shape[1] // self.num_heads)
        return {"keys": empty, "values": empty}

    def _heads(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, each `[B H N D/H]`."""
        return self.qkv(tokens).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind()

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        maps, short = _watcher.get(), queries.device.type == "cpu" and keys.shape[2] <= SHORT
        quick = mask is None or queries.dtype != torch.float32  # in float32 a mask costs what is gained
        if maps is None and not (short and quick and queries.requires_grad):
            out = F.scaled_dot_product_attention(queries, keys, values, mask)
        else:
            scores = queries * queries.shape[-1] ** -0.5 @ keys.transpose(-1, -2)
            if mask is None:
                weights = scores.softmax(-1)
            else:
                # The lowest number instead of minus infinity, so that an empty row is zero and not NaN.
                weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) * mask
            if maps is not None:
                maps.append(weights.detach())
            out = weights @ values
        return self.output(out.transpose(1, 2).flatten(2))
