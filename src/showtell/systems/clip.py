"""CLIP: an image tower and a text tower, trained so that matching pairs have the highest dot product.

    image -> patches, [class] + positions -> norm -> transformer -> norm -> [class] -> linear -> u / |u|
    text  -> tokens + positions -> transformer (causal) -> norm -> last token -> linear -> v / |v|
    loss  = mean of the cross-entropies of e^t u.v over rows and over columns

Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", figures
1 and 3, section 2.4; ViT-B/32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.fusion.dot_product import TwoTowers
from showtell.nn.attention import pick
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsTokenizer
from showtell.nn.linear import Linear
from showtell.nn.mask import attention_mask
from showtell.nn.patch_embedding import ImageEmbedding
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD, PixelNorm
from showtell.nn.transformer import Transformer, initialise
from showtell.objectives.contrastive import symmetric_info_nce
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class TowerConfig:
    """Sizes of one of the two transformers."""

    width: int
    num_heads: int
    mlp_dim: int
    depth: int = 12
    activation: Activation = "quick_gelu"
    eps: float = 1e-5


@dataclass(frozen=True)
class CLIPConfig(FitsTokenizer):
    """CLIP ViT-B/32. `mean` and `std` are those of pixels in 0..1."""

    image: TowerConfig = field(default_factory=lambda: TowerConfig(768, 12, 3072))
    text: TowerConfig = field(default_factory=lambda: TowerConfig(512, 8, 2048))
    image_size: int = 224
    patch_size: int = 32
    vocab_size: int = 49408
    max_length: int = 77
    width: int = 512
    temperature: float = 0.07
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    def build(self) -> CLIP:
        """The untrained system of this config."""
        return CLIP(self)


class CLIPImageTower(nn.Module):
    """A ViT with a norm before the first block too."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        width = config.image.width
        self.normalise = PixelNorm(config.mean, config.std)
        self.embed = ImageEmbedding(config.image_size, config.patch_size, width, bias=False)
        for name in ("class_token", "positions.table"):
            nn.init.normal_(self.embed.get_parameter(name), std=width**-0.5)
        self.norm = nn.LayerNorm(width, config.image.eps)
        self.transformer = Transformer.of(config.image, norm="pre")

    def forward(
        self, pixels: Shaped[Tensor, "B 3 H W"], at: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B M D"]:
        """Pixels `[B 3 H W]` of any size to `[B 1+N D]`, or to the tokens `at [B]` alone, `[B 1 D]`."""
        return self.transformer(self.norm(self.embed(self.normalise(pixels))), at=at)


class CLIP(TwoTowers):
    """Images and texts in one embedding space."""

    Config: ClassVar = CLIPConfig
    reads: ClassVar = "pixels"
    num_class_tokens: ClassVar = 1
    loss_weights: ClassVar = {"contrast": 1.0}

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = c = config
        self.image = CLIPImageTower(c)
        self.embed = TextEmbedding(c.vocab_size, c.text.width, c.max_length)
        self.text = Transformer.of(c.text, norm="pre")
        self.project_image = Linear(c.image.width, c.width, bias=False)
        self.project_text = Linear(c.text.width, c.width, bias=False)
        self.log_logit_scale = nn.Parameter(torch.tensor(-math.log(c.temperature)))
        self.apply(initialise)

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """`1 / temperature`, a scalar."""
        return self.log_logit_scale.exp()

    def encode_images(self, batch: Batch) -> Encoded:
        """[class] and patches `[B 1+N D]`; pooled `[B width]`, [class] projected, of length 1."""
        tokens = self.image(batch.images.pixels)
        return Encoded(tokens, self._image_vector(tokens[:, 0]))

    def image_vectors(self, batch: Batch) -> Float[Tensor, "B D"]:
        """The pooled vectors alone, `[B width]`; the last block computes only the [class] token."""
        first = torch.zeros(len(batch.images.pixels), dtype=torch.long, device=batch.images.pixels.device)
        return self._image_vector(self.image(batch.images.pixels, first)[:, 0])

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L D]` up to the longest text; pooled `[R width]`, the last projected, of length 1."""
        ids, keep, mask, last = self._trimmed(batch)
        tokens = self.text(self.embed(ids), mask)
        return Encoded(tokens, self._text_vector(pick(tokens, last, 1)[:, 0]), keep)

    def text_vectors(self, batch: Batch) -> Float[Tensor, "R D"]:
        """The pooled vectors alone, `[R width]`; the last block computes only the last real token."""
        ids, _, mask, last = self._trimmed(batch)
        return self._text_vector(self.text(self.embed(ids), mask, last)[:, 0])

    def _image_vector(self, token: Tensor) -> Tensor:
        return F.normalize(self.project_image(token), dim=-1)

    def _text_vector(self, token: Tensor) -> Tensor:
        return F.normalize(self.project_text(token), dim=-1)

    def _trimmed(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Ids and `keep` up to the longest text, the causal mask, and the index of each last token."""
        lengths = batch.texts.keep.sum(1)
        longest = int(lengths.max())
        ids, keep = batch.texts.ids[:, :longest], batch.texts.keep[:, :longest]
        return ids, keep, attention_mask(keep, queries=longest, causal=True), lengths - 1

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.embed.tokens.weight.detach()

    def losses(
        self, images: Float[Tensor, "B D"], texts: Float[Tensor, "R D"], owner: Int[Tensor, " R"]
    ) -> dict[str, Float[Tensor, ""]]:
        """InfoNCE from image to text and from text to image."""
        return {"contrast": symmetric_info_nce(images, texts, self.logit_scale, owner)}

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Clip the logit scale at 100, as in section 2.5."""
        self.log_logit_scale.clamp_(max=math.log(100))
