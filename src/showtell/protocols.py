"""What a system can do, and the values that travel between rooms.

Rooms know systems only through these protocols: a system that keeps one gets every verb that needs it, and
what it cannot do is named by the protocol that it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from showtell.data.batch import Batch

State = dict[str, "Tensor"]
"""The state of a decoder, such as its KV cache: named tensors whose leading axes are the same."""


@dataclass(frozen=True)
class Encoded:
    """An image, a text or a fusion of both, as an encoder returns it, on the encoder's device."""

    tokens: Tensor
    """`[B N D]`, one vector per patch, region or token: all of them."""
    pooled: Tensor
    """`[B D]`, one vector for the whole."""
    keep: Tensor | None = None
    """`[B N]`, True for a real token, False for padding; None without padding."""
    features: Tensor | None = None
    """`[B F]`, the mean of the frozen backbone's tokens, where an image was read through one."""

    def to(self, device: torch.device | str) -> Encoded:
        """The same on another device."""
        return Encoded(*(None if t is None else t.to(device) for t in vars(self).values()))  # type: ignore

    def __getitem__(self, rows: slice | Tensor | list[int]) -> Encoded:
        """Some of the `B` rows."""
        return Encoded(*(None if t is None else t[rows] for t in vars(self).values()))  # type: ignore


@dataclass(frozen=True)
class Rate:
    """The learning rate of one part of a system."""

    scale: float = 1.0
    """A multiple of the run's learning rate."""
    constant: bool = False
    """Stay at the peak throughout, without warm-up or decay."""


@dataclass(frozen=True)
class Step:
    """What one forward pass of training computed."""

    losses: Mapping[str, Tensor]
    """Scalars by name; the loop adds them up with the system's `loss_weights`."""
    carry: Mapping[str, Tensor] = field(default_factory=dict)
    """What `after_step` needs to move a teacher or a queue, detached; the first axis runs over items."""
    counts: Mapping[str, Tensor | int] = field(default_factory=dict)
    """Of a loss that is no mean over items: over how many terms, such as tokens. Processes weight by it."""


@runtime_checkable
class Trainable(Protocol):
    """Can be trained: `forward` mutates nothing."""

    loss_weights: Mapping[str, float]

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The losses of one batch, by name."""


@runtime_checkable
class HasAfterStep(Protocol):
    """Changes, after an update, what gradients do not: a teacher, a queue, the range of a temperature."""

    def after_step(self, step: Step) -> None:
        """Called once per update with the step of all its batches: losses averaged, `carry` concatenated."""


@runtime_checkable
class HasLearningRates(Protocol):
    """Has parts that learn faster or slower than the rest, as its paper says."""

    rates: Mapping[str, Rate]
    """By prefix of the parameters' names, such as `predictor.`; the longest counts."""


@runtime_checkable
class Contrastive(Trainable, Protocol):
    """Compares each image with each text: `forward` is `compare(encode_pairs(batch), batch)`, for vectors to
    be computed chunk by chunk and compared across chunks and processes."""

    def encode_pairs(self, batch: Batch, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """Vectors of the images `[B D]` and of the texts `[R D]`, each from its own row of the batch."""

    def compare(self, vectors: tuple[Tensor, ...], batch: Batch) -> Step:
        """The losses of all vectors; reads only `owner` of the batch."""


@runtime_checkable
class ComparesViews(Protocol):
    """Learns by comparing views of an image, and so can collapse."""

    def project(self, pixels: Tensor) -> Tensor:
        """`[B 3 H W]` in 0..1 to `[B D]`, where the loss compares."""


@runtime_checkable
class ImageEncoder(Protocol):
    """Encodes images."""

    def encode_images(self, batch: Batch) -> Encoded:
        """The `B` images of the batch."""


@runtime_checkable
class HasClassTokens(Protocol):
    """Puts tokens that are no patches, such as [class], in front of an image's patches."""

    num_class_tokens: int
    """How many."""


@runtime_checkable
class ImageClassifier(ImageEncoder, Protocol):
    """Knows which of its trained classes an image shows."""

    class_names: Sequence[str]
    """In the order of the logits; empty when they have none."""

    def classify(self, encoded: Encoded) -> Tensor:
        """Logits `[B K]` of encoded images."""


@runtime_checkable
class TextEncoder(Protocol):
    """Encodes texts."""

    def encode_texts(self, batch: Batch) -> Encoded:
        """The `R` texts of the batch."""


@runtime_checkable
class SharedSpace(ImageEncoder, TextEncoder, Protocol):
    """Encodes images and texts into one space, where they are compared by cosine.

    These two return the `pooled` vectors alone, without computing the tokens that nobody reads.
    """

    def image_vectors(self, batch: Batch) -> Tensor:
        """One vector per image, `[B D]`."""

    def text_vectors(self, batch: Batch) -> Tensor:
        """One vector per text, `[R D]`."""


@runtime_checkable
class HasFrozenText(Protocol):
    """Has a text encoder whose vectors are computed once for all epochs where it is not trained."""

    def frozen_text_vectors(self, batch: Batch) -> Tensor:
        """Of the texts, `[R D]`: those of the batch where it holds them."""

    def fit_scales(self, images: Tensor, texts: Tensor) -> None:
        """Before training, from the training images' features `[M F]` and the texts' vectors `[R D]`."""


@runtime_checkable
class Decoder(Protocol):
    """Generates tokens: `memory [B ...]` is of an image or prompt, a state `[B K ...]` of a hypothesis."""

    def initial_state(self, memory: State) -> State:
        """The state before the first token, one hypothesis per image, `[B 1 ...]`."""

    def step(self, memory: State, state: State, ids: Tensor) -> tuple[Tensor, State]:
        """Append one token per hypothesis, `ids [B K]`; return logits `[B K V]` and the new state."""


@runtime_checkable
class Captioner(Decoder, Protocol):
    """Describes images in words."""

    def prefill(self, encoded: Encoded) -> State:
        """Keys, values and whatever else is computed once per image, `[B ...]`."""

    def teacher_forced_logits(self, memory: State, owner: Tensor, ids: Tensor, keep: Tensor) -> Tensor:
        """Logits `[T V]` for the `T` real tokens of `ids[:, 1:]`, row by row.

        `owner [R]` is the index in `memory` of the image that each row of `ids [R L]` describes;
        `keep [R L]` which tokens are real, from the left.
        """


@runtime_checkable
class CausalLanguageModel(Decoder, TextEncoder, Protocol):
    """Continues a text; `memory` is the KV cache of its prompt."""

    def empty_cache(self, batch: int) -> State:
        """The KV cache before the first token of `batch` texts, `[B ...]`."""

    def extend(self, state: State, ids: Tensor, keep: Tensor) -> tuple[Tensor, State]:
        """Append `ids [B L]`, of which `keep` are real; return tokens `[B L D]` and the longer cache."""

    def next_token_logits(self, tokens: Tensor) -> Tensor:
        """Logits `[... V]` of the token after each of `tokens [... D]`."""


@runtime_checkable
class TextWriter(Decoder, TextEncoder, Protocol):
    """Writes a text about another that it has read whole."""

    def prefill_texts(self, encoded: Encoded) -> State:
        """What is computed once per encoded text, `[R ...]`."""


@runtime_checkable
class MaskedLanguageModel(TextEncoder, Protocol):
    """Predicts the masked tokens of a text."""

    def masked_token_logits(self, tokens: Tensor) -> Tensor:
        """Logits `[T V]` of the token at each of `tokens [T D]` of an encoded text."""


@runtime_checkable
class NextSentencePredictor(TextEncoder, Protocol):
    """Predicts whether the second sentence of a pair follows the first, where it has the layers for it."""

    predicts_next_sentence: bool

    def next_sentence_logits(self, tokens: Tensor, batch: Batch) -> Tensor:
        """Logits `[T 2]`, yes before no, of the pairs whose encoded tokens are `tokens [R L D]`."""


@runtime_checkable
class HasTokenEmbeddings(Protocol):
    """Has a vector for each token of its vocabulary."""

    def token_embeddings(self) -> Tensor:
        """`[V D]`, in the order of the tokenizer's ids."""
