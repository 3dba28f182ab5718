"""SigLIP: two towers as in CLIP, and each pair of image and text is judged on its own.

    image -> patches + positions -> transformer -> norm -> attention pooling -> u / |u|
    text    -> words + positions -> transformer (both ways) -> norm -> last place -> linear -> v / |v|
    loss = -log sigmoid(z (e^t u.v + b)) over all pairs, z = 1 for partners and -1 else

Source: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training", section 3.2, algorithm 1; the sizes
are those of the released ViT-B/16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.fusion.dot_product import TwoTowers
from showtell.nn.attention_pooling import AttentionPooling
from showtell.nn.embed import TextEmbedding
from showtell.nn.patch_embedding import ImageEmbedding
from showtell.nn.pixels import PixelNorm
from showtell.nn.transformer import Transformer, initialise
from showtell.objectives.sigmoid import pairwise_sigmoid
from showtell.protocols import Encoded, Step
from showtell.systems.clip import TowerConfig


def _base() -> TowerConfig:
    return TowerConfig(768, 12, 3072, activation="gelu_tanh", eps=1e-6)


@dataclass(frozen=True)
class SigLIPConfig:
    """SigLIP ViT-B/16. Pixels are normalised by `mean` and `std`, of 0..1."""

    image: TowerConfig = field(default_factory=_base)
    """Its width is that of the space that images and texts share."""
    text: TowerConfig = field(default_factory=_base)
    image_size: int = 224
    patch_size: int = 16
    vocab_size: int = 32000
    max_length: int = 64
    pad_id: int = 1
    """What fills a text up to `max_length`: the tower was trained to read it."""
    temperature: float = 0.1
    bias: float = -10.0
    """Where training begins: nearly all pairs are no partners."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def build(self) -> SigLIP:
        """The system with these numbers, untrained."""
        return SigLIP(self)

    def with_tokenizer(self, tokenizer: SubwordTokenizer) -> SigLIPConfig:
        """The vocabulary's size and padding are those of `tokenizer`."""
        return replace(self, vocab_size=len(tokenizer), pad_id=tokenizer.pad)


class SigLIP(TwoTowers):
    """Images and texts in one space."""

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
        self.project_text = nn.Linear(c.text.width, c.image.width)
        self.log_logit_scale = nn.Parameter(torch.tensor(-math.log(c.temperature)))
        self.bias = nn.Parameter(torch.tensor(c.bias))
        self.apply(initialise)

    def encode_images(self, batch: Batch) -> Encoded:
        """The images' patches `[B N D]`, pooled to length 1, `[B D]`; any size of image."""
        tokens = self.image(self.embed_patches(self.normalise(batch.images.pixels)))
        return Encoded(tokens, F.normalize(self.pool(tokens), dim=-1))

    def encode_texts(self, batch: Batch) -> Encoded:
        """The texts' words `[R max_length D]`, pooled from the last place to length 1, `[R D]`.

        Every text is filled up to `max_length` and the filling is read, as in the training of the released
        weights: so the batch that a text is in changes nothing.
        """
        ids, keep = batch.texts.ids, batch.texts.keep
        room = max(self.config.max_length - ids.shape[1], 0)
        ids = F.pad(ids.masked_fill(~keep, self.config.pad_id), (0, room), value=self.config.pad_id)
        tokens = self.text(self.embed(ids))
        return Encoded(tokens, F.normalize(self.project_text(tokens[:, -1]), dim=-1), F.pad(keep, (0, room)))

    @property
    def logit_scale(self) -> Tensor:
        """`1 / temperature`, a scalar."""
        return self.log_logit_scale.exp()

    def token_embeddings(self) -> Tensor:
        """`[V D]`."""
        return self.embed.tokens.weight.detach()

    def encode_pairs(self, batch: Batch, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """Image vectors `[B D]` and text vectors `[R D]`, in one group: every text has the same length."""
        return self.image_vectors(batch), self.text_vectors(batch)

    def losses(self, images: Tensor, texts: Tensor, owner: Tensor) -> dict[str, Tensor]:
        """The sigmoid loss of every image with every text."""
        return {"pairs": pairwise_sigmoid(images, texts, self.logit_scale, self.bias, owner)}

    def after_step(self, step: Step) -> None:
        """Nothing moves but by its gradient."""
