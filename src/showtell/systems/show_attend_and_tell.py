"""Show, Attend and Tell: for each word the decoder looks at a part of the picture.

    a_1..a_N = backbone's grid (frozen) -> linear            h_0, c_0 = tanh(linear(mean a))
    z_t = beta_t * sum_i alpha_ti a_i,  alpha_t = softmax(f_att(a_i, h_{t-1})),  beta_t = sigmoid(f(h_{t-1}))
    h_t = LSTM([E y_{t-1}, z_t], h_{t-1})
    p(y_t) = softmax(L_o (E y_{t-1} + L_h h_t + L_z z_t))

Source: Xu et al. 2015, "Show, Attend and Tell", the soft attention of section 4.2, equations 1 to 7 and 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.nn.attention import AdditiveAttention
from showtell.objectives.causal_words import causal_words, next_words
from showtell.objectives.coverage import doubly_stochastic
from showtell.protocols import Encoded, State, Step


@dataclass(frozen=True)
class ShowAttendAndTellConfig:
    """Widths for a vocabulary of some thousand words; the output shares the word embedding."""

    vocab_size: int = 8004
    feature_width: int = 1280
    token_width: int = 512
    word_width: int = 300
    width: int = 512
    attention_width: int = 256
    dropout: float = 0.5
    smoothing: float = 0.0
    coverage_weight: float = 1.0


class ShowAttendAndTell(nn.Module):
    """Captions by attention over the grid of a frozen backbone."""

    Config: ClassVar = ShowAttendAndTellConfig

    def __init__(self, config: ShowAttendAndTellConfig) -> None:
        super().__init__()
        self.config = config
        self.loss_weights = {"words": 1.0, "coverage": config.coverage_weight}
        self.picture = nn.Linear(config.feature_width, config.token_width)
        self.words = nn.Embedding(config.vocab_size, config.word_width)
        self.first = nn.Linear(config.token_width, 2 * config.width)
        self.attention = AdditiveAttention(config.token_width, config.width, config.attention_width)
        self.gate = nn.Linear(config.width, 1)
        self.cell = nn.LSTMCell(config.word_width + config.token_width, config.width)
        self.from_state = nn.Linear(config.width, config.word_width)
        self.from_picture = nn.Linear(config.token_width, config.word_width, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        nn.init.normal_(self.words.weight, std=config.word_width**-0.5)

    def embed_image(self, batch: Batch) -> Encoded:
        """The grid in the decoder's width, `[B N token_width]`."""
        assert batch.grid is not None
        tokens = self.picture(batch.grid)
        return Encoded(tokens=tokens, pooled=tokens.mean(1))

    def word_vectors(self) -> Tensor:
        """`[V word_width]`."""
        return self.words.weight.detach()

    def remember(self, encoded: Encoded) -> State:
        """Values, their attention keys, and the first state of each picture."""
        h, c = self.first(encoded.pooled).tanh().chunk(2, -1)
        return {"values": encoded.tokens, "keys": self.attention.keys(encoded.tokens), "h": h, "c": c}

    def begin(self, memory: State) -> State:
        """One hypothesis a picture: `h, c [B 1 width]`."""
        return {"h": memory["h"][:, None], "c": memory["c"][:, None]}

    def _look(self, h: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The gated context `[... token_width]` and where it came from `[... N]`."""
        context, weights = self.attention(h, keys, values)
        return self.gate(h).sigmoid() * context, weights

    def _logits(self, words: Tensor, h: Tensor, context: Tensor) -> Tensor:
        mixed = words + self.from_state(h) + self.from_picture(context)
        mixed = F.dropout(mixed, self.config.dropout, self.training)
        return F.linear(mixed, self.words.weight, self.bias)

    def advance(self, memory: State, state: State, ids: Tensor) -> tuple[Tensor, State]:
        """Read one word a hypothesis: `ids [B K]` to next-word logits `[B K V]`."""
        words, shape = self.words(ids), ids.shape
        context, _ = self._look(state["h"], memory["keys"][:, None], memory["values"])
        h, c = self.cell(
            torch.cat([words, context], -1).flatten(0, 1),
            (state["h"].flatten(0, 1), state["c"].flatten(0, 1)),
        )
        h, c = h.unflatten(0, shape), c.unflatten(0, shape)
        return self._logits(words, h, context), {"h": h, "c": c}

    def say(self, memory: State, owner: Tensor, ids: Tensor, keep: Tensor) -> Tensor:
        """Teacher forcing: logits `[T V]` of the real words after the first, row by row."""
        return self._say(memory, owner, ids, keep)[0]

    def _say(self, memory: State, owner: Tensor, ids: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[T V]` and the attention that each token received, `[R N]`.

        The captions of one picture stand side by side, `[B K ...]`, so that they share its keys and
        values; all words share one vocabulary projection.
        """
        pictures, length = len(memory["h"]), ids.shape[1] - 1
        count = torch.bincount(owner, minlength=pictures)
        place = torch.empty_like(owner)
        place[owner.argsort(stable=True)] = torch.arange(len(owner), device=owner.device)
        place = place - (count.cumsum(0) - count)[owner]
        shape = (pictures, int(count.max()))
        words = F.dropout(self.words(ids[:, :-1]), self.config.dropout, self.training)
        # The words' share of the gates needs no recurrence: one product for all positions.
        w_word, w_context = self.cell.weight_ih.split([self.config.word_width, self.config.token_width], 1)
        from_words = words.new_zeros(*shape, length, 4 * self.config.width)
        from_words = from_words.index_put(
            (owner, place), F.linear(words, w_word, self.cell.bias_ih + self.cell.bias_hh)
        )
        weight = torch.cat([w_context, self.cell.weight_hh], 1)
        keys, values = memory["keys"][:, None], memory["values"]
        h, c = (memory[name][:, None].expand(*shape, -1) for name in "hc")
        states, contexts, attention = [], [], []
        for gates in from_words.unbind(2):
            context, weights = self._look(h, keys, values)
            i, f, g, o = (gates + F.linear(torch.cat([context, h], -1), weight)).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
            contexts.append(context)
            attention.append(weights)
        real = keep[:, 1:]
        h, context, alpha = (torch.stack(x, 2)[owner, place] for x in (states, contexts, attention))
        coverage = (alpha * real[..., None]).sum(1)
        return self._logits(words[real], h[real], context[real]), coverage

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next word, and equal attention to all of the picture."""
        assert batch.owner is not None
        assert batch.ids is not None
        assert batch.keep is not None
        memory = self.remember(self.embed_image(batch))
        logits, coverage = self._say(memory, batch.owner, batch.ids, batch.keep)
        return Step(
            {
                "words": causal_words(logits, next_words(batch.ids, batch.keep), self.config.smoothing),
                "coverage": doubly_stochastic(coverage, batch.keep[:, 1:].sum(1)),
            }
        )

    def after_step(self, step: Step) -> None:
        """Nothing moves but by its gradient."""
