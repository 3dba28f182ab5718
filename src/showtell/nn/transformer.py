"""A transformer: a stack of blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, cast, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from showtell.nn.attention import KVCache
from showtell.nn.blocks import PostNormBlock, PreNormBlock
from showtell.nn.feedforward import Activation
from showtell.nn.watch import layer_watcher
from showtell.protocols import State

Norm = Literal["pre", "post"]
Block = PreNormBlock | PostNormBlock


@runtime_checkable
class TransformerConfig(Protocol):
    """The fields of a system's config that describe its stack of blocks."""

    @property
    def width(self) -> int:
        """`D`."""

    @property
    def depth(self) -> int:
        """Number of blocks."""

    @property
    def num_heads(self) -> int:
        """Attention heads per block."""

    @property
    def mlp_dim(self) -> int:
        """Hidden width of each block's MLP."""

    @property
    def activation(self) -> Activation:
        """The MLP's activation."""

    @property
    def eps(self) -> float:
        """Added to the variance by each norm."""


class Transformer(nn.Module):
    """`depth` blocks; a pre-norm stack ends in a norm, since its residual stream has none."""

    def __init__(
        self,
        width: int,
        depth: int,
        num_heads: int,
        mlp_dim: int,
        *,
        norm: Norm,
        activation: Activation = "gelu",
        eps: float = 1e-5,
        dropout: float = 0.0,
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        sizes = (width, num_heads, mlp_dim, activation, eps, dropout)
        if norm == "pre":
            self.blocks = nn.ModuleList(PreNormBlock(*sizes, layer_scale) for _ in range(depth))
            self.norm: nn.Module = nn.LayerNorm(width, eps)
        elif norm == "post":
            self.blocks = nn.ModuleList(PostNormBlock(*sizes) for _ in range(depth))
            self.norm = nn.Identity()
        else:
            raise ValueError(f"norm is 'pre' or 'post', not {norm!r}")

    @classmethod
    def of(
        cls, config: TransformerConfig, *, norm: Norm, dropout: float = 0.0, layer_scale: float | None = None
    ) -> Transformer:
        """The stack that a system's config describes."""
        c = config
        return cls(
            c.width,
            c.depth,
            c.num_heads,
            c.mlp_dim,
            norm=norm,
            activation=c.activation,
            eps=c.eps,
            dropout=dropout,
            layer_scale=layer_scale,
        )

    def forward(
        self,
        tokens: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "#B #H #N #N"] | None = None,
        at: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """`[B N D]` to `[B N D]`; `mask` comes from `nn.mask.attention_mask`.

        Where one token per row is all that is read, `at [B]`, the last block computes no other: `[B 1 D]`.
        """
        for i, block in enumerate(self.blocks, 1):
            if (layers := layer_watcher.get()) is not None:
                layers.append(tokens.detach())
            tokens = block(tokens, mask, at=at if i == len(self.blocks) else None)
        return self.norm(tokens)

    def empty_cache(self, batch: int) -> State:
        """The KV cache of all blocks before the first token, each tensor `[B H 0 D/H]`."""
        blocks = cast(Iterable[Block], self.blocks)
        return to_state([block.attention.empty_cache(batch) for block in blocks])

    def step(
        self,
        tokens: Float[Tensor, "B Q D"],
        state: State,
        mask: Bool[Tensor, "#B #H #Q #M"] | None = None,
    ) -> tuple[Float[Tensor, "B Q D"], State]:
        """The next tokens `[B Q D]` after the cached ones, and the longer cache.

        In a causal stack these are the tokens that `forward` computes for the whole text.
        """
        caches = to_caches(state, len(self.blocks))
        for block, cache in zip(self.blocks, caches, strict=True):
            tokens = block(tokens, mask, cache)
        return self.norm(tokens), to_state(caches)


def to_caches(state: State, depth: int) -> list[KVCache]:
    """The KV cache of each block, out of a decoder's state."""
    return [KVCache(state[f"keys.{i}"], state[f"values.{i}"]) for i in range(depth)]


def to_state(caches: list[KVCache]) -> State:
    """The KV caches of all blocks as a decoder's state."""
    state: State = {}
    for i, cache in enumerate(caches):
        assert cache.keys is not None
        assert cache.values is not None
        state |= {f"keys.{i}": cache.keys, f"values.{i}": cache.values}
    return state


def initialise(module: nn.Module) -> None:
    """Weights of linear layers and embeddings from `N(0, 0.02^2)`, biases zero; for `Module.apply`.

    Source: Devlin et al. 2019 (BERT) and Radford et al. 2018 (GPT).
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
