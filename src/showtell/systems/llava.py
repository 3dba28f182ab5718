"""LLaVA: a language model that reads the tokens of an image among those of a text.

    image -> CLIP's tower (frozen), its last block but one -> patches [N C] -> projector -> N vectors [N D]
    "USER: <image> what is this? ASSISTANT:" -> token embedding, the N vectors in the place of <image>
        -> language model -> the answer

Trained on captions, an image's vectors stand before the caption, and the projector alone learns (its first
stage). Trained on conversations, the answers are predicted (its second).

Source: Liu et al. 2023, "Visual Instruction Tuning", figure 1, section 4; Liu et al. 2023, "Improved
Baselines with Visual Instruction Tuning", section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from showtell.data.batch import Batch
from showtell.fusion.image_prompt import ImagePrompted, ImagePromptedConfig
from showtell.fusion.projector import Projector, ProjectorKind
from showtell.nn.fitted import FitsFeatures
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.nn.pool import mean_token
from showtell.nn.transformer import initialise
from showtell.protocols import Encoded
from showtell.systems.clip import CLIPConfig, CLIPImageTower, TowerConfig
from showtell.systems.gpt import GPTConfig
from showtell.systems.llama import LlamaConfig


@dataclass(frozen=True)
class LLaVAConfig(ImagePromptedConfig, FitsFeatures):
    """LLaVA-1.5 7B: CLIP ViT-L/14 at 336 pixels, and Vicuna. `mean` and `std` are those of pixels in 0..1."""

    image: TowerConfig = field(default_factory=lambda: TowerConfig(1024, 16, 4096, 24))
    image_size: int = 336
    patch_size: int = 14
    image_layer: int = -2
    """Of the tower, whose tokens are read: -1 after the last block, -2 before it, 1 after the first."""
    class_token: bool = False
    """Whether [class] is read too."""
    feature_width: int = 0
    """Width of a frozen encoder's features, where those are read; 0: pixels."""
    projector: ProjectorKind = "mlp"
    """One linear layer, or two with GELU between."""
    language: LlamaConfig | GPTConfig = field(default_factory=lambda: LlamaConfig(vocab_size=32064, eps=1e-5))
    train_language: bool = True
    """Whether the language model learns too; else it stays as it was."""
    image_id: int = 32000
    """What stands for each token of an image among the ids."""
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    def __post_init__(self) -> None:
        if not -self.image.depth <= self.image_layer + 1 <= self.image.depth + 1:
            raise ValueError(f"image_layer {self.image_layer} is none of the {self.image.depth} layers")

    @property
    def size_multiple(self) -> int:
        """Pixels: images are cut into patches of this side."""
        return self.patch_size

    def build(self) -> LLaVA:
        """The untrained system of this config."""
        return LLaVA(self)


class LLaVA(ImagePrompted):
    """A frozen image tower, or the features of one, a projector and a language model."""

    Config: ClassVar = LLaVAConfig
    lora: ClassVar = ("language.blocks.", "language.transformer.", "project.")
    """The prefixes of the linear layers that an adapter corrects: the second stage trains the projector."""

    def __init__(self, config: LLaVAConfig) -> None:
        super().__init__()
        self.config = c = config
        self.reads = "features" if c.feature_width else "pixels"
        self.num_class_tokens = int(c.class_token and not c.feature_width)
        self.image_id = c.image_id
        if not c.feature_width:
            tower = CLIPConfig(
                c.image, image_size=c.image_size, patch_size=c.patch_size, mean=c.mean, std=c.std
            )
            self.image = CLIPImageTower(tower)
            self.image.apply(initialise)
            self.image.requires_grad_(False)
        self.project = Projector(c.feature_width or c.image.width, c.language.width, c.projector)
        self.project.apply(initialise)
        self.language = c.language.build()
        self.language.requires_grad_(c.train_language)

    def encode_images(self, batch: Batch) -> Encoded:
        """Tokens `[B N D]`, as the language model reads them; pooled, their mean."""
        images = batch.images
        if self.config.feature_width:
            tokens, keep = self.project(images.features), images.keep
            return Encoded(tokens, mean_token(tokens, keep, None), keep)
        tokens = self.project(self._patches(images.pixels))
        return Encoded(tokens, tokens.mean(1))

    def _patches(self, pixels: Tensor) -> Tensor:
        tower, depth = self.image, self.config.image.depth
        tokens = tower.norm(tower.embed(tower.normalise(pixels)))
        for block in tower.transformer.blocks[: range(depth + 1)[self.config.image_layer]]:
            tokens = block(tokens)
        return tokens if self.config.class_token else tokens[:, 1:]
