"""Align, then fuse: contrast with a momentum teacher and queues (ITC), then matching (ITM).

    image -> u, text -> v, both of length 1;  teacher, a moving average: u', v' and the last `Q` of each
    ITC: -sum q log softmax(u . [v', queue] / tau)
         q = alpha softmax(u' . [v', queue] / tau) + (1 - alpha) own
    ITM: each pair, each text with a hard negative image, each image with a hard negative text

Source: Li et al. 2021, "Align before Fuse" (ALBEF), sections 3.1 to 3.3; Li et al. 2022, "BLIP", section 3.2.
The queues begin empty, not with random vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from showtell.data.batch import Batch, TextBatch
from showtell.fusion.pair_towers import PairTowers, Towers
from showtell.nn.chunked import by_chunks
from showtell.nn.decoder import of_rows
from showtell.nn.linear import Linear
from showtell.nn.momentum import Teacher
from showtell.objectives.cosine import all_cosines
from showtell.objectives.matching import hard_pairs, matching
from showtell.objectives.soft_targets import soft_cross_entropy
from showtell.protocols import Encoded, State, Step


@dataclass(frozen=True)
class AlignmentConfig:
    """What aligning needs to know; the defaults are ALBEF's."""

    temperature: float = 0.07
    """At the start of training."""
    momentum: float = 0.995
    """Of the teacher, which follows the student this slowly."""
    queue_size: int = 65536
    """Vectors of images, and of texts, that the teacher remembers; at most as many as the data has."""
    distillation: float = 0.4
    """Weight of the teacher's opinion in the targets (alpha)."""
    warm_updates: int = 0
    """Updates over which that weight grows from 0."""


class Aligned(NamedTuple):
    """What both encoders say of a batch, and what the contrast found."""

    images: Encoded
    texts: Encoded
    owner: Int[Tensor, " R"]
    """The image of each text."""
    logits: Float[Tensor, "R B"]
    """How alike texts and images are, over the temperature."""
    taught: Encoded
    """What the teacher says of the images."""
    alpha: float
    """Weight of the teacher's opinion."""


class AlignThenFuse(PairTowers):
    """The two losses, and what moves the teacher and its queues."""

    teacher: Teacher
    chunk_size: int = 0
    """Rows whose activations are kept at once in training; 0: those of the whole batch."""

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """`1 / temperature`, a scalar."""
        return (-self.log_temperature).exp()

    def make_alignment(self, shared_width: int) -> None:
        """The matching head, the temperature, and the teacher with its queues."""
        c: AlignmentConfig = self.config
        self.itm_head = Linear(self.fused_width, 2)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(c.temperature)))
        self.image_queue: Tensor
        self.text_queue: Tensor
        self.queued: Tensor
        for name in ("image_queue", "text_queue"):
            self.register_buffer(name, torch.zeros(c.queue_size, shared_width))
        self.register_buffer("queued", torch.zeros((), dtype=torch.int64))
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def _encoded(self, towers: Towers, batch: Batch) -> tuple[Encoded, Encoded]:
        """The images and the texts of a batch, each alone."""

        def images(rows: slice) -> tuple[Tensor, Tensor]:
            found = towers.image_tokens(Batch(batch.images.part(rows)))
            return found.tokens, found.pooled

        def texts(rows: slice) -> tuple[Tensor, Tensor]:
            found = towers.text_tokens(batch.texts.part(rows))
            return found.tokens, found.pooled

        keep = batch.images.keep if towers.image.reads_features else None
        seen, image_vectors = by_chunks(images, len(batch.images), self.chunk_size)
        read, text_vectors = by_chunks(texts, len(batch.texts), self.chunk_size)
        return Encoded(seen, image_vectors, keep), Encoded(read, text_vectors, batch.texts.keep)

    def memory_of(self, images: Encoded) -> Callable[[Tensor], State]:
        """What gives the keys and values of the image of each of some rows: all are computed first or, in
        chunks, those of the rows when they are asked for.
        """
        if self.chunk_size:
            return lambda rows: self.towers.prefill(images[rows])
        memory = self.towers.prefill(images)
        return lambda rows: of_rows(memory, rows)

    def align(self, batch: Batch) -> tuple[Aligned, Step]:
        """The contrast of a batch."""
        texts, c = batch.texts, self.config
        owner = texts.owner
        if owner is None:
            owner = torch.arange(len(texts), device=texts.ids.device)
        images, read = self._encoded(self.towers, batch)
        with torch.no_grad():
            taught, slow = self._encoded(cast(Towers, self.teacher.net), batch)
        slow_texts = slow.pooled
        filled = min(int(self.queued), c.queue_size)
        all_images, all_texts = (
            torch.cat([slow, queue[:filled]])
            for slow, queue in ((taught.pooled, self.image_queue), (slow_texts, self.text_queue))
        )
        scale = self.logit_scale
        alpha = c.distillation * min(1.0, (int(self.updates) + 1) / max(c.warm_updates, 1))
        own = owner[:, None] == torch.arange(len(taught.pooled), device=owner.device)

        def contrast(fast: Tensor, slow: Tensor, among: Tensor, positive: Tensor) -> Tensor:
            longer = positive.new_zeros(len(positive), filled)
            return soft_cross_entropy(
                scale * all_cosines(fast, among),
                torch.cat([positive, longer], 1),
                scale.detach() * all_cosines(slow, among),
                alpha,
            )

        of_texts = contrast(read.pooled, slow_texts, all_images, own)
        of_images = contrast(images.pooled, taught.pooled, all_texts, own.T)
        logits = scale.detach() * all_cosines(read.pooled.detach(), images.pooled.detach())
        step = Step(
            {"itc": (of_texts + of_images) / 2},
            carry={"images": taught.pooled[owner], "texts": slow_texts},
            counts={"itc": len(texts)},
        )
        return Aligned(images, read, owner, logits, taught, alpha), step

    def matched(
        self,
        aligned: Aligned,
        texts: TextBatch,
        memory: Callable[[Tensor], State],
        generator: torch.Generator | None,
    ) -> Float[Tensor, ""]:
        """The matching loss; a batch of one image has no negatives."""
        which, where = hard_pairs(aligned.logits, aligned.owner, generator)

        def scores(some: slice) -> tuple[Tensor]:
            own_texts = TextBatch(texts.ids[which[some]], texts.keep[which[some]])
            tokens = self.ground(own_texts, memory(where[some]), aligned.texts.tokens[which[some]])
            return (self.match(tokens[:, 0]),)

        (found,) = by_chunks(scores, len(which), self.chunk_size)
        return matching(found, torch.arange(len(which), device=which.device) < len(texts))

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Move the teacher towards the student, remember its vectors, keep the temperature in its range."""
        size = self.config.queue_size
        self.teacher.follow(cast(nn.Module, self.towers), self.config.momentum)
        self.log_temperature.clamp_(math.log(0.001), math.log(0.5))
        self.updates += 1
        if not size:
            return
        # In bf16 the teacher's vectors are bf16; the queues are not.
        images, texts = (step.carry[name][-size:].to(self.image_queue) for name in ("images", "texts"))
        place = (self.queued + torch.arange(len(images), device=images.device)) % size
        self.image_queue[place], self.text_queue[place] = images, texts
        self.queued += len(images)
