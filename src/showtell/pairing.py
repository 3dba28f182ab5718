"""What a system can do that reads an image and a text together, beside `protocols`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from showtell.data.batch import Batch, TextBatch
    from showtell.protocols import Encoded, State


@runtime_checkable
class PairEncoder(Protocol):
    """Encodes an image and a text together."""

    fused_width: int
    """Width of the pooled vector of a pair."""

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """The `B` images before they meet a text: computed once per image, however many texts it meets.

        In training, the generator says which tokens are left out, where the paper samples them. Of the
        images of one text, `place` is the number of these, from 0.
        """
        ...

    def fuse(self, batch: Batch, images: Encoded | None = None) -> Encoded:
        """Each of the `R` texts together with its image, `owner[r]` or, without owners, image `r`.

        The tokens begin with the `L` of the text; pooled is the pair's vector `[R fused_width]`. `images` are
        those of `embed_images`, where they are there already; the batch needs no images then.
        """
        ...

    def pair_vectors(self, batch: Batch, images: Encoded | None = None) -> Tensor:
        """What `fuse` calls pooled, alone `[R fused_width]`."""
        ...


@runtime_checkable
class PairScorer(PairEncoder, Protocol):
    """Scores how well an image and a text match."""

    def embed_texts(self, texts: TextBatch) -> Tensor:
        """The tokens `[R L D]` of the texts before they meet an image."""
        ...

    def match(self, vectors: Tensor) -> Tensor:
        """`log p / (1 - p)` of each pair `[R]`, by its vector; `p` is the probability that its two belong
        together.
        """
        ...


@runtime_checkable
class PairContrast(PairScorer, Protocol):
    """Was taught a contrast of both as well, by vectors that a library does not hold."""

    def contrast(self, texts: TextBatch, images: Encoded) -> Tensor:
        """How alike each of the texts and each image of `embed_images` are `[R B]`, in nats as `match`."""
        ...


@runtime_checkable
class PairAnswerer(PairEncoder, Protocol):
    """Answers questions about images."""

    class_names: Sequence[str]
    """The answers, in the order of the logits; empty when they have no names."""
    num_images: int
    """Images that one question is about."""

    def answer(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Logits `[R K]`; `owner[r]` is the first image of text `r`: without owners, `r * num_images`."""
        ...

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of each answer `[R K]`; they add up to 1 only where one answer excludes the others."""
        ...


@runtime_checkable
class AnswerWriter(PairEncoder, Protocol):
    """Answers questions about an image in words of its own: a `Decoder` whose memory is a fused question."""

    def prefill_questions(self, fused: Encoded) -> State:
        """What is computed once per fused question, `[R ...]`."""
        ...

    def initial_state(self, memory: State) -> State:
        """The state before the first token, one hypothesis per question, `[R 1 ...]`."""
        ...

    def step(self, memory: State, state: State, ids: Tensor) -> tuple[Tensor, State]:
        """Append one token per hypothesis, `ids [R K]`; return logits `[R K V]` and the new state."""
        ...


@runtime_checkable
class ImageReader(Protocol):
    """Reads images among the tokens of a text: an `ImageEncoder` that is a `CausalLanguageModel` too."""

    image_id: int
    """Stands among the ids for each token of an image."""

    def extend_seen(self, state: State, ids: Tensor, keep: Tensor, images: Encoded) -> tuple[Tensor, State]:
        """As `extend`, of ids that name images: each `image_id` becomes the next token of `images`."""
        ...
