"""ViLT: one transformer over words and patches, without an image encoder before it.

    text  -> [CLS] w_1 .. w_L [SEP]: token + segment + position -> norm -> + modal type 0
    image -> [class] v_1 .. v_N: linear projection of patches + position   -> + modal type 1
    text | image -> transformer (pre-norm) -> norm -> z
    tanh(W_p z_0) -> linear: do they match;  z_i at masked words -> softmax(E g(W z_i) + b)

Modal types are added, so a text of `L` tokens, [CLS] and [SEP] among them, and an image of `N` patches make
`L + N + 1` vectors of the one width.

Source: Kim et al. 2021, "ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision",
figure 3, equations 1 to 6, sections 3.2 and 4.1; ViLT-B/32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.pretraining import MaskedImages, PairPretraining, PairPretrainingConfig
from showtell.fusion.single_stream import SingleStream
from showtell.fusion.visual.patches import PatchEmbedder
from showtell.fusion.vit_start import ViTStart, ViTStartConfig
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsTokenizer
from showtell.nn.heads import Pooler
from showtell.nn.transformer import Transformer, initialise
from showtell.objectives.masked_pixels import mask_some
from showtell.protocols import Encoded

COLOURS = 3


@dataclass(frozen=True)
class ViLTEncoderConfig(FitsTokenizer):
    """ViLT-B/32. `mean` and `std` are those of pixels in 0..1."""

    vocab_size: int = 30522
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    max_length: int = 40
    num_segments: int = 2
    num_modal_types: int = 2
    """Text, image, and one more for each further image of a text: 3 for NLVR2."""
    image_size: int = 384
    """The shorter side of an image in pixels: the longer is at most 5/3 of it."""
    patch_size: int = 32
    num_sampled: int = 200
    """Patches of an image that are read in training, at most."""
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def build(self) -> ViLTEncoder:
        """The untrained system of this config."""
        return ViLTEncoder(self)

    @property
    def size_multiple(self) -> int:
        """Pixels: images are cut into patches of this side."""
        return self.patch_size


class ViLTEncoder(SingleStream):
    """The transformer over pairs, without heads."""

    Config: ClassVar = ViLTEncoderConfig
    reads: ClassVar = "pixels"
    reads_several_sizes: ClassVar = True
    num_class_tokens: ClassVar = 1
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: ViLTEncoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.text = TextEmbedding(c.vocab_size, c.width, c.max_length, num_segments=c.num_segments, eps=c.eps)
        self.image = PatchEmbedder(
            c.image_size, c.patch_size, c.width, num_sampled=c.num_sampled, mean=c.mean, std=c.std
        )
        self.modal_types = torch.nn.Embedding(c.num_modal_types, c.width)
        self.transformer = Transformer.of(c, norm="pre", dropout=c.dropout)
        self.pooler = Pooler(c.width)
        self.fused_width = c.width
        self.apply(initialise)

    def embed_texts(self, texts: TextBatch) -> Float[Tensor, "R L D"]:
        """Tokens of the texts, of modal type 0."""
        tokens = self.dropped(self.text(texts.ids, texts.positions, texts.segments))
        return tokens + self.modal_types.weight[0]

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """[class] and patches `[B 1+N D]`, of modal type `1 + place`."""
        return self._typed(self.image(batch.images, generator), place)

    def _typed(self, image: Encoded, place: int) -> Encoded:
        modal = self.modal_types.weight[1 + place]
        return Encoded(self.dropped(image.tokens) + modal, image.pooled + modal, image.keep)


@dataclass(frozen=True)
class ViLTConfig(ViTStartConfig, PairPretrainingConfig, ViLTEncoderConfig):
    """ViLT-B/32, pretrained."""

    def build(self) -> ViLT:
        """The untrained system of this config."""
        return ViLT(self)


class ViLT(ViTStart, ViLTEncoder, PairPretraining):
    """The encoder, pretrained on matching, masked words, word-patch alignment, and masked patches."""

    Config: ClassVar = ViLTConfig
    config: ViLTConfig

    def __init__(self, config: ViLTConfig) -> None:
        super().__init__(config)
        self.make_heads(config.eps, config.activation, masked_width=COLOURS)

    def mask_images(self, batch: Batch, generator: torch.Generator | None = None) -> MaskedImages:
        """The images with grey patches, and the mean colour of each patch, normalised as the pixels are."""
        patches = self.image.choose(batch.images, generator)
        keep = patches.keep
        if keep is None:
            keep = torch.ones(patches.pixels.shape[:2], dtype=torch.bool, device=patches.pixels.device)
        masked = mask_some(keep, self.config.mask_rate, generator)
        images = self._typed(self.image.embed(patches.without(masked)), 0)
        return MaskedImages(images, masked, patches.pixels.unflatten(2, (COLOURS, -1)).mean(3))
