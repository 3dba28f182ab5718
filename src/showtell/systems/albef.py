"""ALBEF: images and texts are aligned by two encoders before a third one fuses them.

    image -> ViT -> c_0 .. c_N;  u = W c_0 / |W c_0|
    text  -> lower half of BERT -> t_0 .. t_L;  v = W' t_0 / |W' t_0|                                  ITC
    t     -> upper half, which looks at c -> z;  linear of z_0: do they match                         ITM
    masked text, the same way -> softmax(E g(W z_i) + b) at its masked words                          MLM

The targets of the contrast and of the masked words are in part the opinion of a momentum teacher.

Source: Li et al. 2021, "Align before Fuse: Vision and Language Representation Learning with Momentum
Distillation", figure 1, sections 3.1 to 3.3; ViT-B/16 and BERT-base.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.alignment import Aligned, AlignmentConfig, AlignThenFuse
from showtell.fusion.pretraining import MaskingConfig
from showtell.fusion.visual.tower import TowerEmbedder
from showtell.nn.chunked import by_chunks
from showtell.nn.cross_decoder import MixedBlocks
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsFeatures
from showtell.nn.heads import MaskedLMHead
from showtell.nn.linear import Linear
from showtell.nn.mask import attention_mask
from showtell.nn.momentum import Teacher
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.nn.transformer import Transformer, initialise
from showtell.objectives.soft_targets import soft_cross_entropy
from showtell.protocols import Encoded, State, Step
from showtell.systems.clip import TowerConfig


@dataclass(frozen=True)
class ALBEFConfig(MaskingConfig, AlignmentConfig, FitsFeatures):
    """ALBEF. `mean` and `std` are those of pixels in 0..1."""

    image: TowerConfig = field(default_factory=lambda: TowerConfig(768, 12, 3072, 12, "gelu", 1e-6))
    image_size: int = 256
    patch_size: int = 16
    feature_width: int = 0
    """Width of a frozen encoder's features, where those are read; 0: pixels."""
    feature_dropout: float = 0.0
    """Share of those features that training hides from all tokens of an image."""
    width: int = 768
    depth: int = 6
    """Blocks that read a text alone."""
    fusion_depth: int = 6
    """Blocks after them, which look at the image."""
    num_heads: int = 12
    mlp_dim: int = 3072
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0
    max_length: int = 512
    num_segments: int = 2
    shared_width: int = 256
    """Of the vectors that are compared."""
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    def build(self) -> ALBEF:
        """The untrained system of this config."""
        return ALBEF(self)

    @property
    def size_multiple(self) -> int:
        """Pixels: images are cut into patches of this side."""
        return self.patch_size


class ALBEFTowers(nn.Module):
    """The three encoders, the shared space, and the head of masked words: what the teacher has too."""

    def __init__(self, config: ALBEFConfig) -> None:
        super().__init__()
        c = config
        self.image = TowerEmbedder(c)
        self.embed = TextEmbedding(
            c.vocab_size, c.width, c.max_length, num_segments=c.num_segments, eps=c.eps
        )
        self.text = Transformer.of(c, norm="post", dropout=c.dropout)
        self.fusion = MixedBlocks(
            c.width,
            c.fusion_depth,
            c.num_heads,
            c.mlp_dim,
            c.image.width,
            activation=c.activation,
            eps=c.eps,
            dropout=c.dropout,
        )
        self.project_image = Linear(c.image.width, c.shared_width)
        self.project_text = Linear(c.width, c.shared_width)
        self.mlm_head = MaskedLMHead(c.width, c.vocab_size, c.eps, c.activation)
        self.dropout = nn.Dropout(c.dropout)

    def image_tokens(self, batch: Batch) -> Encoded:
        """Tokens `[B N C]`; pooled, the vector of length 1."""
        found = self.image(batch.images)
        return Encoded(found.tokens, F.normalize(self.project_image(found.pooled), dim=-1), found.keep)

    def text_tokens(self, texts: TextBatch) -> Encoded:
        """Tokens `[R L W]` of the lower half; pooled, the vector of length 1."""
        tokens = self.text(self.dropout(self.embed(texts.ids, None, texts.segments)), mask_of(texts))
        return Encoded(tokens, F.normalize(self.project_text(tokens[:, 0]), dim=-1), texts.keep)

    def prefill(self, encoded: Encoded) -> State:
        """The keys and values of images for every block of the upper half, `[B H N D/H]`."""
        return self.fusion.prefill(encoded.tokens, encoded.keep)

    def masked_logits(
        self, texts: TextBatch, memory: State, masked: Bool[Tensor, "R L"]
    ) -> Float[Tensor, "T V"]:
        """Logits of the masked tokens, row by row."""
        tokens = self.fusion.ground(self.text_tokens(texts).tokens, memory, mask_of(texts))
        return self.mlm_head(tokens[masked], self.embed.tokens.weight)


def mask_of(texts: TextBatch) -> Tensor | None:
    """Which tokens may be attended to: all that are no padding."""
    return attention_mask(texts.keep, queries=texts.ids.shape[1])


class ALBEF(AlignThenFuse):
    """Contrast, matching and masked words."""

    Config: ClassVar = ALBEFConfig
    config: ALBEFConfig
    towers: ALBEFTowers
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")
    loss_weights: ClassVar = {"itc": 1.0, "itm": 1.0, "mlm": 1.0}
    training_only: ClassVar = ("teacher.", "image_queue", "text_queue", "queued", "updates")

    def __init__(self, config: ALBEFConfig) -> None:
        super().__init__()
        self.config = c = config
        self.towers = ALBEFTowers(c)
        self.make_alignment(c.shared_width)
        self.apply(initialise)
        self.teacher = Teacher(self.towers)

    def token_embeddings(self) -> Float[Tensor, "V W"]:
        """The token embedding."""
        return self.towers.embed.tokens.weight.detach()

    def embed_texts(self, texts: TextBatch) -> Float[Tensor, "R L W"]:
        """The tokens of the texts before they meet an image."""
        return self.towers.text_tokens(texts).tokens

    def ground(self, texts: TextBatch, memory: State, read: Tensor | None = None) -> Float[Tensor, "R L W"]:
        """Tokens of the texts, each of which looks at the image of its row of the memory."""
        tokens = self.towers.text_tokens(texts).tokens if read is None else read
        return self.towers.fusion.ground(tokens, memory, mask_of(texts))

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """All three losses of a batch; with `groups` whole words are masked."""
        aligned, step = self.align(batch)
        memory = self.memory_of(aligned.images)
        mlm, count = self._masked_words(aligned, batch.texts, memory, generator)
        itm = self.matched(aligned, batch.texts, memory, generator)
        return Step(
            {**step.losses, "itm": itm, "mlm": mlm},
            step.carry,
            {**step.counts, "itm": len(batch.texts), "mlm": count},
        )

    def _masked_words(
        self,
        aligned: Aligned,
        texts: TextBatch,
        memory: Callable[[Tensor], State],
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """The loss of masked words, whose targets are in part the teacher's, and their number."""
        c = self.config
        ids, all_masked = c.mask(texts, generator)
        given = replace(texts, ids=ids)
        teacher: ALBEFTowers = self.teacher.net  # type: ignore[assignment]

        def cost(rows: slice) -> tuple[Tensor]:
            some, masked, owner = given.part(rows), all_masked[rows], aligned.owner[rows]
            logits = self.towers.masked_logits(some, memory(owner), masked)
            with torch.no_grad():
                opinion = teacher.masked_logits(some, teacher.prefill(aligned.taught[owner]), masked)
            right = F.one_hot(texts.ids[rows][masked], c.vocab_size).bool()
            return ((soft_cross_entropy(logits, right, opinion, aligned.alpha) * len(logits))[None],)

        (costs,) = by_chunks(cost, len(texts), self.chunk_size)
        return costs.sum() / all_masked.sum(), all_masked.sum()
