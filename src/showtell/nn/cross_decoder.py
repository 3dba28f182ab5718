"""Transformers that attend to their own tokens and to a context: stacks of cross-attention blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn

from showtell.nn.attention import KVCache
from showtell.nn.blocks import CrossBlock, PostNormAttention, PreNormCrossBlock
from showtell.nn.feedforward import Activation
from showtell.protocols import State

Mask = Bool[Tensor, "#B #H #L #K"] | None
Bias = Float[Tensor, "1 H L S"] | None
"""Added to the scores of self-attention."""


Attends = PostNormAttention | PreNormCrossBlock
"""The half of a layer in which tokens `attend` to each other."""
Looks = CrossBlock | PreNormCrossBlock
"""The half in which they `look` at the context, and the MLP."""


class CrossStack(nn.Module):
    """A stack whose every layer attends, then looks; the decoder of tokens one by one, with their KV cache.

    `memory` holds the keys and values of the context, computed once; `state` those of the tokens so far.
    """

    norm: nn.Module

    def layers(self) -> Sequence[tuple[Attends, Looks]]:
        """Both halves of each layer."""
        raise NotImplementedError

    def prefill(self, context: Float[Tensor, "B M C"], keep: Bool[Tensor, "B M"] | None = None) -> State:
        """The keys and values of a context for every layer, each `[B H M D/H]`; padding is not looked at."""
        memory = _named([looks.cross_attention.cache_of(context) for _, looks in self.layers()], "context")
        return memory if keep is None else memory | {"context.keep": keep}

    def empty_cache(self, batch: int) -> State:
        """The keys and values of no tokens yet, each `[B H 0 D/H]`."""
        return _named([attends.attention.empty_cache(batch) for attends, _ in self.layers()], "self")

    def decode(
        self, tokens: Float[Tensor, "B L D"], memory: State, mask: Mask, bias: Bias = None
    ) -> Float[Tensor, "B L D"]:
        """All tokens at once, row `b` of them with row `b` of the memory; the `bias` is of self-attention."""
        for (attends, looks), context in zip(self.layers(), self._contexts(memory), strict=True):
            tokens = looks.look(attends.attend(tokens, mask, None, bias), *context)
        return self.norm(tokens)

    def step(
        self, tokens: Float[Tensor, "B K D"], memory: State, state: State, bias: Bias = None
    ) -> tuple[Float[Tensor, "B K D"], State]:
        """The next token of each of `K` hypotheses, which share the memory `[B ...]` of their context.

        `state` is `[B K H L D/H]`: a hypothesis attends to its own tokens alone.
        """
        shape = tokens.shape[:2]
        own = self._caches({name: value.flatten(0, 1) for name, value in state.items()}, "self")
        for (attends, looks), context, cache in zip(self.layers(), self._contexts(memory), own, strict=True):
            tokens = attends.attend(tokens.reshape(-1, 1, tokens.shape[-1]), None, cache, bias)
            tokens = looks.look(tokens.view(*shape, -1), *context)
        longer = {name: value.unflatten(0, shape) for name, value in _named(own, "self").items()}
        return self.norm(tokens), longer

    def _contexts(self, memory: State) -> list[tuple[KVCache, Tensor | None]]:
        """What each layer looks at, and where it may."""
        keep = memory.get("context.keep")
        mask = None if keep is None else keep[:, None, None]
        return [(cache, mask) for cache in self._caches(memory, "context")]

    def _caches(self, state: State, what: str) -> list[KVCache]:
        numbers = range(len(self.layers()))
        return [KVCache(state[f"{what}.keys.{i}"], state[f"{what}.values.{i}"]) for i in numbers]


class CrossDecoder(CrossStack):
    """`depth` blocks of self-attention, cross-attention and MLP, then a norm.

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
        blocks = [
            PreNormCrossBlock(width, num_heads, mlp_dim, context_width, activation, eps, dropout)
            for _ in range(depth)
        ]
        self.blocks: Iterable[PreNormCrossBlock] = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.norm = nn.LayerNorm(width, eps)

    def layers(self) -> Sequence[tuple[PreNormCrossBlock, PreNormCrossBlock]]:
        """Each block, both halves."""
        return [(block, block) for block in self.blocks]


class MixedBlocks(CrossStack):
    """BLIP's mixture of encoder and decoder: the same blocks as an encoder of texts, as one that looks at an
    image, and as a causal decoder that does.

    With `own_causal` the decoder has self-attention of its own and shares everything else: what separates
    reading from writing is the direction of attention.
    Source: Li et al. 2022, "BLIP", figure 2, section 3.1.
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
        eps: float = 1e-12,
        dropout: float = 0.0,
        own_causal: bool = False,
    ) -> None:
        super().__init__()
        blocks = [
            CrossBlock(width, num_heads, mlp_dim, context_width, activation, eps, dropout)
            for _ in range(depth)
        ]
        causal = [PostNormAttention(width, num_heads, eps, dropout) for _ in range(depth * own_causal)]
        self.blocks: Iterable[CrossBlock] = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.causal: Iterable[PostNormAttention] = nn.ModuleList(causal)  # type: ignore[assignment]
        self.norm = nn.Identity()

    def layers(self) -> Sequence[tuple[PostNormAttention, CrossBlock]]:
        """Of the decoder: its self-attention and the shared rest."""
        blocks = list(self.blocks)
        return list(zip(list(self.causal) or blocks, blocks, strict=True))

    def encode(self, tokens: Float[Tensor, "B L D"], mask: Mask = None) -> Float[Tensor, "B L D"]:
        """A text alone."""
        for block in self.blocks:
            tokens = block.feed(block.attend(tokens, mask))
        return tokens

    def ground(
        self, tokens: Float[Tensor, "B L D"], memory: State, mask: Mask = None
    ) -> Float[Tensor, "B L D"]:
        """A text that looks at the image of its row."""
        for block, context in zip(self.blocks, self._contexts(memory), strict=True):
            tokens = block.look(block.attend(tokens, mask), *context)
        return tokens


def _named(caches: list[KVCache], what: str) -> State:
    state: State = {}
    for i, cache in enumerate(caches):
        assert cache.keys is not None
        assert cache.values is not None
        state |= {f"{what}.keys.{i}": cache.keys, f"{what}.values.{i}": cache.values}
    return state
