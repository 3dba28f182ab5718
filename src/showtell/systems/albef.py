"""ALBEF: images and texts are aligned by two encoders before a third one fuses them.

    image -> ViT -> c_0 .. c_N;  u = W c_0 / |W c_0|
    text  -> lower half of BERT -> t_0 .. t_L;  v = W' t_0 / |W' t_0|                                  ITC
    t     -> upper half, which looks at c -> z;  linear of z_0: do they match                         ITM
    masked text, the same way -> softmax(E g(W z_i) + b) at its masked words                          MLM

The targets of the contrast and of the masked words are in part the opinion of a momentum teacher.

Source: Li et al. 2021, "Align before Fuse: Vision and Language Representation Learning with Momentum
Distillation", figure 1, sections 3.1 to 3.3; ViT-B/16 and BERT-base.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.fusion.alignment import Aligned
from showtell.fusion.pretraining import MaskingConfig
from showtell.nn.chunked import by_chunks
from showtell.nn.heads import MaskedLMHead
from showtell.nn.momentum import Teacher
from showtell.nn.transformer import initialise
from showtell.objectives.soft_targets import soft_cross_entropy
from showtell.protocols import State, Step
from showtell.systems.albef_parts import ALBEFPair, ALBEFPartsConfig, ALBEFTowers, mask_of


@dataclass(frozen=True)
class ALBEFConfig(MaskingConfig, ALBEFPartsConfig):
    """ALBEF. `mean` and `std` are those of pixels in 0..1."""

    def build(self) -> ALBEF:
        """The untrained system of this config."""
        return ALBEF(self)


class MaskedWordsTowers(ALBEFTowers):
    """The towers with the head of masked words."""

    def __init__(self, config: ALBEFConfig) -> None:
        super().__init__(config)
        self.mlm_head = MaskedLMHead(config.width, config.vocab_size, config.eps, config.activation)

    def masked_logits(
        self, texts: TextBatch, memory: State, masked: Bool[Tensor, "R L"]
    ) -> Float[Tensor, "T V"]:
        """Logits of the masked tokens, row by row."""
        tokens = self.fusion.ground(self.text_tokens(texts).tokens, memory, mask_of(texts))
        return self.mlm_head(tokens[masked], self.embed.tokens.weight)


class ALBEF(ALBEFPair):
    """Contrast, matching and masked words."""

    Config: ClassVar = ALBEFConfig
    config: ALBEFConfig
    towers: MaskedWordsTowers
    loss_weights: ClassVar = {"itc": 1.0, "itm": 1.0, "mlm": 1.0}

    def __init__(self, config: ALBEFConfig) -> None:
        super().__init__()
        self.config = c = config
        self.towers = MaskedWordsTowers(c)
        self.make_alignment(c.shared_width)
        self.apply(initialise)
        self.teacher = Teacher(self.towers)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """All three losses of a batch; with `groups` whole words are masked."""
        aligned, step = self.align(batch)
        memory = self.memory_of(aligned.images)
        mlm, count = self._masked_words(aligned, batch.texts, memory, generator)
        itm = self.matched(aligned, batch.texts, memory, generator)
        return Step(
            {**step.losses, "itm": itm, "mlm": mlm},
            step.carry,
            {**step.counts, "itm": len(batch.texts), "mlm": count},
        )

    def _masked_words(
        self,
        aligned: Aligned,
        texts: TextBatch,
        memory: Callable[[Tensor], State],
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """The loss of masked words, whose targets are in part the teacher's, and their number."""
        c = self.config
        ids, all_masked = c.mask(texts, generator)
        given = replace(texts, ids=ids)
        teacher: MaskedWordsTowers = self.teacher.net  # type: ignore[assignment]

        def cost(rows: slice) -> tuple[Tensor]:
            some, masked, owner = given.part(rows), all_masked[rows], aligned.owner[rows]
            logits = self.towers.masked_logits(some, memory(owner), masked)
            with torch.no_grad():
                opinion = teacher.masked_logits(some, teacher.prefill(aligned.taught[owner]), masked)
            right = F.one_hot(texts.ids[rows][masked], c.vocab_size).bool()
            return ((soft_cross_entropy(logits, right, opinion, aligned.alpha) * len(logits))[None],)

        (costs,) = by_chunks(cost, len(texts), self.chunk_size)
        return costs.sum() / all_masked.sum(), all_masked.sum()
