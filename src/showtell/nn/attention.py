"""Multi-head attention: self-attention, cross-attention, and both with a KV cache."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.watch import attention_watcher

SHORT = 256
"""Keys up to which fused attention trains slower on a CPU: its gradient recomputes the weights."""


@dataclass
class KVCache:
    """The keys and values of one attention, `[B H N D/H]`; None before the first token.

    Self-attention appends those of the new tokens; cross-attention computes them once from its context.
    """

    keys: Tensor | None = None
    values: Tensor | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values, the new ones last."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
        self.keys, self.values = keys, values
        return keys, values


class Attention(nn.Module):
    """`softmax(Q K^T / sqrt(D / H)) V`, `H` heads side by side, then a linear layer.

    Without `context_width`, one matrix product computes Q, K and V of self-attention. With it, Q comes from
    the tokens and K and V from a context of that width: cross-attention.
    Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.

    Raises `ValueError` when the heads do not divide the width.
    """

    def __init__(self, width: int, num_heads: int, context_width: int | None = None) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"a width of {width} cannot be divided among {num_heads} heads")
        self.num_heads = num_heads
        self.crosses = context_width is not None
        if context_width is None:
            self.qkv = nn.Linear(width, 3 * width)
        else:
            self.query = nn.Linear(width, width)
            self.key_value = nn.Linear(context_width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        context: Float[Tensor, "B M C"] | None = None,
        mask: Bool[Tensor, "#B #H #N #K"] | None = None,
        cache: KVCache | None = None,
        at: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """The tokens `x` attend to each other, or to `context`, where `mask` allows it (True = may attend).

        A token that may attend to nothing receives zero (and the output's bias). Self-attention appends to
        the `cache` and attends to all of it; cross-attention fills an empty one from `context`, and a filled
        one replaces it. Where only one token per row is read, `at [B]`, that one alone queries: `[B 1 D]`.
        """
        if context is None and not self.crosses:
            queries, keys, values = self._heads(self.qkv(x), 3)
            if cache is not None:
                keys, values = cache.append(keys, values)
        else:
            (queries,) = self._heads(self._query(x), 1)
            keys, values = self._from_context(context, cache)
        if at is not None:
            queries = pick(queries, at, 2)
            mask = mask if mask is None or mask.shape[2] == 1 else pick(mask, at, 2)
        return self.output(attend(queries, keys, values, mask).transpose(1, 2).flatten(2))

    def empty_cache(self, batch: int) -> KVCache:
        """The cache of self-attention before the first token: keys and values `[B H 0 D/H]`."""
        weight = self.qkv.weight
        empty = weight.new_empty(batch, self.num_heads, 0, weight.shape[1] // self.num_heads)
        return KVCache(empty, empty)

    def _heads(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """`[B N parts*D]` to `parts` tensors `[B H N D/H]`."""
        return projected.unflatten(-1, (parts, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind()

    def _query(self, x: Tensor) -> Tensor:
        if self.crosses:
            return self.query(x)
        width = x.shape[-1]
        return F.linear(x, self.qkv.weight[:width], self.qkv.bias[:width])

    def _from_context(self, context: Tensor | None, cache: KVCache | None) -> tuple[Tensor, ...]:
        """Keys and values of the context, or those that the cache holds."""
        if cache is not None and cache.keys is not None and cache.values is not None:
            return cache.keys, cache.values
        if context is None:
            raise ValueError("cross-attention needs a context or a cache that holds its keys and values")
        if self.crosses:
            keys, values = self._heads(self.key_value(context), 2)
        else:
            width = context.shape[-1]
            keys, values = self._heads(F.linear(context, self.qkv.weight[width:], self.qkv.bias[width:]), 2)
        return (keys, values) if cache is None else cache.append(keys, values)


def attend(
    queries: Float[Tensor, "B H Q d"],
    keys: Float[Tensor, "B H K d"],
    values: Float[Tensor, "B H K d"],
    mask: Bool[Tensor, "#B #H #Q #K"] | None,
) -> Float[Tensor, "B H Q d"]:
    """Scaled dot-product attention of every head; a query that may attend to no key receives zero.

    Torch's fused kernel runs unless the weights are watched, or a CPU trains on few tokens.
    """
    maps = attention_watcher.get()
    short = queries.device.type == "cpu" and keys.shape[2] <= SHORT and queries.requires_grad
    quick = mask is None or queries.dtype != torch.float32  # in float32, masking costs what is gained
    if maps is None and not (short and quick):
        return F.scaled_dot_product_attention(queries, keys, values, mask)
    scores = queries * queries.shape[-1] ** -0.5 @ keys.transpose(-1, -2)
    if mask is None:
        weights = scores.softmax(-1)
    else:
        # The lowest number instead of minus infinity, so that a row without keys is zero and not NaN.
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) * mask
    if maps is not None:
        maps.append(weights.detach())
    return weights @ values


def pick(tensor: Tensor, at: Int[Tensor, " B"], dim: int) -> Tensor:
    """One entry per row along `dim`, which stays, with length 1: `[B ... N ...]` to `[B ... 1 ...]`."""
    return tensor.take_along_dim(at.view(-1, *[1] * (tensor.ndim - 1)), dim)
