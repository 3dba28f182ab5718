"""Show and Tell: an image is the first input of a recurrent language model.

    image -> backbone (frozen) -> mean -> norm -> linear -> x_{-1}
    x_t = sqrt(D) W_e S_t,   p_{t+1} = softmax(W_e^T RNN(x_t) + b),   t = 0 .. N-1

Source: Vinyals et al. 2015, "Show and Tell", equations 10 to 13, with the sizes of Chopra 2019, "One
neural network, many uses": three layers of 300, dropout 0.22, about 8,000 words. Ours: the norm, later
layers that add to their inputs, and a second loss, by which the image alone predicts the words of its
captions. One matrix both reads and writes words (Press and Wolf 2017), so that words used alike become alike;
the factor is that of Vaswani et al. 2017, section 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.decoder import of_rows
from showtell.nn.fitted import FitsFeatures, FitsTokenizer
from showtell.nn.linear import Linear, linear
from showtell.nn.recurrent import ResidualRecurrent
from showtell.objectives.bag_of_words import bag_of_words
from showtell.objectives.causal_tokens import causal_tokens, next_tokens
from showtell.protocols import Encoded, State, Step


@dataclass(frozen=True)
class ShowAndTellConfig(FitsTokenizer, FitsFeatures):
    """The article's sizes."""

    vocab_size: int = 8004
    feature_width: int = 1280
    width: int = 300
    depth: int = 3
    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell."""
    dropout: float = 0.22
    smoothing: float = 0.0
    feature_dropout: float = 0.0
    """The share of the image's features that training hides."""

    def build(self) -> ShowAndTell:
        """The untrained system of this config."""
        return ShowAndTell(self)


class ShowAndTell(nn.Module):
    """A recurrent captioner; its image vectors, word embedding and likelihoods serve search as well."""

    Config: ClassVar = ShowAndTellConfig
    reads: ClassVar = "features"
    describes_vectors: ClassVar = True
    loss_weights: ClassVar = {"lm": 1.0, "bag": 0.3}

    def __init__(self, config: ShowAndTellConfig) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.LayerNorm(config.feature_width)
        self.image = Linear(config.feature_width, config.width)
        self.word_embedding = nn.Embedding(config.vocab_size, config.width)
        self.recurrent = ResidualRecurrent(config.cell, config.width, config.depth, config.dropout)
        nn.init.normal_(self.word_embedding.weight, std=config.width**-0.5)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def encode_images(self, batch: Batch) -> Encoded:
        """The one token that the decoder reads, `[B 1 width]`: the projected mean of the grid."""
        seen = self.norm(batch.images.features.mean(1))
        pooled = self.image(F.dropout(seen, self.config.feature_dropout, self.training))
        return Encoded(tokens=pooled[:, None], pooled=pooled)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V width]`."""
        return self.word_embedding.weight.detach()

    def prefill(self, encoded: Encoded) -> State:
        """The recurrent state after the image, `[B depth width]`."""
        return self.recurrent(encoded.pooled[:, None])[1]

    def initial_state(self, memory: State) -> State:
        """That state as one hypothesis per image, `[B 1 depth width]`."""
        return {k: t[:, None] for k, t in memory.items()}

    def step(
        self, memory: State, state: State, ids: Int[Tensor, "B K"]
    ) -> tuple[Float[Tensor, "B K V"], State]:
        """Append one token per hypothesis, `ids [B K]`; return logits `[B K V]` and the new state."""
        shape = ids.shape
        flat = {k: t.flatten(0, 1) for k, t in state.items()}
        out, flat = self.recurrent(self._embedded(ids.reshape(-1, 1)), flat)
        state = {name: tensor.unflatten(0, shape) for name, tensor in flat.items()}
        return self._logits(out[:, 0]).unflatten(0, shape), state

    def teacher_forced_logits(
        self, memory: State, owner: Int[Tensor, " R"], ids: Int[Tensor, "R L"], keep: Bool[Tensor, "R L"]
    ) -> Float[Tensor, "T V"]:
        """Logits `[T V]` of the real tokens after the first, row by row."""
        words = F.dropout(self._embedded(ids[:, :-1]), self.config.dropout, self.training)
        out, _ = self.recurrent(words, of_rows(memory, owner))
        out = F.dropout(out[keep[:, 1:]], self.config.dropout, self.training)
        return self._logits(out)

    def _embedded(self, ids: Tensor) -> Tensor:
        return self.word_embedding(ids) * self.config.width**0.5

    def _logits(self, out: Tensor) -> Tensor:
        return linear(out, self.word_embedding.weight, self.bias)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token, and of each token of a caption given its image alone."""
        ids, keep, owner = batch.texts.ids, batch.texts.keep, batch.texts.owner
        assert owner is not None
        encoded, targets = self.encode_images(batch), next_tokens(ids, keep)
        logits = self.teacher_forced_logits(self.prefill(encoded), owner, ids, keep)
        image = F.dropout(encoded.pooled, self.config.dropout, self.training)
        losses = {
            "lm": causal_tokens(logits, targets, self.config.smoothing),
            "bag": bag_of_words(self._logits(image), owner.repeat_interleave(keep[:, 1:].sum(1)), targets),
        }
        return Step(losses, counts=dict.fromkeys(losses, len(targets)))
