"""A transformer decoder: a stack of blocks that attend to each other's past and to a context."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from jaxtyping import Bool, Float
from torch import Tensor, nn

from showtell.nn.attention import KVCache
from showtell.nn.blocks import PreNormCrossBlock
from showtell.nn.feedforward import Activation
from showtell.protocols import State


class CrossDecoder(nn.Module):
    """`depth` blocks of self-attention, cross-attention and MLP, then a norm.

    `memory` holds the keys and values of the context, computed once; `state` those of the tokens so far.
    Source: Vaswani et al. 2017, figure 1 (decoder), pre-norm.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        num_heads: int,
        mlp_dim: int,
        context_width: int,
        *,
        activation: Activation = "gelu",
        eps: float = 1e-5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            PreNormCrossBlock(width, num_heads, mlp_dim, context_width, activation, eps, dropout)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps)

    def prefill(self, context: Float[Tensor, "B M C"]) -> State:
        """The keys and values of a context for every block, each `[B H M D/H]`."""
        return _named([block.cross_attention.cache_of(context) for block in self._blocks], "context")

    def empty_cache(self, batch: int) -> State:
        """The keys and values of no tokens yet, each `[B H 0 D/H]`."""
        return _named([block.attention.empty_cache(batch) for block in self._blocks], "self")

    def forward(
        self,
        tokens: Float[Tensor, "B L D"],
        memory: State,
        mask: Bool[Tensor, "#B #H #L #L"] | None = None,
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B L M"]]:
        """All tokens at once, row `b` of them with row `b` of the memory.

        Also returns the scores, before their softmax, of the first head of the middle block's
        cross-attention: what a pointing loss teaches.
        """
        contexts = self._caches(memory, "context")
        for i, (block, context) in enumerate(zip(self._blocks, contexts, strict=True)):
            tokens = block.attend(tokens, mask)
            if i == len(self.blocks) // 2:
                scores = block.cross_attention.scores(block.cross_attention_norm(tokens), context)
            tokens = block.look(tokens, context)
        return self.norm(tokens), scores

    def step(
        self, tokens: Float[Tensor, "B K D"], memory: State, state: State
    ) -> tuple[Float[Tensor, "B K D"], State]:
        """The next token of each of `K` hypotheses, which share the memory `[B ...]` of their context.

        `state` is `[B K H L D/H]`: a hypothesis attends to its own tokens alone.
        """
        shape = tokens.shape[:2]
        own = self._caches({name: value.flatten(0, 1) for name, value in state.items()}, "self")
        contexts = self._caches(memory, "context")
        for block, context, cache in zip(self._blocks, contexts, own, strict=True):
            tokens = block.attend(tokens.reshape(-1, 1, tokens.shape[-1]), cache=cache)
            tokens = block.look(tokens.view(*shape, -1), context)
        longer = {name: value.unflatten(0, shape) for name, value in _named(own, "self").items()}
        return self.norm(tokens), longer

    @property
    def _blocks(self) -> Iterable[PreNormCrossBlock]:
        return cast(Iterable[PreNormCrossBlock], self.blocks)

    def _caches(self, state: State, what: str) -> list[KVCache]:
        return [
            KVCache(state[f"{what}.keys.{i}"], state[f"{what}.values.{i}"]) for i in range(len(self.blocks))
        ]


def _named(caches: list[KVCache], what: str) -> State:
    state: State = {}
    for i, cache in enumerate(caches):
        assert cache.keys is not None
        assert cache.values is not None
        state |= {f"{what}.keys.{i}": cache.keys, f"{what}.values.{i}": cache.values}
    return state
