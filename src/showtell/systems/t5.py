"""T5: an encoder reads a text, a decoder writes one; positions are a bias of the scores, learned by distance.

    ids -> token embedding -> blocks (RMSNorm; attention + b[key - query]; RMSNorm; MLP; no biases) -> RMSNorm
    ids written so far -> the same embedding -> blocks that are causal and look at what the encoder made
        -> RMSNorm -> logits = W t, W a matrix of its own; or E t / sqrt(D), E the token embedding

Scores are not divided by the square root of the heads' width.

Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
Transformer", section 2.1. Gated MLPs and the head of its own are of version 1.1, which Flan-T5 is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.nn.attention import Attention
from showtell.nn.blocks import PreNormCrossBlock
from showtell.nn.cross_decoder import CrossStack
from showtell.nn.decoder import of_rows
from showtell.nn.feedforward import MLP, Activation
from showtell.nn.fitted import FitsTokenizer
from showtell.nn.linear import Linear, linear
from showtell.nn.mask import attention_mask
from showtell.nn.norm import RMSNorm
from showtell.nn.pool import mean_token
from showtell.nn.transformer import initialise
from showtell.protocols import Encoded, State


@dataclass(frozen=True)
class T5Config(FitsTokenizer):
    """T5 1.1 base, as which Flan-T5 base was tuned: 248 M parameters."""

    vocab_size: int = 32128
    width: int = 768
    depth: int = 12
    decoder_depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 2048
    activation: Activation = "geglu_tanh"
    num_buckets: int = 32
    """Of distances, each with a bias per head."""
    max_distance: int = 128
    """Tokens from which on all distances share a bucket."""
    max_length: int = 512
    """Tokens of a text in training; distances know no limit."""
    tied: bool = False
    """Whether the token embedding computes the logits, divided by the square root of the width."""
    eps: float = 1e-6

    def build(self) -> T5:
        """The untrained system of this config."""
        return T5(self)


class RelativePositions(nn.Module):
    """A bias per head for each bucket of distances: near ones have their own, far ones share by logarithm."""

    def __init__(self, config: T5Config, *, causal: bool) -> None:
        super().__init__()
        self.causal, self.num_buckets, self.max_distance = causal, config.num_buckets, config.max_distance
        self.bias = nn.Embedding(config.num_buckets, config.num_heads)

    def forward(self, queries: int, keys: int) -> Float[Tensor, "1 H {queries} {keys}"]:
        """Of the last `queries` of so many tokens to all of them."""
        places = torch.arange(keys, device=self.bias.weight.device)
        found: Tensor = self.bias(self.buckets(places - places[keys - queries :, None]))
        return found.permute(2, 0, 1)[None]

    def buckets(self, distance: Int[Tensor, "*S"]) -> Int[Tensor, "*S"]:
        """The bucket of each distance from a query to a key.

        Half of the buckets are of keys after the query, where it may see those.
        """
        count = self.num_buckets if self.causal else self.num_buckets // 2
        side = 0 if self.causal else (distance > 0).long() * count
        length = (-distance).clamp(min=0) if self.causal else distance.abs()
        exact = count // 2
        share = (length.clamp(min=1).float() / exact).log() / math.log(self.max_distance / exact)
        far = (exact + (share * (count - exact)).long()).clamp(max=count - 1)
        return side + torch.where(length < exact, length, far)


class T5Block(nn.Module):
    """A block of the encoder: `y = x + attention(norm(x))`, `z = y + mlp(norm(y))`."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        c = config
        self.attention = Attention(c.width, c.num_heads, bias=False, scale=1.0)
        self.attention_norm = RMSNorm(c.width, c.eps)
        self.mlp = MLP(c.width, c.mlp_dim, c.activation, bias=False)
        self.mlp_norm = RMSNorm(c.width, c.eps)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "#B #H #N #N"] | None,
        bias: Float[Tensor, "1 H N N"],
    ) -> Float[Tensor, "B N D"]:
        """`[B N D]` to `[B N D]`; the `bias` is added to the scores."""
        x = x + self.attention(self.attention_norm(x), mask=mask, bias=bias)
        return x + self.mlp(self.mlp_norm(x))


class T5CrossBlock(PreNormCrossBlock):
    """A block of the decoder."""

    def __init__(self, config: T5Config) -> None:
        nn.Module.__init__(self)
        c = config
        self.attention = Attention(c.width, c.num_heads, bias=False, scale=1.0)
        self.attention_norm = RMSNorm(c.width, c.eps)
        self.cross_attention = Attention(c.width, c.num_heads, c.width, bias=False, scale=1.0)
        self.cross_attention_norm = RMSNorm(c.width, c.eps)
        self.mlp = MLP(c.width, c.mlp_dim, c.activation, bias=False)
        self.mlp_norm = RMSNorm(c.width, c.eps)
        self.dropout = nn.Identity()


class T5Decoder(CrossStack):
    """The blocks that write, and the norm after them."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.positions = RelativePositions(config, causal=True)
        self.blocks = nn.ModuleList(T5CrossBlock(config) for _ in range(config.decoder_depth))
        self.norm = RMSNorm(config.width, config.eps)

    def layers(self) -> Sequence[tuple[T5CrossBlock, T5CrossBlock]]:
        """Each block, both halves."""
        return [(block, block) for block in cast(Iterable[T5CrossBlock], self.blocks)]


class T5(nn.Module):
    """An encoder and a decoder over one token embedding."""

    Config: ClassVar = T5Config

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.config = c = config
        self.embed = nn.Embedding(c.vocab_size, c.width)
        self.positions = RelativePositions(c, causal=False)
        self.blocks = nn.ModuleList(T5Block(c) for _ in range(c.depth))
        self.norm = RMSNorm(c.width, c.eps)
        self.decoder = T5Decoder(c)
        self.head = None if c.tied else Linear(c.width, c.vocab_size, bias=False)
        self.apply(initialise)

    def encode(
        self, tokens: Float[Tensor, "B N D"], keep: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B N D"]:
        """Tokens that are embedded already, those of images among them."""
        length = tokens.shape[1]
        mask, bias = attention_mask(keep, queries=length), self.positions(length, length)
        for block in self.blocks:
            tokens = block(tokens, mask, bias)
        return cast(Tensor, self.norm(tokens))

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L D]`, pooled as their mean."""
        texts = batch.texts
        tokens = self.encode(self.embed(texts.ids), texts.keep)
        return Encoded(tokens, mean_token(tokens, texts.keep, None), texts.keep)

    def token_embeddings(self) -> Tensor:
        """The token embedding `[V D]`."""
        return self.embed.weight.detach()

    def prefill_texts(self, encoded: Encoded) -> State:
        """The keys and values of what was encoded, once for all that is written about it, `[B ...]`."""
        return self.decoder.prefill(encoded.tokens, encoded.keep)

    def initial_state(self, memory: State) -> State:
        """No tokens yet, one hypothesis per text, `[B 1 ...]`."""
        batch = len(next(iter(memory.values())))
        return {name: part[:, None] for name, part in self.decoder.empty_cache(batch).items()}

    def step(self, memory: State, state: State, ids: Int[Tensor, "B K"]) -> tuple[Tensor, State]:
        """Append one token per hypothesis; return logits `[B K V]` and the new state."""
        length = state["self.keys.0"].shape[3] + 1
        tokens, state = self.decoder.step(self.embed(ids), memory, state, self.decoder.positions(1, length))
        return self.next_token_logits(tokens), state

    def teacher_forced_logits(
        self, memory: State, owner: Int[Tensor, " R"], ids: Int[Tensor, "R L"], keep: Bool[Tensor, "R L"]
    ) -> Float[Tensor, "T V"]:
        """Logits of the real tokens after the first, row by row, each row about its `owner` in `memory`."""
        length = ids.shape[1] - 1
        mask = attention_mask(keep[:, :-1], queries=length, causal=True)
        bias = self.decoder.positions(length, length)
        tokens = self.decoder.decode(self.embed(ids[:, :-1]), of_rows(memory, owner), mask, bias)
        return self.next_token_logits(tokens[keep[:, 1:]])

    def next_token_logits(self, tokens: Tensor) -> Tensor:
        """Logits `[... V]` of the token after each of the decoder's `tokens [... D]`."""
        if self.head is None:
            return linear(tokens * self.config.width**-0.5, self.embed.weight)
        return cast(Tensor, self.head(tokens))
