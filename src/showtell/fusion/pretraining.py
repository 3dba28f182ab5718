"""Pretraining of an encoder of pairs: matching (ITM), masked words (MLM) and word-patch alignment (WPA).

    masked text | its image                -> MLM: the masked words
    whole text  | its image or another one -> ITM: which of the two, WPA: the words to the patches
    whole text  | its image, partly masked -> MIM: the mean colours of masked patches, the features of regions

The first two are one forward pass of twice as many rows; an image is embedded once for both. The third is a
pass of its own, and off by default: Kim et al. saw that it does not help.
Source: Kim et al. 2021, "ViLT", sections 3.2 and 4.5; Chen et al. 2020, "UNITER", section 3.2 (MRFR).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from showtell.data.batch import Batch, TextBatch
from showtell.fusion.pairs import JoinedPairs
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.fitted import FitsMasks
from showtell.nn.heads import MaskedLMHead
from showtell.nn.linear import Linear
from showtell.nn.transformer import initialise
from showtell.objectives.masked_tokens import Masked, mask_tokens, masked_tokens
from showtell.objectives.matching import draw_others, half_replaced, hardest, matching
from showtell.objectives.removed_pixels import removed_pixels
from showtell.objectives.word_patch import word_patch
from showtell.protocols import Encoded, Step


@dataclass(frozen=True)
class MaskingConfig(FitsMasks):
    """What masking words needs to know. `special` ids are never masked: [PAD] [UNK] [CLS] [SEP] [MASK]."""

    vocab_size: int = 30522
    mask_id: int = 103
    special: tuple[int, ...] = (0, 100, 101, 102, 103)
    mask_rate: float = 0.15

    def mask(self, texts: TextBatch, generator: torch.Generator | None) -> Masked:
        """The texts with masked words, whole ones where there are `groups`, and where they are."""
        return mask_tokens(
            texts.ids,
            texts.keep,
            mask_id=self.mask_id,
            vocab_size=self.vocab_size,
            special=self.special,
            rate=self.mask_rate,
            groups=texts.groups,
            generator=generator,
        )


@dataclass(frozen=True)
class PairPretrainingConfig(MaskingConfig):
    """What pretraining needs to know."""

    alignment: float = 0.1
    """Weight of the word-patch alignment; 0 leaves it out."""
    candidates: int = 1
    """Other images drawn per text, of which the one that matches best by the model is the negative."""

    masked_images: float = 0.0
    """Weight of the masked patches or regions, of which `mask_rate` are masked; 0 leaves them out."""

    @property
    def loss_weights(self) -> dict[str, float]:
        """The losses and their weights."""
        weights = {"itm": 1.0, "mlm": 1.0, "wpa": self.alignment, "mim": self.masked_images}
        return {name: weight for name, weight in weights.items() if weight}


class MaskedImages(NamedTuple):
    """Images of which a part is masked, embedded, and what is to be predicted there."""

    images: Encoded
    masked: Bool[Tensor, "B N"]
    """Of the tokens after those of a class."""
    target: Float[Tensor, "B N P"]


class PairPretraining(JoinedPairs):
    """`Trainable` and `PairScorer` for a system that embeds images and joins them with texts."""

    config: Any
    text: TextEmbedding
    fused_width: int
    num_class_tokens: int
    """Tokens of an image that are no patches and come first."""

    def mask_images(self, batch: Batch, generator: torch.Generator | None = None) -> MaskedImages:
        """The images partly masked, of a system with a `masked_width`."""
        raise NotImplementedError

    @property
    def training_only(self) -> tuple[str, ...]:
        """The head of the masked patches, which nothing else reads."""
        return ("mim_head.",) if self.config.masked_images else ()

    def make_heads(self, eps: float, activation: Activation, masked_width: int = 0) -> None:
        """The heads of the predictions, initialised; the masked words share the token embedding.

        Of each masked patch or region `masked_width` numbers are predicted, where the system masks any.
        """
        vocab_size, width = self.text.tokens.weight.shape
        self.mlm_head = MaskedLMHead(width, vocab_size, eps, activation)
        self.itm_head = Linear(self.fused_width, 2)
        self.loss_weights = self.config.loss_weights
        heads: list[nn.Module] = [self.mlm_head, self.itm_head]
        if self.config.masked_images:
            if not masked_width:
                raise ValueError(f"{type(self).__name__} masks no images; leave out masked_images")
            self.mim_head = nn.Sequential(
                Linear(width, width), nn.GELU(), nn.LayerNorm(width, eps), Linear(width, masked_width)
            )
            heads.append(self.mim_head)
        for head in heads:
            head.apply(initialise)

    def match(self, vectors: Float[Tensor, "R F"]) -> Float[Tensor, " R"]:
        """The log-odds that a pair belongs together."""
        no, yes = self.itm_head(vectors).unbind(1)
        return yes - no

    def masked_token_logits(self, tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T V"]:
        """Logits of the token at each of `tokens [T D]` of a fused pair."""
        return self.mlm_head(tokens, self.text.tokens.weight)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The losses; with `groups` whole words are masked. A batch of one image has no negatives."""
        c, texts = self.config, batch.texts
        images = self.embed_images(batch, generator)
        owner = texts.owner
        if owner is None:
            owner = torch.arange(len(texts), device=texts.ids.device)
        ids, masked = c.mask(texts, generator)
        chosen, matched = self._pairs(texts, images, owner, generator)
        fused = self.join(_twice(texts, ids), images[torch.cat([owner, chosen])])
        rows, length = texts.ids.shape
        whole = fused[slice(rows, None)]
        losses = {
            "itm": matching(self.match(whole.pooled), matched),
            "mlm": masked_tokens(
                self.masked_token_logits(fused.tokens[:rows, :length][masked]), texts.ids[masked]
            ),
        }
        counts: dict[str, Tensor | int] = {"itm": rows, "mlm": masked.sum()}
        if "wpa" in self.loss_weights:
            losses["wpa"], counts["wpa"] = self._alignment(whole, texts, matched), rows
        if "mim" in self.loss_weights:
            losses["mim"], counts["mim"] = self._masked_images(batch, owner, generator)
        return Step(losses, counts=counts)

    def _pairs(
        self,
        texts: TextBatch,
        images: Encoded,
        owner: Int[Tensor, " R"],
        generator: torch.Generator | None,
    ) -> tuple[Int[Tensor, " R"], Bool[Tensor, " R"]]:
        """The image of each text for the matching, and whether it is its own."""
        if len(images.tokens) < 2:
            return owner, torch.ones_like(owner, dtype=torch.bool)
        others = draw_others(owner, len(images.tokens), self.config.candidates, generator)
        if others.shape[1] > 1:
            with torch.no_grad():
                pairs = [Batch(texts=replace(texts, owner=column)) for column in others.unbind(1)]
                scores = [self.match(self.pair_vectors(pair, images)) for pair in pairs]
            others = hardest(others, torch.stack(scores, 1))[:, None]
        return half_replaced(owner, others[:, 0], generator)

    def _masked_images(
        self, batch: Batch, owner: Int[Tensor, " R"], generator: torch.Generator | None
    ) -> tuple[Float[Tensor, ""], Tensor]:
        """Squared error of what is masked in the image of each whole text, and how many patches that are."""
        images, masked, target = self.mask_images(batch, generator)
        fused = self.join(batch.texts, images[owner])
        patches = fused.tokens[:, batch.texts.ids.shape[1] + self.num_class_tokens :]
        masked = masked[owner]
        return removed_pixels(self.mim_head(patches), target[owner], masked), masked.sum()

    def _alignment(self, fused: Encoded, texts: TextBatch, matched: Bool[Tensor, " R"]) -> Float[Tensor, ""]:
        """WPA between words, without the special tokens, and patches, without [class]."""
        length, first = texts.ids.shape[1], self.num_class_tokens
        special = torch.isin(texts.ids, texts.ids.new_tensor(self.config.special))
        tokens, keep = fused.tokens, fused.keep
        assert keep is not None
        return word_patch(
            tokens[:, :length],
            tokens[:, length + first :],
            texts.keep & ~special,
            keep[:, length + first :],
            matched,
        )


def _twice(texts: TextBatch, ids: Int[Tensor, "R L"]) -> TextBatch:
    """The texts with other `ids`, and once more as they are."""
    segments = None if texts.segments is None else torch.cat([texts.segments] * 2)
    return replace(TextBatch(torch.cat([ids, texts.ids]), torch.cat([texts.keep] * 2)), segments=segments)
