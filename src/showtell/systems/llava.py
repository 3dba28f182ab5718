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

from collections.abc import Sized
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from showtell.data.batch import Batch
from showtell.fusion.pair_towers import of_rows
from showtell.fusion.projector import Projector, ProjectorKind, placed
from showtell.nn.decoder import CachedDecoder
from showtell.nn.fitted import FitsFeatures
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.nn.pool import mean_token
from showtell.nn.transformer import initialise
from showtell.objectives.causal_tokens import causal_tokens, next_tokens, predicted
from showtell.protocols import Encoded, State, Step
from showtell.systems.clip import CLIPConfig, CLIPImageTower, TowerConfig
from showtell.systems.llama import Llama, LlamaConfig


@dataclass(frozen=True)
class LLaVAConfig(FitsFeatures):
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
    language: LlamaConfig = field(default_factory=lambda: LlamaConfig(vocab_size=32064, eps=1e-5))
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
    def vocab_size(self) -> int:
        """Tokens of the language model."""
        return self.language.vocab_size

    @property
    def max_length(self) -> int:
        """Tokens that the language model reads, those of images among them."""
        return self.language.max_length

    @property
    def size_multiple(self) -> int:
        """Pixels: images are cut into patches of this side."""
        return self.patch_size

    def build(self) -> LLaVA:
        """The untrained system of this config."""
        return LLaVA(self)

    def with_tokenizer(self, tokenizer: Sized) -> LLaVAConfig:
        """With the vocabulary of `tokenizer` and, after its last token, that of images."""
        size = len(tokenizer)
        return replace(self, language=replace(self.language, vocab_size=size), image_id=size)

    def with_language_model(self, language: LlamaConfig) -> LLaVAConfig:
        """For a pretrained language model."""
        return replace(self, language=language, image_id=language.vocab_size)


class LLaVA(CachedDecoder):
    """A frozen image tower, or the features of one, a projector and a language model."""

    Config: ClassVar = LLaVAConfig
    loss_weights: ClassVar = {"lm": 1.0}
    lora: ClassVar = "language.blocks."
    """The prefix of the linear layers that an adapter corrects."""

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
        self.language = Llama(c.language)
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

    def extend_seen(
        self, state: State, ids: Int[Tensor, "B L"], keep: Bool[Tensor, "B L"], images: Encoded
    ) -> tuple[Float[Tensor, "B L D"], State]:
        """As `extend`, of ids that name images: each `image_id` becomes the next token of `images`.

        Raises `UserError` with both counts when they differ.
        """
        where = ids == self.image_id
        tokens = self.language.embed(ids.masked_fill(where, 0))
        return self.language.append(state, placed(tokens, where, images.tokens, images.keep), keep)

    def prefill(self, encoded: Encoded) -> State:
        """The KV cache of each image, before its caption."""
        tokens, keep = encoded.tokens, encoded.keep
        keep = tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if keep is None else keep
        return self.language.append(self.empty_cache(len(tokens)), tokens, keep)[1]

    def teacher_forced_logits(
        self, memory: State, owner: Int[Tensor, " R"], ids: Tensor, keep: Tensor
    ) -> Float[Tensor, "T V"]:
        """Logits of the real tokens after the first, row by row."""
        tokens, _ = self.extend(of_rows(memory, owner), ids[:, :-1], keep[:, :-1])
        return self.next_token_logits(tokens[keep[:, 1:]])

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token: of the answers in conversations, whose ids name the images; of
        captions where nothing is marked as an answer.
        """
        texts = batch.texts
        if texts.answers is None:
            images = self.encode_images(batch)
            rows = torch.arange(len(texts), device=texts.ids.device)
            owner = rows if texts.owner is None else texts.owner
            logits = self.teacher_forced_logits(self.prefill(images), owner, texts.ids, texts.keep)
            targets = next_tokens(texts.ids, texts.keep)
        else:
            empty, given = self.empty_cache(len(texts)), (texts.ids, texts.keep)
            if len(batch.images):
                tokens, _ = self.extend_seen(empty, *given, self.encode_images(batch))
            else:
                tokens, _ = self.extend(empty, *given)
            chosen = predicted(texts.keep, None, texts.answers)
            logits, targets = self.next_token_logits(tokens[:, :-1][chosen]), texts.ids[:, 1:][chosen]
        return Step({"lm": causal_tokens(logits, targets)}, counts={"lm": len(logits)})

    def encode_texts(self, batch: Batch) -> Encoded:
        """Texts alone, as the language model encodes them."""
        return self.language.encode_texts(batch)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.language.token_embeddings()

    def next_token_logits(self, tokens: Tensor) -> Tensor:
        """Logits `[... V]` of the token after each of `tokens [... D]`."""
        return self.language.next_token_logits(tokens)

    def empty_cache(self, batch: int) -> State:
        """The empty KV cache of `batch` texts, `[B ...]`."""
        return self.language.empty_cache(batch)

    def extend(self, state: State, ids: Tensor, keep: Tensor) -> tuple[Tensor, State]:
        """Append a text alone, `ids [B L]`; return tokens `[B L D]` and the longer cache.

        Raises `UserError` when the text grows longer than `max_length`.
        """
        return self.language.extend(state, ids, keep)
