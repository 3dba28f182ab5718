"""GPT-2: a causal language model.

    ids -> token + position -> transformer (pre-norm, causal) -> norm -> logits = E t, E the token embedding

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3; the sizes are
those of GPT-2 small. Zhang et al. 2022, "OPT: Open Pre-trained Transformer Language Models", section 2.1: the
same with ReLU, its positions from the third row of their table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.texts.contiguous import Blocks
from showtell.data.tokenizers.training import Vocabulary
from showtell.nn.decoder import CachedDecoder, appended
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsTokenizer
from showtell.nn.linear import linear
from showtell.nn.mask import attention_mask
from showtell.nn.pool import last_token
from showtell.nn.transformer import Transformer, initialise
from showtell.objectives.causal_tokens import causal_tokens, predicted
from showtell.protocols import Encoded, State, Step


@dataclass(frozen=True)
class GPTConfig(FitsTokenizer):
    """GPT-2 small, 124 M parameters."""

    vocab_size: int = 50257
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 1024
    activation: Activation = "gelu_tanh"
    eps: float = 1e-5
    dropout: float = 0.0
    first_position: int = 0
    """The row of the position embedding that a text's first token reads: 2 in OPT."""

    def build(self) -> GPT:
        """The untrained system of this config."""
        return GPT(self)


class GPT(CachedDecoder):
    """Causal language model."""

    Config: ClassVar = GPTConfig
    reads: ClassVar = "tokens"
    vocabulary: ClassVar = Vocabulary("bpe", "gpt2")
    examples: ClassVar = Blocks
    packs: ClassVar = False
    """Blocks of running text fill their rows: there is nothing to pack."""
    lora: ClassVar = ("transformer.",)
    """The prefixes of the linear layers that an adapter corrects."""
    loss_weights: ClassVar = {"lm": 1.0}

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embed = TextEmbedding(c.vocab_size, c.width, c.max_length, first_position=c.first_position)
        self.transformer = Transformer.of(c, norm="pre", dropout=c.dropout)
        self.apply(initialise)
        # Each block adds to the residual stream twice; this keeps its variance from growing with depth.
        for name, weight in self.named_parameters():
            if name.endswith(("attention.output.weight", "mlp.down.weight")):
                nn.init.normal_(weight, std=0.02 * (2 * c.depth) ** -0.5)

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L D]`, pooled as the last real token of each text, which attends to all others.

        Texts packed into one row do not attend to each other.
        """
        tokens = F.dropout(
            self.embed(batch.texts.ids, batch.texts.positions), self.config.dropout, self.training
        )
        mask = attention_mask(
            batch.texts.keep, queries=batch.texts.ids.shape[1], causal=True, segments=batch.texts.sequences
        )
        tokens = self.transformer(tokens, mask)
        return Encoded(tokens, last_token(tokens, batch.texts.keep, batch.texts.positions), batch.texts.keep)

    def embed_tokens(self, ids: Int[Tensor, "*B"]) -> Float[Tensor, "*B D"]:
        """The token embedding of `ids`, as `append` takes it."""
        return self.embed.tokens(ids)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.embed.tokens.weight.detach()

    def next_token_logits(self, tokens: Float[Tensor, "*B D"]) -> Float[Tensor, "*B V"]:
        """Logits `[... V]` of the token after each of `tokens [... D]`."""
        return linear(tokens, self.embed.tokens.weight)

    def empty_cache(self, batch: int) -> State:
        """The empty KV cache of `batch` texts, `[B ...]`."""
        keep = self.embed.tokens.weight.new_zeros(batch, 0, dtype=torch.bool)
        return self.transformer.empty_cache(batch) | {"keep": keep}

    def extend(
        self, state: State, ids: Int[Tensor, "B L"], keep: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B L D"], State]:
        """Append `ids [B L]`, of which `keep [B L]` are real; return tokens `[B L D]` and the longer cache.

        Raises `UserError` when the text grows longer than `max_length`.
        """
        return self.append(state, self.embed_tokens(ids), keep)

    def append(
        self, state: State, tokens: Float[Tensor, "B L D"], keep: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "B L D"], State]:
        """As `extend`, of tokens that are embedded already, without positions: those of images among them."""
        whole, positions, mask = appended(state["keep"], keep, self.config.max_length)
        placed = tokens + self.embed.positions(positions + self.embed.first_position)
        tokens, now = self.transformer.step(placed, state, mask)
        return tokens, now | {"keep": whole}

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token, or of those of the answers."""
        chosen = predicted(batch.texts.keep, batch.texts.sequences, batch.texts.answers)
        logits = self.next_token_logits(self.encode_texts(batch).tokens[:, :-1][chosen])
        return Step({"lm": causal_tokens(logits, batch.texts.ids[:, 1:][chosen])}, counts={"lm": len(logits)})
