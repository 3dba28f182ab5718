"""SigLIP: an image tower and a text tower; each pair of a batch is a binary classification.

    image -> patches + positions -> transformer -> norm -> attention pooling -> u / |u|
    text  -> tokens + positions -> transformer -> norm -> last position -> linear -> v / |v|
    loss  = -log sigmoid(z (e^t u.v + b)) over all pairs, z = 1 for positives and -1 for negatives

Source: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training", section 3.2, algorithm 1; the sizes
are those of the released ViT-B/16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.fusion.dot_product import TwoTowers
from showtell.nn.attention_pooling import AttentionPooling
from showtell.nn.embed import TextEmbedding
from showtell.nn.linear import Linear
from showtell.nn.patch_embedding import ImageEmbedding
from showtell.nn.pixels import PixelNorm
from showtell.nn.transformer import Transformer, initialise
from showtell.objectives.sigmoid import pairwise_sigmoid
from showtell.protocols import Encoded
from showtell.systems.clip import TowerConfig


def _base() -> TowerConfig:
    return TowerConfig(768, 12, 3072, activation="gelu_tanh", eps=1e-6)


@dataclass(frozen=True)
class SigLIPConfig:
    """SigLIP ViT-B/16. `mean` and `std` are those of pixels in 0..1."""

    image: TowerConfig = field(default_factory=_base)
    """Its width is that of the shared embedding space."""
    text: TowerConfig = field(default_factory=_base)
    image_size: int = 224
    patch_size: int = 16
    vocab_size: int = 32000
    max_length: int = 64
    pad_id: int = 1
    """Fills every text up to `max_length`; the tower attends to it, as in its training."""
    temperature: float = 0.1
    bias: float = -10.0
    """Initial bias of the logits: nearly all pairs are negatives."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def build(self) -> SigLIP:
        """The untrained system of this config."""
        return SigLIP(self)

    def with_tokenizer(self, tokenizer: SubwordTokenizer) -> SigLIPConfig:
        """With the vocabulary size and padding of `tokenizer`."""
        return replace(self, vocab_size=len(tokenizer), pad_id=tokenizer.pad)


class SigLIP(TwoTowers):
    """Images and texts in one embedding space."""

    Config: ClassVar = SigLIPConfig
    reads: ClassVar = "pixels"
    loss_weights: ClassVar = {"pairs": 1.0}

    def __init__(self, config: SigLIPConfig) -> None:
        super().__init__()
        self.config = c = config
        self.normalise = PixelNorm(c.mean, c.std)
        self.embed_patches = ImageEmbedding(c.image_size, c.patch_size, c.image.width, class_token=False)
        self.image = Transformer.of(c.image, norm="pre")
        self.pool = AttentionPooling(
            c.image.width, c.image.num_heads, c.image.mlp_dim, activation=c.image.activation, eps=c.image.eps
        )
        self.embed = TextEmbedding(c.vocab_size, c.text.width, c.max_length)
        self.text = Transformer.of(c.text, norm="pre")
        self.project_text = Linear(c.text.width, c.image.width)
        self.log_logit_scale = nn.Parameter(torch.tensor(-math.log(c.temperature)))
        self.bias = nn.Parameter(torch.tensor(c.bias))
        self.apply(initialise)

    def encode_images(self, batch: Batch) -> Encoded:
        """Patches `[B N D]`; pooled `[B D]` by attention, of length 1. Images may have any size."""
        tokens = self.image(self.embed_patches(self.normalise(batch.images.pixels)))
        return Encoded(tokens, F.normalize(self.pool(tokens), dim=-1))

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R max_length D]`; pooled `[R D]` from the last position, of length 1.

        Every text is padded to `max_length` and attends to its padding, as in the training of the released
        weights; so the other texts of a batch change nothing.
        """
        ids, keep = batch.texts.ids, batch.texts.keep
        room = max(self.config.max_length - ids.shape[1], 0)
        ids = F.pad(ids.masked_fill(~keep, self.config.pad_id), (0, room), value=self.config.pad_id)
        tokens = self.text(self.embed(ids))
        return Encoded(tokens, F.normalize(self.project_text(tokens[:, -1]), dim=-1), F.pad(keep, (0, room)))

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """`1 / temperature`, a scalar."""
        return self.log_logit_scale.exp()

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.embed.tokens.weight.detach()

    def encode_pairs(
        self, batch: Batch, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "_ D"], ...]:
        """Image vectors `[B D]` and text vectors `[R D]`; all texts have one length, so none are grouped."""
        return self.image_vectors(batch), self.text_vectors(batch)

    def losses(
        self, images: Float[Tensor, "B D"], texts: Float[Tensor, "R D"], owner: Int[Tensor, " R"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The sigmoid loss over all pairs."""
        return {"pairs": pairwise_sigmoid(images, texts, self.logit_scale, self.bias, owner)}
