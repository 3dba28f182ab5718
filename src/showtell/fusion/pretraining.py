"""Pretraining of an encoder of pairs: matching (ITM), masked words (MLM) and word-patch alignment (WPA).

    masked text | its image                -> MLM: the masked words
    whole text  | its image or another one -> ITM: which of the two, WPA: the words to the patches

Both halves are one forward pass of twice as many rows; an image is embedded once for both.
Source: Kim et al. 2021, "ViLT", section 3.2; Chen et al. 2020, "UNITER", section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from showtell.data.batch import Batch, TextBatch
from showtell.objectives.masked_tokens import mask_tokens, masked_tokens
from showtell.objectives.matching import draw_others, half_replaced, hardest, matching
from showtell.objectives.word_patch import word_patch
from showtell.protocols import Encoded, Step


class PairPretraining(nn.Module):
    """`Trainable` for a `PairScorer` that joins texts and images and predicts masked tokens."""

    config: Any
    num_class_tokens: int
    """Tokens of an image that are no patches and come first."""
    loss_weights: Mapping[str, float]

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """The `B` images before they meet a text."""
        raise NotImplementedError

    def join(self, texts: TextBatch, images: Encoded) -> Encoded:
        """Text `r` with image `r`, the tokens of the text first."""
        raise NotImplementedError

    def match(self, fused: Encoded) -> Float[Tensor, " R"]:
        """The log-odds that a pair belongs together."""
        raise NotImplementedError

    def masked_token_logits(self, tokens: Float[Tensor, "T D"]) -> Float[Tensor, "T V"]:
        """Logits of the token at each of `tokens`."""
        raise NotImplementedError

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The losses; with `groups` whole words are masked. A batch of one image has no negatives."""
        c, texts = self.config, batch.texts
        images = self.embed_images(batch, generator)
        owner = texts.owner
        if owner is None:
            owner = torch.arange(len(texts), device=texts.ids.device)
        ids, masked = mask_tokens(
            texts.ids,
            texts.keep,
            mask_id=c.mask_id,
            vocab_size=c.vocab_size,
            special=c.special,
            rate=c.mask_rate,
            groups=texts.groups,
            generator=generator,
        )
        chosen, matched = self._pairs(texts, images, owner, generator)
        fused = self.join(_twice(texts, ids), images[torch.cat([owner, chosen])])
        rows, length = texts.ids.shape
        whole = fused[slice(rows, None)]
        losses = {
            "itm": matching(self.match(whole), matched),
            "mlm": masked_tokens(
                self.masked_token_logits(fused.tokens[:rows, :length][masked]), texts.ids[masked]
            ),
        }
        counts: dict[str, Tensor | int] = {"itm": rows, "mlm": masked.sum()}
        if "wpa" in self.loss_weights:
            losses["wpa"], counts["wpa"] = self._alignment(whole, texts, matched), rows
        return Step(losses, counts=counts)

    def after_step(self, step: Step) -> None:
        """Nothing to do: gradients train all of it."""

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
                scores = [self.match(self.join(texts, images[column])) for column in others.unbind(1)]
            others = hardest(others, torch.stack(scores, 1))[:, None]
        return half_replaced(owner, others[:, 0], generator)

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
