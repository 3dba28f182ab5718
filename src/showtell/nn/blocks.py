"""Transformer blocks: attention, then an MLP, each around a residual connection."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from showtell.nn.attention import Attention, KVCache, pick
from showtell.nn.feedforward import MLP, Activation, LayerScale


class PreNormBlock(nn.Module):
    """`y = x + attention(norm(x))`, `z = y + mlp(norm(y))`; with `layer_scale`, each branch is scaled first.

    Source: Radford et al. 2019, section 2.3; Touvron et al. 2021, "Going deeper with Image Transformers".
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        mlp_dim: int,
        activation: Activation = "gelu",
        eps: float = 1e-5,
        dropout: float = 0.0,
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, mlp_dim, activation)
        self.mlp_norm = nn.LayerNorm(width, eps)
        self.attention_scale = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)
        self.mlp_scale = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "#B #H #N #M"] | None = None,
        cache: KVCache | None = None,
        at: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """`[B N D]` to `[B N D]`; or, with `at [B]`, that token of each row alone, `[B 1 D]`."""
        attended = self.attention(self.attention_norm(x), mask=mask, cache=cache, at=at)
        x = (x if at is None else pick(x, at, 1)) + self.dropout(self.attention_scale(attended))
        return x + self.dropout(self.mlp_scale(self.mlp(self.mlp_norm(x))))


class PostNormBlock(nn.Module):
    """`y = norm(x + attention(x))`, `z = norm(y + mlp(y))`.

    Source: Vaswani et al. 2017, section 3.1 (encoder); Devlin et al. 2019.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        mlp_dim: int,
        activation: Activation = "gelu",
        eps: float = 1e-5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, mlp_dim, activation)
        self.mlp_norm = nn.LayerNorm(width, eps)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "#B #H #N #M"] | None = None,
        cache: KVCache | None = None,
        at: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """`[B N D]` to `[B N D]`; or, with `at [B]`, that token of each row alone, `[B 1 D]`."""
        attended = self.attention(x, mask=mask, cache=cache, at=at)
        x = self.attention_norm((x if at is None else pick(x, at, 1)) + self.dropout(attended))
        return self.mlp_norm(x + self.dropout(self.mlp(x)))


class PostNormAttention(nn.Module):
    """The first branch of a post-norm block: `u = norm(x + attention(x))`."""

    def __init__(self, width: int, num_heads: int, eps: float = 1e-5, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.dropout = nn.Dropout(dropout)

    def attend(
        self,
        x: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "#B #H #N #K"] | None = None,
        cache: KVCache | None = None,
        bias: Float[Tensor, "1 H N K"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        """`u`: the tokens among themselves; a `bias` is added to the scores of their attention."""
        return self.attention_norm(x + self.dropout(self.attention(x, mask=mask, cache=cache, bias=bias)))


class CrossBlock(PostNormAttention):
    """`u = norm(x + attention(x))`, `v = norm(u + attention(u, context))`, `z = norm(v + mlp(v))`.

    A decoder's block with a causal mask, a fusion encoder's without; the context may have another width.
    Source: Vaswani et al. 2017, figure 1 (decoder).
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        mlp_dim: int,
        context_width: int,
        activation: Activation = "gelu",
        eps: float = 1e-5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(width, num_heads, eps, dropout)
        self.cross_attention = Attention(width, num_heads, context_width)
        self.cross_attention_norm = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, mlp_dim, activation)
        self.mlp_norm = nn.LayerNorm(width, eps)

    def look(
        self,
        u: Float[Tensor, "B N D"],
        context: KVCache,
        context_mask: Bool[Tensor, "#B #H #N #M"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        """`z`: the tokens to the context, whose keys and values are computed already."""
        crossed = self.cross_attention(u, None, context_mask, context)
        return self.feed(self.cross_attention_norm(u + self.dropout(crossed)))

    def feed(self, v: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """`z` of `v`; or of `u`, for tokens that look at no context."""
        return self.mlp_norm(v + self.dropout(self.mlp(v)))


class PreNormCrossBlock(nn.Module):
    """`u = x + attention(norm(x))`, `v = u + attention(norm(u), context)`, `z = v + mlp(norm(v))`.

    Source: Vaswani et al. 2017, figure 1 (decoder), with the norms inside the branches as in Xiong et al.
    2020, "On layer normalization in the transformer architecture", figure 1b.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        mlp_dim: int,
        context_width: int,
        activation: Activation = "gelu",
        eps: float = 1e-5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads)
        self.attention_norm: nn.Module = nn.LayerNorm(width, eps)
        self.cross_attention = Attention(width, num_heads, context_width)
        self.cross_attention_norm: nn.Module = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, mlp_dim, activation)
        self.mlp_norm: nn.Module = nn.LayerNorm(width, eps)
        self.dropout: nn.Module = nn.Dropout(dropout)

    def attend(
        self,
        x: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "#B #H #N #K"] | None = None,
        cache: KVCache | None = None,
        bias: Float[Tensor, "1 H N K"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        """`u`: the tokens among themselves; a `bias` is added to the scores of their attention."""
        return x + self.dropout(self.attention(self.attention_norm(x), mask=mask, cache=cache, bias=bias))

    def look(
        self,
        u: Float[Tensor, "B N D"],
        context: KVCache,
        context_mask: Bool[Tensor, "#B #H #N #M"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        """`z`: the tokens to the context, whose keys and values are computed already."""
        crossed = self.cross_attention(self.cross_attention_norm(u), None, context_mask, context)
        v = u + self.dropout(crossed)
        return v + self.dropout(self.mlp(self.mlp_norm(v)))
