"""BLIP fine-tuned: one that describes images, one that finds them, one that answers questions about them.

    captioner: image -> c;  [Decode] w_1 .. w_t, looking at c -> softmax(E g(W z_t) + b)
    retriever: u . v, and whether a text and an image match
    answerer:  [Encode] question, looking at c -> q;  [Decode] a_1 .. a_t, looking at q -> a_t+1

Source: Li et al. 2022, "BLIP: Bootstrapping Language-Image Pre-training", sections 5.1 to 5.3, figure 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.pair_towers import PairTowers
from showtell.fusion.pairs import FusedPairs
from showtell.fusion.visual.tower import TowerEmbedder
from showtell.nn.decoder import of_rows
from showtell.nn.heads import MaskedLMHead
from showtell.nn.linear import Linear
from showtell.nn.transformer import initialise
from showtell.objectives.causal_tokens import causal_tokens, next_tokens
from showtell.protocols import Encoded, State, Step
from showtell.systems.blip import BLIPTowers
from showtell.systems.blip_parts import BLIPPartsConfig, Reader, Writer


@dataclass(frozen=True)
class BLIPCaptionerConfig(BLIPPartsConfig):
    """BLIP with ViT-B/16, for captions."""

    image_size: int = 384
    smoothing: float = 0.0
    """Label smoothing of the language model."""

    def build(self) -> BLIPCaptioner:
        """The untrained system of this config."""
        return BLIPCaptioner(self)


class BLIPCaptioner(Writer):
    """The image tower and the decoder, trained to describe images."""

    Config: ClassVar = BLIPCaptionerConfig
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")
    loss_weights: ClassVar = {"lm": 1.0}

    def __init__(self, config: BLIPCaptionerConfig) -> None:
        super().__init__()
        self.config = c = config
        self.image = TowerEmbedder(c)
        self.reads, self.num_class_tokens = self.image.reads, self.image.num_class_tokens
        self.text = Reader(c, c.image.width)
        self.lm_head = MaskedLMHead(c.width, c.vocab_size, c.eps, c.activation)
        self.apply(initialise)

    @property
    def reader(self) -> Reader:
        """The embedding and the blocks of the texts."""
        return self.text

    def encode_images(self, batch: Batch) -> Encoded:
        """Tokens `[B N C]`, pooled as [class]."""
        return self.image(batch.images)

    def prefill(self, encoded: Encoded) -> State:
        """The keys and values of each image for every block, `[B H N D/H]`."""
        return self.reader.stack.prefill(encoded.tokens, encoded.keep)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token."""
        texts, memory = batch.texts, self.prefill(self.encode_images(batch))
        owner = torch.arange(len(texts), device=texts.ids.device) if texts.owner is None else texts.owner
        logits = self.teacher_forced_logits(memory, owner, texts.ids, texts.keep)
        loss = causal_tokens(logits, next_tokens(texts.ids, texts.keep), self.config.smoothing)
        return Step({"lm": loss}, counts={"lm": len(logits)})


@dataclass(frozen=True)
class BLIPRetrieverConfig(BLIPPartsConfig):
    """BLIP with ViT-B/16, for retrieval."""

    image_size: int = 384
    shared_width: int = 256
    """Of the vectors that are compared."""

    def build(self) -> BLIPRetriever:
        """The untrained system of this config."""
        return BLIPRetriever(self)


class BLIPRetriever(PairTowers):
    """Both towers and the matching head, as published checkpoints for retrieval hold them."""

    Config: ClassVar = BLIPRetrieverConfig
    towers: BLIPTowers
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: BLIPRetrieverConfig) -> None:
        super().__init__()
        self.config = c = config
        self.towers = BLIPTowers(c, c.shared_width, own_causal=False)
        self.itm_head = Linear(c.width, 2)
        self.apply(initialise)

    def embed_texts(self, texts: TextBatch) -> Float[torch.Tensor, "R L W"]:
        """The tokens of the texts before they meet an image."""
        return self.towers.text.embed(texts.ids)

    def ground(
        self, texts: TextBatch, memory: State, read: torch.Tensor | None = None
    ) -> Float[torch.Tensor, "R L W"]:
        """Tokens of the texts after [Encode], each of which looks at the image of its row of the memory."""
        return self.towers.text.ground(texts, memory)

    def token_embeddings(self) -> Float[torch.Tensor, "V W"]:
        """The token embedding."""
        return self.towers.text.embed.tokens.weight.detach()


@dataclass(frozen=True)
class BLIPAnswererConfig(BLIPPartsConfig):
    """BLIP with ViT-B/16, for answers in words."""

    image_size: int = 384
    smoothing: float = 0.0
    """Label smoothing of the language model."""

    def build(self) -> BLIPAnswerer:
        """The untrained system of this config."""
        return BLIPAnswerer(self)


class BLIPAnswerer(FusedPairs, Writer):
    """A reader of questions that looks at the image, and a writer of answers that looks at the question."""

    Config: ClassVar = BLIPAnswererConfig
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: BLIPAnswererConfig) -> None:
        super().__init__()
        self.config = c = config
        self.image = TowerEmbedder(c)
        self.reads, self.num_class_tokens = self.image.reads, self.image.num_class_tokens
        self.fused_width = c.width
        self.question = Reader(c, c.image.width)
        self.text = Reader(c, c.width)
        self.lm_head = MaskedLMHead(c.width, c.vocab_size, c.eps, c.activation)
        self.apply(initialise)

    @property
    def reader(self) -> Reader:
        """The embedding and the blocks of the answers."""
        return self.text

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """Tokens `[B N C]`, pooled as [class]."""
        return self.image(batch.images)

    def fuse(self, batch: Batch, images: Encoded | None = None) -> Encoded:
        """Each question, which looks at its image: what an answer looks at."""
        images = self.embed_images(batch) if images is None else images
        memory, owner = self.question.stack.prefill(images.tokens, images.keep), batch.texts.owner
        tokens = self.question.ground(batch.texts, memory if owner is None else of_rows(memory, owner))
        return Encoded(tokens, tokens[:, 0], batch.texts.keep)

    def prefill_questions(self, fused: Encoded) -> State:
        """The keys and values of fused questions for every block of the decoder, `[R H L D/H]`."""
        return self.text.stack.prefill(fused.tokens, fused.keep)
