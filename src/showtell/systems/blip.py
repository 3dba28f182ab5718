"""BLIP: one transformer of texts that finds, matches and describes images.

    image -> ViT -> c_0 .. c_N;  u = W c_0 / |W c_0|
    [CLS] w_1 .. w_L       -> blocks without the image               -> v = W' z_0 / |W' z_0|          ITC
    [Encode] w_1 .. w_L    -> blocks that look at c                  -> linear: do they match          ITM
    [Decode] w_1 .. w_t    -> the same, causal self-attention its own -> softmax(E g(W z_t) + b)       LM

Source: Li et al. 2022, "BLIP: Bootstrapping Language-Image Pre-training", figure 2, sections 3.1 and 3.2; the
sizes are those with ViT-B/16. The contrast is ALBEF's (`fusion/alignment.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.alignment import AlignmentConfig, AlignThenFuse
from showtell.fusion.visual.tower import TowerEmbedder
from showtell.nn.chunked import by_chunks
from showtell.nn.heads import MaskedLMHead
from showtell.nn.linear import Linear
from showtell.nn.momentum import Teacher
from showtell.nn.pool import Pooling, pool
from showtell.nn.transformer import initialise
from showtell.objectives.causal_tokens import causal_tokens, next_tokens
from showtell.protocols import Encoded, Rate, State, Step
from showtell.systems.bert import BERTEncoder
from showtell.systems.blip_parts import BLIPPartsConfig, Reader, Writer


@dataclass(frozen=True)
class BLIPConfig(AlignmentConfig, BLIPPartsConfig):
    """BLIP with ViT-B/16, pretrained."""

    queue_size: int = 57600
    shared_width: int = 256
    """Of the vectors that are compared."""
    pooling: Pooling = "first"
    """A text's vector: [CLS], or the mean of its tokens, as in pretrained encoders of sentences."""
    text_rate: float = 1.0
    """The learning rate of pretrained texts' parameters, as a multiple of that of the others."""
    smoothing: float = 0.1
    """Label smoothing of the language model."""

    def build(self) -> BLIP:
        """The untrained system of this config."""
        return BLIP(self)


class BLIPTowers(nn.Module):
    """Both encoders and the space that they share."""

    def __init__(
        self, config: BLIPPartsConfig, shared_width: int, *, own_causal: bool, pooling: Pooling = "first"
    ) -> None:
        super().__init__()
        c, self.pooling = config, pooling
        self.image = TowerEmbedder(c)
        self.text = Reader(c, c.image.width, own_causal=own_causal)
        self.project_image = Linear(c.image.width, shared_width)
        self.project_text = Linear(c.width, shared_width)

    def image_tokens(self, batch: Batch) -> Encoded:
        """Tokens `[B N C]`; pooled, the vector of length 1."""
        found = self.image(batch.images)
        return Encoded(found.tokens, F.normalize(self.project_image(found.pooled), dim=-1), found.keep)

    def text_tokens(self, texts: TextBatch) -> Encoded:
        """Tokens `[R L W]` of the texts alone; pooled, the vector of length 1."""
        tokens = self.text.encode(texts)
        pooled = pool((self.pooling,), tokens, texts.keep, texts.positions)
        return Encoded(tokens, F.normalize(self.project_text(pooled), dim=-1), texts.keep)

    def prefill(self, encoded: Encoded) -> State:
        """The keys and values of images for every block, `[B H N D/H]`."""
        return self.text.stack.prefill(encoded.tokens, encoded.keep)


class BLIP(AlignThenFuse, Writer):
    """Contrast, matching and language model over one mixture of encoder and decoder."""

    Config: ClassVar = BLIPConfig
    towers: BLIPTowers
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")
    loss_weights: ClassVar = {"itc": 1.0, "itm": 1.0, "lm": 1.0}
    training_only: ClassVar = ("teacher.", "image_queue", "text_queue", "queued", "updates")

    def __init__(self, config: BLIPConfig) -> None:
        super().__init__()
        self.config = c = config
        self.towers = BLIPTowers(c, c.shared_width, own_causal=True, pooling=c.pooling)
        self.lm_head = MaskedLMHead(c.width, c.vocab_size, c.eps, c.activation)
        self.make_alignment(c.shared_width)
        self.apply(initialise)
        self.teacher = Teacher(self.towers)
        new = [f"towers.text.stack.blocks.{i}.cross_attention" for i in range(c.depth)]
        self.rates = {"towers.text.": Rate(c.text_rate), **dict.fromkeys(new, Rate())}

    def begin_texts(self, encoder: BERTEncoder) -> None:
        """Begin with the parameters of a pretrained encoder of texts; so does the teacher."""
        self.reader.begin(encoder)
        self.teacher = Teacher(self.towers)

    @property
    def reader(self) -> Reader:
        """The texts' transformer."""
        return self.towers.text

    def prefill(self, encoded: Encoded) -> State:
        """The keys and values of each image for every block, `[B H N D/H]`."""
        return self.reader.stack.prefill(encoded.tokens, encoded.keep)

    def embed_texts(self, texts: TextBatch) -> Float[Tensor, "R L W"]:
        """The tokens of the texts before they meet an image."""
        return self.reader.embed(texts.ids)

    def ground(self, texts: TextBatch, memory: State, read: Tensor | None = None) -> Float[Tensor, "R L W"]:
        """Tokens of the texts after [Encode], each of which looks at the image of its row of the memory."""
        return self.reader.ground(texts, memory)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """All three losses of a batch."""
        texts = batch.texts
        aligned, step = self.align(batch)
        memory = self.memory_of(aligned.images)
        losses = {
            **step.losses,
            "itm": self.matched(aligned, texts, memory, generator),
            "lm": self._written(texts, aligned.owner, memory),
        }
        counts = {**step.counts, "itm": len(texts), "lm": texts.keep[:, 1:].sum()}
        return Step(losses, step.carry, counts)

    def _written(self, texts: TextBatch, owner: Tensor, memory: Callable[[Tensor], State]) -> Tensor:
        """The language model's loss, per token."""

        def cost(rows: slice) -> tuple[Tensor]:
            ids, keep = texts.ids[rows], texts.keep[rows]
            logits = self.next_logits(memory(owner[rows]), ids, keep)
            mean = causal_tokens(logits, next_tokens(ids, keep), self.config.smoothing)
            return ((mean * len(logits))[None],)

        (costs,) = by_chunks(cost, len(texts), self.chunk_size)
        return costs.sum() / texts.keep[:, 1:].sum()
