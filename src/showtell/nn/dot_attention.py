"""Attention by scaled dot products in several heads, over keys that are computed once."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from showtell.nn.linear import Linear
from showtell.nn.watch import attention_watcher
from showtell.protocols import State


class DotAttention(nn.Module):
    """`alpha_h = softmax(W_h a . U_h h / sqrt(d))`; head `h` averages the `h`-th part of the values' width.

    Source: Vaswani et al. 2017, section 3.2, with neither a projection of the values nor one after the heads.
    Raises `ValueError` when the heads do not divide both widths.
    """

    def __init__(self, token_width: int, query_width: int, width: int, num_heads: int) -> None:
        if width % num_heads or token_width % num_heads:
            raise ValueError(f"widths of {width} and {token_width} cannot be divided among {num_heads} heads")
        super().__init__()
        self.num_heads = num_heads
        self.key = Linear(token_width, width)
        self.query = Linear(query_width, width)

    def prefill(self, tokens: Float[Tensor, "B N D"]) -> State:
        """Keys `[B H A/H N]` and values `[B H N D/H]` of the tokens, computed once for all queries."""
        keys = self.key(tokens).unflatten(-1, (self.num_heads, -1)).permute(0, 2, 3, 1)
        values = tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        # Else every product would copy them.
        return {"keys": keys.contiguous(), "values": values.contiguous()}

    def forward(
        self, query: Float[Tensor, "B K Q"], memory: State
    ) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K N"]]:
        """Averages `[B K D]` and the heads' mean weights `[B K N]` of `K` queries per image."""
        asked = self.query(query).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        weights = (asked @ memory["keys"] * asked.shape[-1] ** -0.5).softmax(-1)
        mean = weights.mean(1)
        if (maps := attention_watcher.get()) is not None:
            maps.append(mean.detach())
        values = memory["values"]
        return (weights.to(values.dtype) @ values).transpose(1, 2).flatten(-2), mean
