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
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from showtell.data.batch import Batch, TextBatch
from showtell.fusion.visual.tower import TowerEmbedder
from showtell.nn.linear import Linear
from showtell.nn.momentum import Teacher
from showtell.objectives.matching import hard_negatives, matching
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


class Towers(Protocol):
    """What a system and its teacher both have: two encoders and the shared space."""

    image: TowerEmbedder

    def image_tokens(self, batch: Batch) -> Encoded:
        """Tokens `[B N C]` and, pooled, the vector `[B D]` of length 1."""
        ...

    def text_tokens(self, texts: TextBatch) -> Encoded:
        """Tokens `[R L W]` of the texts alone and, pooled, the vector `[R D]` of length 1."""
        ...

    def prefill(self, encoded: Encoded) -> State:
        """The keys and values of images, `[B ...]`."""
        ...


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


class PairTowers(nn.Module):
    """`SharedSpace` and `PairScorer` for a system with `towers` and an `itm_head` that defines `ground`."""

    config: Any
    towers: Towers
    itm_head: nn.Module

    def ground(
        self, texts: TextBatch, memory: State, read: Float[Tensor, "R L W"] | None = None
    ) -> Float[Tensor, "R L W"]:
        """Tokens of the texts, each of which looks at the image of its row of the memory.

        `read` are their tokens alone, where they are there already and the system begins with them.
        """
        raise NotImplementedError

    @property
    def reads(self) -> str:
        """What the batch must hold of images."""
        return self.towers.image.reads

    @property
    def num_class_tokens(self) -> int:
        """Tokens of an image that are no patches and come first."""
        return self.towers.image.num_class_tokens

    @property
    def fused_width(self) -> int:
        """Width of a pair's vector."""
        return self.config.width

    def encode_images(self, batch: Batch) -> Encoded:
        """Tokens `[B N C]`; pooled `[B D]`, projected, of length 1."""
        return self.towers.image_tokens(batch)

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L W]` of the texts alone; pooled `[R D]`, [CLS] projected, of length 1."""
        return self.towers.text_tokens(batch.texts)

    def image_vectors(self, batch: Batch) -> Float[Tensor, "B D"]:
        """What `encode_images` calls pooled."""
        return self.encode_images(batch).pooled

    def text_vectors(self, batch: Batch) -> Float[Tensor, "R D"]:
        """What `encode_texts` calls pooled."""
        return self.encode_texts(batch).pooled

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """As `encode_images`: what is computed once per image."""
        return self.encode_images(batch)

    def fuse(self, batch: Batch, images: Encoded | None = None) -> Encoded:
        """Each text, which looks at its image; pooled from its first token."""
        images = self.encode_images(batch) if images is None else images
        memory, owner = self.towers.prefill(images), batch.texts.owner
        tokens = self.ground(batch.texts, memory if owner is None else of_rows(memory, owner))
        return Encoded(tokens, tokens[:, 0], batch.texts.keep)

    def match(self, fused: Encoded) -> Float[Tensor, " R"]:
        """The log-odds that a pair belongs together."""
        no, yes = self.itm_head(fused.pooled).unbind(1)
        return yes - no


class AlignThenFuse(PairTowers):
    """The two losses, and what moves the teacher and its queues."""

    teacher: Teacher

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

    def align(self, batch: Batch) -> tuple[Aligned, Step]:
        """The contrast of a batch."""
        texts, c = batch.texts, self.config
        owner = texts.owner
        if owner is None:
            owner = torch.arange(len(texts), device=texts.ids.device)
        images, read = self.towers.image_tokens(batch), self.towers.text_tokens(texts)
        with torch.no_grad():
            known = cast(Towers, self.teacher.net)
            taught = known.image_tokens(batch)
            slow_texts = known.text_tokens(texts).pooled
        filled = min(int(self.queued), c.queue_size)
        all_images, all_texts = (
            torch.cat([slow, queue[:filled]])
            for slow, queue in ((taught.pooled, self.image_queue), (slow_texts, self.text_queue))
        )
        scale = (-self.log_temperature).exp()
        alpha = c.distillation * min(1.0, (int(self.updates) + 1) / max(c.warm_updates, 1))
        own = owner[:, None] == torch.arange(len(taught.pooled), device=owner.device)

        def contrast(fast: Tensor, slow: Tensor, among: Tensor, positive: Tensor) -> Tensor:
            longer = positive.new_zeros(len(positive), filled)
            return soft_cross_entropy(
                scale * fast @ among.T,
                torch.cat([positive, longer], 1),
                scale.detach() * slow @ among.T,
                alpha,
            )

        of_texts = contrast(read.pooled, slow_texts, all_images, own)
        of_images = contrast(images.pooled, taught.pooled, all_texts, own.T)
        logits = scale.detach() * read.pooled.detach() @ images.pooled.detach().T
        step = Step(
            {"itc": (of_texts + of_images) / 2},
            carry={"images": taught.pooled[owner], "texts": slow_texts},
            counts={"itc": len(texts)},
        )
        return Aligned(images, read, owner, logits, taught, alpha), step

    def matched(
        self, aligned: Aligned, texts: TextBatch, memory: State, generator: torch.Generator | None
    ) -> Float[Tensor, ""]:
        """The matching loss; a batch of one image has no negatives."""
        owner, count = aligned.owner, len(aligned.images.pooled)
        rows = torch.arange(len(texts), device=owner.device)
        chosen, pictures = [rows], [owner]
        if count > 1:
            own = owner[:, None] == torch.arange(count, device=owner.device)
            chosen += [rows, hard_negatives(aligned.logits.T, own.T, generator)]
            pictures += [
                hard_negatives(aligned.logits, own, generator),
                torch.arange(count, device=owner.device),
            ]
        which, where = torch.cat(chosen), torch.cat(pictures)
        chosen_texts = TextBatch(texts.ids[which], texts.keep[which])
        tokens = self.ground(chosen_texts, of_rows(memory, where), aligned.texts.tokens[which])
        return matching(
            self.match(Encoded(tokens, tokens[:, 0])),
            torch.arange(len(which), device=owner.device) < len(rows),
        )

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Move the teacher towards the student, remember its vectors, keep the temperature in its range."""
        size = self.config.queue_size
        self.teacher.follow(cast(nn.Module, self.towers), self.config.momentum)
        self.log_temperature.clamp_(math.log(0.001), math.log(0.5))
        self.updates += 1
        if not size:
            return
        images, texts = (step.carry[name][-size:] for name in ("images", "texts"))
        place = (self.queued + torch.arange(len(images), device=images.device)) % size
        self.image_queue[place], self.text_queue[place] = images, texts
        self.queued += len(images)


def of_rows(memory: State, rows: Int[Tensor, " R"]) -> State:
    """Some rows of a memory."""
    return {name: tensor[rows] for name, tensor in memory.items()}
