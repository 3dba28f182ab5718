"""Blocks of attention and a small network, each around a residual connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal, Protocol, Self, cast, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.attention import MultiHeadAttention
from showtell.protocols import State

Norm = Literal["pre", "post"]
Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu"]


def _quick_gelu(x: Tensor) -> Tensor:
    return x * (1.702 * x).sigmoid()


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "quick_gelu": _quick_gelu,
    "relu": F.relu,
}


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


class MLP(nn.Module):
    """Widen, bend, narrow: `W_2 f(W_1 x)`."""

    def __init__(self, width: int, mlp_dim: int, activation: Activation) -> None:
        super().__init__()
        self.widen = nn.Linear(width, mlp_dim)
        self.narrow = nn.Linear(mlp_dim, width)
        self.activation = ACTIVATIONS[activation]

    def forward(self, tokens: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """`[... D]` to `[... D]`."""
        return self.narrow(self.activation(self.widen(tokens)))


class Block(nn.Module):
    """One layer of a transformer.

    Post: `y = norm(x + attention(x))`, `z = norm(y + mlp(y))` (Vaswani et al. 2017).
    Pre: `y = x + attention(norm(x))`, `z = y + mlp(norm(y))` (Radford et al. 2019).
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
    ) -> None:
        super().__init__()
        self.pre = norm == "pre"
        self.attention = MultiHeadAttention(width, num_heads)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, mlp_dim, activation)
        self.mlp_norm = nn.LayerNorm(width, eps)
        self.dropout = dropout

    def forward(
        self, tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "#B #H #N #N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """`[B N D]` to `[B N D]`."""
        return self._around(tokens, self.attention(self._before(tokens), mask))

    def advance(
        self, tokens: Float[Tensor, "B Q D"], past: State, mask: Bool[Tensor, "#B #H #Q #M"] | None = None
    ) -> tuple[Float[Tensor, "B Q D"], State]:
        """The next tokens `[B Q D]`, and what to remember of them."""
        attended, past = self.attention.advance(self._before(tokens), past, mask)
        return self._around(tokens, attended), past

    def _before(self, tokens: Tensor) -> Tensor:
        return self.attention_norm(tokens) if self.pre else tokens

    def _around(self, tokens: Tensor, attended: Tensor) -> Tensor:
        tokens = tokens + F.dropout(attended, self.dropout, self.training)
        if self.pre:
            return tokens + F.dropout(self.mlp(self.mlp_norm(tokens)), self.dropout, self.training)
        tokens = self.attention_norm(tokens)
        return self.mlp_norm(tokens + F.dropout(self.mlp(tokens), self.dropout, self.training))


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
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(width, num_heads, mlp_dim, norm=norm, activation=activation, eps=eps, dropout=dropout)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps) if norm == "pre" else nn.Identity()

    @classmethod
    def of(cls, config: TransformerConfig, *, norm: Norm, dropout: float = 0.0) -> Self:
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
        )

    def forward(
        self, tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "#B #H #N #N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """`[B N D]` to `[B N D]`; `mask` comes from `nn.mask.attention_mask`."""
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.norm(tokens)

    def nothing(self, batch: int) -> State:
        """What `advance` remembers before the first token."""
        return {
            f"{name}.{i}": tensor
            for i, block in enumerate(cast(Iterable[Block], self.blocks))
            for name, tensor in block.attention.nothing(batch).items()
        }

    def advance(
        self, tokens: Float[Tensor, "B Q D"], past: State, mask: Bool[Tensor, "#B #H #Q #M"] | None = None
    ) -> tuple[Float[Tensor, "B Q D"], State]:
        """The next tokens `[B Q D]` after the remembered ones, and what to remember next.

        A causal stack says so what `forward` says of the whole, at the price of the new tokens alone.
        """
        now: State = {}
        for i, block in enumerate(cast(Iterable[Block], self.blocks)):
            mine = {name: past[f"{name}.{i}"] for name in ("keys", "values")}
            tokens, mine = block.advance(tokens, mine, mask)
            now |= {f"{name}.{i}": tensor for name, tensor in mine.items()}
        return self.norm(tokens), now


def initialise(module: nn.Module, std: float = 0.02) -> None:
    """Weights of linear layers and embeddings from `N(0, std^2)`, biases zero: give it to `Module.apply`.

    Source: Devlin et al. 2019 (BERT) and Radford et al. 2018 (GPT), whose `std` is 0.02.
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
