"""Show, Attend and Tell: a recurrent captioner that attends to a part of the image for each token.

    a_1..a_N = backbone's grid (frozen) -> linear            h_0, c_0 = tanh(linear(mean a))
    z_t = beta_t * sum_i alpha_ti a_i,  alpha_t = softmax(f_att(a_i, h_{t-1})),  beta_t = sigmoid(f(h_{t-1}))
    h_t = LSTM([E y_{t-1}, z_t], h_{t-1})
    p(y_t) = softmax(L_o (E y_{t-1} + L_h h_t + L_z z_t))

Source: Xu et al. 2015, "Show, Attend and Tell", the soft attention of section 4.2, equations 1 to 7 and 13.
With `num_heads`, f_att is a scaled dot product in so many heads (Vaswani et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.additive_attention import AdditiveAttention
from showtell.nn.dot_attention import DotAttention
from showtell.nn.fitted import FitsFeatures, FitsTokenizer
from showtell.nn.linear import Linear, linear
from showtell.objectives.causal_tokens import causal_tokens, next_tokens
from showtell.objectives.coverage import doubly_stochastic
from showtell.protocols import Encoded, State, Step


@dataclass(frozen=True)
class ShowAttendAndTellConfig(FitsTokenizer, FitsFeatures):
    """Widths for a vocabulary of some thousand words; input and output share the token embedding."""

    vocab_size: int = 8004
    feature_width: int = 1280
    token_width: int = 512
    """Width of the image features after their projection."""
    word_width: int = 300
    width: int = 512
    attention_width: int = 256
    """Width of the hidden layer of the additive attention, or of all heads' queries."""
    num_heads: int = 0
    """Heads of dot-product attention; 0: the paper's additive attention."""
    dropout: float = 0.5
    feature_dropout: float = 0.0
    """Dropout of the image features."""
    smoothing: float = 0.0
    coverage_weight: float = 1.0
    """Weight of the doubly stochastic attention loss."""

    def build(self) -> ShowAttendAndTell:
        """The untrained system of this config."""
        return ShowAttendAndTell(self)


class ShowAttendAndTell(nn.Module):
    """A captioner with attention over the grid of a frozen backbone."""

    Config: ClassVar = ShowAttendAndTellConfig
    reads: ClassVar = "features"
    describes_vectors: ClassVar = True

    def __init__(self, config: ShowAttendAndTellConfig) -> None:
        super().__init__()
        self.config = config
        self.loss_weights = {"lm": 1.0, "coverage": config.coverage_weight}
        self.image = Linear(config.feature_width, config.token_width)
        self.word_embedding = nn.Embedding(config.vocab_size, config.word_width)
        self.first = Linear(config.token_width, 2 * config.width)
        widths = config.token_width, config.width, config.attention_width
        self.attention = (
            DotAttention(*widths, config.num_heads) if config.num_heads else AdditiveAttention(*widths)
        )
        self.gate = Linear(config.width, 1)
        self.cell = nn.LSTMCell(config.word_width + config.token_width, config.width)
        self.from_state = Linear(config.width, config.word_width)
        self.from_image = Linear(config.token_width, config.word_width, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        nn.init.normal_(self.word_embedding.weight, std=config.word_width**-0.5)

    def encode_images(self, batch: Batch) -> Encoded:
        """The projected grid `[B N token_width]`, pooled as its mean."""
        seen = F.dropout(batch.images.features, self.config.feature_dropout, self.training)
        tokens = self.image(seen)
        return Encoded(tokens=tokens, pooled=tokens.mean(1))

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V word_width]`."""
        return self.word_embedding.weight.detach()

    def prefill(self, encoded: Encoded) -> State:
        """The values and keys of attention and the first state of each image."""
        h, c = self.first(encoded.pooled).tanh().chunk(2, -1)
        # Of a view torch would copy the weights once per image.
        return {**self.attention.prefill(encoded.tokens), "h": h.contiguous(), "c": c.contiguous()}

    def initial_state(self, memory: State) -> State:
        """The first state as one hypothesis per image: `h, c [B 1 width]`."""
        return {"h": memory["h"][:, None], "c": memory["c"][:, None]}

    def _decode_one(self, words: Tensor, memory: State, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        """One decoder step: embedded tokens `[B K word_width]` and states `[B K width]` to the next state.

        Returns `h`, `c`, the gated context `[B K token_width]` and the attention weights `[B K N]`.
        """
        context, weights = self.attention(h, memory)
        context = self.gate(h).sigmoid() * context
        inputs = torch.cat([words, context], -1)
        h, c = (
            state.unflatten(0, words.shape[:2])
            for state in self.cell(inputs.flatten(0, 1), (h.flatten(0, 1), c.flatten(0, 1)))
        )
        return h, c, context, weights

    def _logits(self, words: Tensor, h: Tensor, context: Tensor) -> Tensor:
        mixed = words + self.from_state(h) + self.from_image(context)
        mixed = F.dropout(mixed, self.config.dropout, self.training)
        return linear(mixed, self.word_embedding.weight, self.bias)

    def step(
        self, memory: State, state: State, ids: Int[Tensor, "B K"]
    ) -> tuple[Float[Tensor, "B K V"], State]:
        """Append one token per hypothesis, `ids [B K]`; return logits `[B K V]` and the new state."""
        words = self.word_embedding(ids)
        h, c, context, _ = self._decode_one(words, memory, state["h"], state["c"])
        return self._logits(words, h, context), {"h": h, "c": c}

    def teacher_forced_logits(
        self, memory: State, owner: Int[Tensor, " R"], ids: Int[Tensor, "R L"], keep: Bool[Tensor, "R L"]
    ) -> Float[Tensor, "T V"]:
        """Logits `[T V]` of the real tokens after the first, row by row."""
        return self._decode_all(memory, owner, ids, keep)[0]

    def _decode_all(self, memory: State, owner: Tensor, ids: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[T V]` and the attention that each image token received, `[R N]`.

        The captions of an image are laid out side by side, `[B K ...]`, and share its keys and values, from
        long to short, so that whole columns `K` leave the loop early. One matrix product computes all logits.
        """
        real = keep[:, 1:]
        lengths = real.sum(1)
        order = (owner * (lengths.max() + 1) - lengths).argsort(stable=True)
        count = torch.bincount(owner, minlength=len(memory["h"]))
        place = torch.empty_like(owner)
        place[order] = torch.arange(len(owner), device=owner.device)
        place = place - (count.cumsum(0) - count)[owner]
        columns = int(count.max())
        longest = lengths.new_zeros(columns).scatter_reduce(0, place, lengths, "amax")

        words = F.dropout(self.word_embedding(ids[:, :-1]), self.config.dropout, self.training)
        spread = words.new_zeros(len(count), columns, *words.shape[1:]).index_put((owner, place), words)
        h, c = (memory[name][:, None].expand(-1, columns, -1) for name in "hc")
        steps = []
        for t in range(words.shape[1]):
            k = int((longest > t).sum())
            h, c, context, weights = self._decode_one(spread[:, :k, t], memory, h[:, :k], c[:, :k])
            steps.append([F.pad(x, (0, 0, 0, columns - k)) for x in (h, context, weights)])
        h, context, alpha = (torch.stack(x, 2)[owner, place] for x in zip(*steps, strict=True))
        return self._logits(words[real], h[real], context[real]), (alpha * real[..., None]).sum(1)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token, and doubly stochastic attention."""
        assert batch.texts.owner is not None
        memory = self.prefill(self.encode_images(batch))
        logits, coverage = self._decode_all(memory, batch.texts.owner, batch.texts.ids, batch.texts.keep)
        return Step(
            {
                "lm": causal_tokens(
                    logits, next_tokens(batch.texts.ids, batch.texts.keep), self.config.smoothing
                ),
                "coverage": doubly_stochastic(coverage, batch.texts.keep[:, 1:].sum(1)),
            },
            counts={"lm": len(logits), "coverage": len(batch.texts.ids)},
        )
