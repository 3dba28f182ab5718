"""The Q-Former: learned queries read a frozen image through one BERT, whose every second layer looks at it.

    queries q_1 .. q_K and text w_1 .. w_L share the self-attention; the queries alone look at the image

    attends to     queries   text                                          learns
    uni-modal      queries   text              q -> q,    w -> w           contrast   (`see`, `read`)
    bi-directional all       all               q, w -> q, w                matching   (`ground`)
    causal         queries   queries, earlier  q -> q,    w_t -> q, w_<=t  next token (`extend`)

No query sees the text under the first and the third mask, so both start with one pass over the queries: what
`see` returns, the keys and values of the queries, is the prompt of the third.

Source: Li et al. 2023, "BLIP-2", figure 2, section 3.1 and 3.2; the sizes are BERT-base with 32 queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.attention import Attention, KVCache
from showtell.nn.blocks import PostNormAttention
from showtell.nn.decoder import appended
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import MLP, Activation
from showtell.nn.mask import attention_mask
from showtell.nn.transformer import to_caches, to_state
from showtell.protocols import State


@dataclass(frozen=True)
class QFormerConfig:
    """BERT-base with 32 queries."""

    num_queries: int = 32
    """Vectors that an image becomes."""
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    cross_every: int = 2
    """Of so many layers, the first looks at the image."""
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0


class QFormerBlock(PostNormAttention):
    """Self-attention of queries and text, then the way of each.

        u = norm(x + attention(x));  text: z = norm(u + mlp(u))
        queries: v = norm(u + attention(u, image)), where the layer looks, else u;  z = norm(v + mlp'(v))

    Without `texts` there are queries alone.
    """

    def __init__(self, config: QFormerConfig, context_width: int | None, *, texts: bool) -> None:
        c = config
        super().__init__(c.width, c.num_heads, c.eps, c.dropout)
        self.looks = context_width is not None
        if context_width is not None:
            self.cross_attention = Attention(c.width, c.num_heads, context_width)
            self.cross_attention_norm = nn.LayerNorm(c.width, c.eps)
        self.query_mlp = MLP(c.width, c.mlp_dim, c.activation)
        self.query_mlp_norm = nn.LayerNorm(c.width, c.eps)
        if texts:
            self.mlp = MLP(c.width, c.mlp_dim, c.activation)
            self.mlp_norm = nn.LayerNorm(c.width, c.eps)

    def look(
        self, u: Float[Tensor, "B K D"], context: KVCache, mask: Bool[Tensor, "#B #H #K #M"] | None
    ) -> Float[Tensor, "B K D"]:
        """`z` of queries."""
        if self.looks:
            crossed = self.cross_attention(u, None, mask, context)
            u = self.cross_attention_norm(u + self.dropout(crossed))
        return self.query_mlp_norm(u + self.dropout(self.query_mlp(u)))

    def feed(self, u: Float[Tensor, "R L D"]) -> Float[Tensor, "R L D"]:
        """`z` of texts."""
        return self.mlp_norm(u + self.dropout(self.mlp(u)))


class QFormer(nn.Module):
    """The queries and the layers; with a vocabulary it reads and writes texts too."""

    def __init__(
        self, config: QFormerConfig, context_width: int, vocab_size: int = 0, max_length: int = 0
    ) -> None:
        super().__init__()
        self.config, self.max_length = config, max_length
        self.queries = nn.Parameter(torch.empty(config.num_queries, config.width).normal_(std=0.02))
        if vocab_size:
            self.embed = TextEmbedding(vocab_size, config.width, max_length)
        self.norm = nn.LayerNorm(config.width, config.eps)
        self.blocks = nn.ModuleList(
            QFormerBlock(config, None if i % config.cross_every else context_width, texts=vocab_size > 0)
            for i in range(config.depth)
        )

    def prefill(self, context: Float[Tensor, "B M C"], keep: Bool[Tensor, "B M"] | None = None) -> State:
        """The keys and values of images for every layer that looks, each `[B H M D/H]`."""
        memory: State = {} if keep is None else {"image.keep": keep}
        for i, block in enumerate(self._layers):
            if block.looks:
                cache = block.cross_attention.cache_of(context)
                assert cache.keys is not None
                assert cache.values is not None
                memory |= {f"image.keys.{i}": cache.keys, f"image.values.{i}": cache.values}
        return memory

    def see(self, memory: State) -> tuple[Float[Tensor, "B K D"], State]:
        """The queries of each image alone, and the state of a text before its first token, which attends to
        them.
        """
        count = len(next(iter(memory.values())))
        tokens = self._dropped(self.norm(self.queries)).expand(count, -1, -1)
        caches = [KVCache() for _ in self.blocks]
        for block, cache, context in zip(self._layers, caches, self._contexts(memory), strict=True):
            tokens = block.look(block.attend(tokens, cache=cache), *context)
        return tokens, to_state(caches) | {"keep": self.queries.new_zeros(count, 0, dtype=torch.bool)}

    def read(self, ids: Int[Tensor, "R L"], keep: Bool[Tensor, "R L"] | None) -> Float[Tensor, "R L D"]:
        """Texts alone."""
        tokens, mask = self._embedded(ids), attention_mask(keep, queries=ids.shape[1])
        for block in self._layers:
            tokens = block.feed(block.attend(tokens, mask))
        return tokens

    def ground(
        self, ids: Int[Tensor, "R L"], keep: Bool[Tensor, "R L"], memory: State
    ) -> tuple[Float[Tensor, "R K D"], Float[Tensor, "R L D"]]:
        """The queries and the text of each row, all of which attend to all; the queries look at its image."""
        count = len(self.queries)
        tokens = torch.cat(
            [self._dropped(self.norm(self.queries)).expand(len(ids), -1, -1), self._embedded(ids)], 1
        )
        mask = F.pad(keep, (count, 0), value=True)[:, None, None]
        for block, context in zip(self._layers, self._contexts(memory), strict=True):
            u = block.attend(tokens, mask)
            tokens = torch.cat([block.look(u[:, :count], *context), block.feed(u[:, count:])], 1)
        return tokens[:, :count], tokens[:, count:]

    def extend(
        self, state: State, ids: Int[Tensor, "B L"], keep: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B L D"], State]:
        """The next tokens of texts after what `state` holds; they attend to the queries and to each other.

        Raises `UserError` for a text that grows longer than `max_length`.
        """
        whole, positions, mask = appended(state["keep"], keep, self.max_length)
        if mask is not None:
            mask = F.pad(mask, (len(self.queries), 0), value=True)
        caches, tokens = to_caches(state, len(self.blocks)), self._embedded(ids, positions)
        for block, cache in zip(self._layers, caches, strict=True):
            tokens = block.feed(block.attend(tokens, mask, cache))
        return tokens, to_state(caches) | {"keep": whole}

    @property
    def _layers(self) -> list[QFormerBlock]:
        return cast(list[QFormerBlock], list(self.blocks))

    def _contexts(self, memory: State) -> list[tuple[KVCache, Tensor | None]]:
        """What each layer looks at, and where it may."""
        keep = memory.get("image.keep")
        mask = None if keep is None else keep[:, None, None]
        names = [(f"image.keys.{i}", f"image.values.{i}") for i in range(len(self.blocks))]
        return [(KVCache(memory.get(keys), memory.get(values)), mask) for keys, values in names]

    def _embedded(self, ids: Tensor, positions: Tensor | None = None) -> Tensor:
        return self._dropped(self.norm(self.embed(ids, positions)))

    def _dropped(self, tokens: Tensor) -> Tensor:
        return F.dropout(tokens, self.config.dropout, self.training)
