"""Blocks of attention and a small network, each around a residual connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol, cast, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.attention import Attention, pick
from showtell.nn.feedforward import MLP, Activation, LayerScale
from showtell.protocols import State

Norm = Literal["pre", "post"]

_watcher: ContextVar[list[Tensor] | None] = ContextVar("watcher", default=None)


@contextmanager
def watch_layers() -> Iterator[list[Tensor]]:
    """Collect the tokens `[B N D]` that enter every block inside the `with`, in order, detached.

    >>> import torch
    >>> transformer = Transformer(8, 2, 2, 16, norm="pre")
    >>> with watch_layers() as layers:
    ...     _ = transformer(torch.zeros(1, 3, 8))
    >>> [tuple(tokens.shape) for tokens in layers]
    [(1, 3, 8), (1, 3, 8)]
    """
    layers: list[Tensor] = []
    token = _watcher.set(layers)
    try:
        yield layers
    finally:
        _watcher.reset(token)


@runtime_checkable
class TransformerConfig(Protocol):
    """What the config of a system says of its stack of blocks; frozen, so its fields are only read."""

    @property
    def width(self) -> int:
        """`D`."""

    @property
    def depth(self) -> int:
        """How many blocks."""

    @property
    def num_heads(self) -> int:
        """Heads of attention in each block."""

    @property
    def mlp_dim(self) -> int:
        """Width inside each block's MLP."""

    @property
    def activation(self) -> Activation:
        """What bends there."""

    @property
    def eps(self) -> float:
        """Added to the variance by each norm."""


class Block(nn.Module):
    """One layer of a transformer.

    Post: `y = norm(x + attention(x))`, `z = norm(y + mlp(y))` (Vaswani et al. 2017).
    Pre: `y = x + attention(norm(x))`, `z = y + mlp(norm(y))` (Radford et al. 2019).
    With `layer_scale`, a `LayerScale` beginning there stands before each sum.
    """

    def __init__(
        self,
        width: int,
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
        self.pre = norm == "pre"
        self.attention = Attention(width, num_heads)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, mlp_dim, activation)
        self.mlp_norm = nn.LayerNorm(width, eps)
        self.attention_scale: nn.Module = nn.Identity()
        self.mlp_scale: nn.Module = nn.Identity()
        if layer_scale is not None:
            self.attention_scale = LayerScale(width, layer_scale)
            self.mlp_scale = LayerScale(width, layer_scale)
        self.dropout = dropout

    def forward(
        self,
        tokens: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "#B #H #N #N"] | None = None,
        at: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B Q D"]:
        """`[B N D]` to `[B N D]`; to `[B 1 D]`, one token a row, where `at [B]` says which."""
        attended = self.attention(self._before(tokens), mask, at)
        return self._around(tokens if at is None else pick(tokens, at, 1), attended)

    def step(
        self, tokens: Float[Tensor, "B Q D"], past: State, mask: Bool[Tensor, "#B #H #Q #M"] | None = None
    ) -> tuple[Float[Tensor, "B Q D"], State]:
        """The next tokens `[B Q D]`, and what to remember of them."""
        attended, past = self.attention.step(self._before(tokens), past, mask)
        return self._around(tokens, attended), past

    def _before(self, tokens: Tensor) -> Tensor:
        return self.attention_norm(tokens) if self.pre else tokens

    def _around(self, tokens: Tensor, attended: Tensor) -> Tensor:
        tokens = tokens + F.dropout(self.attention_scale(attended), self.dropout, self.training)
        if not self.pre:
            tokens = self.attention_norm(tokens)
        inside = self.mlp_scale(self.mlp(self.mlp_norm(tokens) if self.pre else tokens))
        tokens = tokens + F.dropout(inside, self.dropout, self.training)
        return tokens if self.pre else self.mlp_norm(tokens)


class Transformer(nn.Module):
    """A stack of blocks; a pre-norm stack ends in a norm, as its residual stream has none."""

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
        self.blocks = nn.ModuleList(
            Block(
                width,
                num_heads,
                mlp_dim,
                norm=norm,
                activation=activation,
                eps=eps,
                dropout=dropout,
                layer_scale=layer_scale,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps) if norm == "pre" else nn.Identity()

    @classmethod
    def of(
        cls,
        config: TransformerConfig,
        *,
        norm: Norm,
        dropout: float = 0.0,
        layer_scale: float | None = None,
    ) -> Transformer:
        """The stack that a system's config describes."""
        return cls(
            config.width,
            config.depth,
            config.num_heads,
            config.mlp_dim,
            norm=norm,
            activation=config.activation,
            eps=config.eps,
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

        Where one token a row is all that is read, `at [B]`, the last block computes no other: `[B 1 D]`.
        """
        for i, block in enumerate(self.blocks, 1):
            if (layers := _watcher.get()) is not None:
                layers.append(tokens.detach())
            tokens = block(tokens, mask, at if i == len(self.blocks) else None)
        return self.norm(tokens)

    def empty_cache(self, batch: int) -> State:
        """What `advance` remembers before the first token."""
        return {
            f"{name}.{i}": tensor
            for i, block in enumerate(cast(Iterable[Block], self.blocks))
            for name, tensor in block.attention.empty_cache(batch).items()
        }

    def step(
        self, tokens: Float[Tensor, "B Q D"], past: State, mask: Bool[Tensor, "#B #H #Q #M"] | None = None
    ) -> tuple[Float[Tensor, "B Q D"], State]:
        """The next tokens `[B Q D]` after the remembered ones, and what to remember next.

        A causal stack says so what `forward` says of the whole, at the price of the new tokens alone.
        """
        now: State = {}
        for i, block in enumerate(cast(Iterable[Block], self.blocks)):
            mine = {name: past[f"{name}.{i}"] for name in ("keys", "values")}
            tokens, mine = block.step(tokens, mine, mask)
            now |= {f"{name}.{i}": tensor for name, tensor in mine.items()}
        return self.norm(tokens), now


def initialise(module: nn.Module) -> None:
    """Weights of linear layers and embeddings from `N(0, 0.02^2)`, biases zero: give it to `Module.apply`.

    Source: Devlin et al. 2019 (BERT) and Radford et al. 2018 (GPT).
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
