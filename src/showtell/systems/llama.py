"""LLaMA: a causal language model with norms by root mean square, rotary positions and gated MLPs.

    ids -> token embedding -> blocks (RMSNorm; rotary attention; SwiGLU; no biases) -> RMSNorm
        -> logits = W t, W a matrix of its own or the token embedding

Source: Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models", section 2.2 and table 2.
Keys and values shared by groups of heads: Touvron et al. 2023, "Llama 2", section 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from showtell.data.batch import Batch
from showtell.data.texts.contiguous import Blocks
from showtell.data.tokenizers.training import Vocabulary
from showtell.errors import UserError
from showtell.nn.attention import Attention, KVCache
from showtell.nn.decoder import CachedDecoder, appended
from showtell.nn.feedforward import MLP
from showtell.nn.fitted import FitsTokenizer
from showtell.nn.linear import Linear, linear
from showtell.nn.mask import attention_mask
from showtell.nn.norm import RMSNorm
from showtell.nn.pool import last_token
from showtell.nn.rotary import Rotation, rotation
from showtell.nn.transformer import initialise, to_caches, to_state
from showtell.nn.watch import layer_watcher
from showtell.objectives.causal_tokens import causal_tokens, predicted
from showtell.protocols import Encoded, State, Step


@dataclass(frozen=True)
class LlamaConfig(FitsTokenizer):
    """LLaMA 7B, 6.7 billion parameters."""

    vocab_size: int = 32000
    width: int = 4096
    depth: int = 32
    num_heads: int = 32
    num_kv_heads: int = 32
    """Heads of the keys and values; `num_heads / num_kv_heads` heads share one."""
    mlp_dim: int = 11008
    max_length: int = 2048
    theta: float = 10000.0
    """The base of the rotary positions: the slowest angle turns once in about `2 pi theta` tokens."""
    tied: bool = False
    """Whether the token embedding computes the logits."""
    eps: float = 1e-6

    def build(self) -> Llama:
        """The untrained system of this config."""
        return Llama(self)


class LlamaBlock(nn.Module):
    """`y = x + attention(norm(x))`, `z = y + mlp(norm(y))`, queries and keys rotated by their positions."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        c = config
        self.attention = Attention(c.width, c.num_heads, num_kv_heads=c.num_kv_heads, bias=False)
        self.attention_norm = RMSNorm(c.width, c.eps)
        self.mlp = MLP(c.width, c.mlp_dim, "swiglu", bias=False)
        self.mlp_norm = RMSNorm(c.width, c.eps)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        mask: Bool[Tensor, "#B #H #N #M"] | None,
        rotation: Rotation,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B N D"]:
        """`[B N D]` to `[B N D]`."""
        x = x + self.attention(self.attention_norm(x), mask=mask, cache=cache, rotation=rotation)
        return x + self.mlp(self.mlp_norm(x))


class Llama(CachedDecoder):
    """Causal language model."""

    Config: ClassVar = LlamaConfig
    reads: ClassVar = "tokens"
    # The paper's vocabulary is of characters, with bytes for rare ones; this is of bytes throughout.
    vocabulary: ClassVar = Vocabulary("bpe", "llama")
    examples: ClassVar = Blocks
    packs: ClassVar = False
    """Blocks of running text fill their rows: there is nothing to pack."""
    lora: ClassVar = ("blocks.",)
    """The prefixes of the linear layers that an adapter corrects."""
    loss_weights: ClassVar = {"lm": 1.0}

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embed = nn.Embedding(c.vocab_size, c.width)
        self.blocks = nn.ModuleList(LlamaBlock(c) for _ in range(c.depth))
        self.norm = RMSNorm(c.width, c.eps)
        self.head = None if c.tied else Linear(c.width, c.vocab_size, bias=False)
        self.apply(initialise)
        # Each block adds to the residual stream twice; this keeps its variance from growing with depth.
        for name, weight in self.named_parameters():
            if name.endswith(("attention.output.weight", "mlp.down.weight")):
                nn.init.normal_(weight, std=0.02 * (2 * c.depth) ** -0.5)

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L D]`, pooled as the last real token of each text, which attends to all others.

        Texts packed into one row do not attend to each other. Raises `UserError` for a text longer than
        `max_length`.
        """
        texts, length = batch.texts, batch.texts.ids.shape[1]
        positions = texts.positions
        if positions is None:
            if length > self.config.max_length:
                raise UserError(
                    f"a text has {length} tokens, and the model reads at most {self.config.max_length}; "
                    "truncate it"
                )
            positions = torch.arange(length, device=texts.ids.device)[None]
        mask = attention_mask(texts.keep, queries=length, causal=True, segments=texts.sequences)
        tokens = self._transform(self.embed(texts.ids), mask, positions, [None] * self.config.depth)
        return Encoded(tokens, last_token(tokens, texts.keep, texts.positions), texts.keep)

    def embed_tokens(self, ids: Int[Tensor, "*B"]) -> Float[Tensor, "*B D"]:
        """The token embedding of `ids`, as `append` takes it."""
        return self.embed(ids)

    def token_embeddings(self) -> Tensor:
        """The token embedding `[V D]`."""
        return self.embed.weight.detach()

    def next_token_logits(self, tokens: Tensor) -> Tensor:
        """Logits `[... V]` of the token after each of `tokens [... D]`."""
        return linear(tokens, self.embed.weight) if self.head is None else self.head(tokens)

    def empty_cache(self, batch: int) -> State:
        """The empty KV cache of `batch` texts, `[B ...]`."""
        keep = self.embed.weight.new_zeros(batch, 0, dtype=torch.bool)
        blocks = cast(Iterable[LlamaBlock], self.blocks)
        return to_state([block.attention.empty_cache(batch) for block in blocks]) | {"keep": keep}

    def extend(self, state: State, ids: Tensor, keep: Tensor) -> tuple[Tensor, State]:
        """Append `ids [B L]`, of which `keep [B L]` are real; return tokens `[B L D]` and the longer cache.

        Raises `UserError` when the text grows longer than `max_length`.
        """
        return self.append(state, self.embed(ids), keep)

    def append(
        self, state: State, tokens: Float[Tensor, "B L D"], keep: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B L D"], State]:
        """As `extend`, of tokens that are embedded already: those of images among them."""
        whole, positions, mask = appended(state["keep"], keep, self.config.max_length)
        caches = to_caches(state, self.config.depth)
        tokens = self._transform(tokens, mask, positions, caches)
        return tokens, to_state(caches) | {"keep": whole}

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token, or of those of the answers."""
        chosen = predicted(batch.texts.keep, batch.texts.sequences, batch.texts.answers)
        logits = self.next_token_logits(self.encode_texts(batch).tokens[:, :-1][chosen])
        return Step({"lm": causal_tokens(logits, batch.texts.ids[:, 1:][chosen])}, counts={"lm": len(logits)})

    def _transform(
        self, tokens: Tensor, mask: Tensor | None, positions: Tensor, caches: list[KVCache] | list[None]
    ) -> Tensor:
        """All blocks and the last norm; every block turns its queries and keys by the same angles."""
        angles = rotation(positions, self.config.width // self.config.num_heads, self.config.theta)
        for block, cache in zip(self.blocks, caches, strict=True):
            if (layers := layer_watcher.get()) is not None:
                layers.append(tokens.detach())
            tokens = block(tokens, mask, angles, cache)
        return self.norm(tokens)
