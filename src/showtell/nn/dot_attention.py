"""Attention by scaled dot products in several heads, over keys that are computed once."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from showtell.nn.linear import Linear
from showtell.nn.watch import attention_watcher


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

    def keys(self, tokens: Float[Tensor, "*B N D"]) -> Float[Tensor, "*B N A"]:
        """Keys of the tokens, computed once for all queries."""
        return self.key(tokens)

    def forward(
        self, query: Float[Tensor, "B K Q"], keys: Float[Tensor, "B 1 N A"], values: Float[Tensor, "B N D"]
    ) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K N"]]:
        """Averages `[B K D]` and the heads' mean weights `[B K N]` of `K` queries per image."""
        asked, keyed, valued = (
            x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for x in (self.query(query), keys.squeeze(1), values)
        )
        scores = asked @ keyed.transpose(-2, -1) * asked.shape[-1] ** -0.5
        weights = scores.softmax(-1)
        mean = weights.mean(1)
        if (maps := attention_watcher.get()) is not None:
            maps.append(mean.detach())
        return (weights.to(valued.dtype) @ valued).transpose(1, 2).flatten(-2), mean
