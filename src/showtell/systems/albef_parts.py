"""The parts of ALBEF: its image tower, the lower half of its texts' encoder, and the upper one, which fuses.

Source: Li et al. 2021, "Align before Fuse", figure 1, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.alignment import AlignmentConfig, AlignThenFuse
from showtell.fusion.visual.tower import TowerEmbedder, TowerEmbedderConfig
from showtell.nn.cross_decoder import MixedBlocks
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.linear import Linear
from showtell.nn.mask import attention_mask
from showtell.nn.transformer import Transformer
from showtell.protocols import Encoded, State
from showtell.systems.clip import TowerConfig


@dataclass(frozen=True)
class ALBEFPartsConfig(AlignmentConfig, TowerEmbedderConfig):
    """ALBEF with ViT-B/16 and BERT-base."""

    image: TowerConfig = field(default_factory=lambda: TowerConfig(768, 12, 3072, 12, "gelu", 1e-6))
    image_size: int = 256
    vocab_size: int = 30522
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


class ALBEFTowers(nn.Module):
    """The three encoders and the shared space: what the teacher has too."""

    def __init__(self, config: ALBEFPartsConfig) -> None:
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


def mask_of(texts: TextBatch) -> Tensor | None:
    """Which tokens may be attended to: all that are no padding."""
    return attention_mask(texts.keep, queries=texts.ids.shape[1])


class ALBEFPair(AlignThenFuse):
    """Texts that the lower half reads alone, and the upper one with an image: for a system with `towers`."""

    config: ALBEFPartsConfig
    towers: ALBEFTowers
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")
    training_only: ClassVar = ("teacher.", "image_queue", "text_queue", "queued", "updates")

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
