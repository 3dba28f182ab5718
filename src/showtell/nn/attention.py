"""Multi-head attention: self-attention, cross-attention, and both with a KV cache."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.linear import Linear, linear
from showtell.nn.rotary import Rotation, rotate
from showtell.nn.watch import attention_watcher

SHORT, SHORT_BF16 = 256, 640
"""Keys up to which fused attention trains slower on a CPU: its gradient recomputes the weights. In bfloat16
it is slower up to 2,048, by a fifth there, but keeps no weights, of which longer texts have too many."""


@dataclass
class KVCache:
    """The keys and values of one attention, `[B G N D/H]`; None before the first token.

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
    the tokens and K and V from a context of that width: cross-attention. With `num_kv_heads`, `G` of them,
    `H / G` consecutive heads share their keys and values. `scale` replaces `1 / sqrt(D / H)`.
    Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2; Ainslie et al. 2023, "GQA", section
    2.2.

    Raises `ValueError` when the heads do not divide the width, or those of the keys do not divide the heads.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        context_width: int | None = None,
        *,
        num_kv_heads: int | None = None,
        bias: bool = True,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads or num_heads
        if width % num_heads:
            raise ValueError(f"a width of {width} cannot be divided among {num_heads} heads")
        if num_heads % self.num_kv_heads:
            raise ValueError(f"{num_heads} heads cannot share the keys of {self.num_kv_heads}")
        kv_width = width // num_heads * self.num_kv_heads
        self.crosses = context_width is not None
        if context_width is None:
            self.qkv = Linear(width, width + 2 * kv_width, bias)
        else:
            self.query = Linear(width, width, bias)
            self.key_value = Linear(context_width, 2 * kv_width, bias)
        self.output = Linear(width, width, bias)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        context: Float[Tensor, "B M C"] | None = None,
        mask: Bool[Tensor, "#B #H #N #K"] | None = None,
        cache: KVCache | None = None,
        at: Int[Tensor, " B"] | None = None,
        rotation: Rotation | None = None,
        bias: Float[Tensor, "1 H Q K"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """The tokens `x` attend to each other, or to `context`, where `mask` allows it (True = may attend).

        A token that may attend to nothing receives zero (and the output's bias). Self-attention appends to
        the `cache` and attends to all of it; cross-attention fills an empty one from `context`, and a filled
        one replaces it. Where only one token per row is read, `at [B]`, that one alone queries: `[B 1 D]`.
        The `rotation` of the tokens' positions turns the queries and keys of self-attention; a `bias` is
        added to the scores.
        """
        groups = self.num_kv_heads
        if context is None and not self.crosses:
            queries, keys, values = self._heads(self.qkv(x), self.num_heads, groups, groups)
            if rotation is not None:
                queries, keys = rotate(queries, rotation), rotate(keys, rotation)
            if cache is not None:
                keys, values = cache.append(keys, values)
        else:
            (queries,) = self._heads(self._query(x), self.num_heads)
            keys, values = self._from_context(context, cache)
        if at is not None:
            queries = pick(queries, at, 2)
            mask = mask if mask is None or mask.shape[2] == 1 else pick(mask, at, 2)
        return self.output(attend(queries, keys, values, mask, bias, self.scale).transpose(1, 2).flatten(2))

    def cache_of(self, context: Float[Tensor, "B M C"]) -> KVCache:
        """The keys and values of a context, for cross-attention that attends to it again and again."""
        return KVCache(*self._from_context(context, None))

    def empty_cache(self, batch: int) -> KVCache:
        """The cache of self-attention before the first token: keys and values `[B G 0 D/H]`."""
        weight = self.qkv.weight
        empty = weight.new_empty(batch, self.num_kv_heads, 0, weight.shape[1] // self.num_heads)
        return KVCache(empty, empty)

    def _heads(self, projected: Tensor, *heads: int) -> tuple[Tensor, ...]:
        """`[B N sum(heads)*D/H]` to a tensor `[B heads N D/H]` for each number of `heads`."""
        return projected.unflatten(-1, (sum(heads), -1)).transpose(1, 2).split(heads, 1)

    def _query(self, x: Tensor) -> Tensor:
        return self.query(x) if self.crosses else self._rows_of_qkv(x, slice(x.shape[-1]))

    def _rows_of_qkv(self, x: Tensor, rows: slice) -> Tensor:
        """The part of the fused product that some of its rows compute."""
        bias = self.qkv.bias
        return linear(x, self.qkv.weight[rows], None if bias is None else bias[rows])

    def _from_context(self, context: Tensor | None, cache: KVCache | None) -> tuple[Tensor, ...]:
        """Keys and values of the context, or those that the cache holds."""
        if cache is not None and cache.keys is not None and cache.values is not None:
            return cache.keys, cache.values
        if context is None:
            raise ValueError("cross-attention needs a context or a cache that holds its keys and values")
        if self.crosses:
            projected = self.key_value(context)
        else:
            projected = self._rows_of_qkv(context, slice(context.shape[-1], None))
        keys, values = self._heads(projected, self.num_kv_heads, self.num_kv_heads)
        return (keys, values) if cache is None else cache.append(keys, values)


def attend(
    queries: Float[Tensor, "B H Q d"],
    keys: Float[Tensor, "B G K d"],
    values: Float[Tensor, "B G K d"],
    mask: Bool[Tensor, "#B #H #Q #K"] | None,
    bias: Float[Tensor, "1 H Q K"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "B H Q d"]:
    """Scaled dot-product attention of every head; a query that may attend to no key receives zero.

    `H / G` consecutive heads of the queries share a head of the keys and values. `scale` defaults to
    `1 / sqrt(d)`; the `bias` is added to the scaled scores.
    Torch's fused kernel runs unless the weights are watched, a bias learns, or a CPU trains on few tokens.
    """
    maps, shared = attention_watcher.get(), queries.shape[1] // keys.shape[1]
    short = SHORT_BF16
    if queries.dtype == torch.float32:
        short = SHORT if mask is None else 0  # masking costs what is gained
    trains_short = queries.device.type == "cpu" and queries.requires_grad and keys.shape[2] <= short
    if maps is None and bias is None and not trains_short:
        return F.scaled_dot_product_attention(queries, keys, values, mask, scale=scale, enable_gqa=shared > 1)
    if shared > 1:
        keys, values = keys.repeat_interleave(shared, 1), values.repeat_interleave(shared, 1)
    scale = queries.shape[-1] ** -0.5 if scale is None else scale
    added, attends = bias, None
    if mask is not None:
        # A low number instead of minus infinity, so that a query without keys has weights; it has no output.
        hidden = torch.zeros_like(mask, dtype=queries.dtype).masked_fill(
            ~mask, torch.finfo(queries.dtype).min / 2
        )
        added, attends = hidden if bias is None else bias + hidden, mask.any(-1, keepdim=True)
    weights = _scores(queries, keys, added, scale).softmax(-1)
    if maps is not None:
        maps.append((weights if attends is None else weights * attends).detach())
    found = weights @ values
    return found if attends is None else found * attends


def _scores(
    queries: Float[Tensor, "B H Q d"],
    keys: Float[Tensor, "B H K d"],
    added: Float[Tensor, "#B #H #Q #K"] | None,
    scale: float,
) -> Float[Tensor, "B H Q K"]:
    """`scale Q K^T + added`, in one pass over the scores: two more take longer than the product in bf16."""
    shape = (*queries.shape[:3], keys.shape[2])
    start = queries.new_zeros(()) if added is None else added
    scores = torch.baddbmm(
        start.expand(shape).flatten(0, 1),
        queries.flatten(0, 1),
        keys.flatten(0, 1).transpose(1, 2),
        beta=0 if added is None else 1,
        alpha=scale,
    )
    return scores.unflatten(0, shape[:2])


def pick(tensor: Tensor, at: Int[Tensor, " B"], dim: int) -> Tensor:
    """One entry per row along `dim`, which stays, with length 1: `[B ... N ...]` to `[B ... 1 ...]`."""
    return tensor.take_along_dim(at.view(-1, *[1] * (tensor.ndim - 1)), dim)
