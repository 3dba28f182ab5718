"""What a system can be asked, and the three values that travel between rooms.

Tasks, training, libraries and explanations know systems only through these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from showtell.data.batch import Batch

State = dict[str, "Tensor"]
"""What a decoder remembers: named tensors that all begin with the same axes."""


@dataclass(frozen=True)
class Encoded:
    """A picture, a text or a fusion of both, as a tower leaves it."""

    tokens: Tensor
    """`[B N D]`, one vector a patch, region or word."""
    pooled: Tensor
    """`[B D]`, one vector for the whole."""
    keep: Tensor | None = None
    """`[B N]`, True where a token is real; None when all are."""


@dataclass(frozen=True)
class Rate:
    """How fast one part of a system learns, beside the rest."""

    scale: float = 1.0
    """A multiple of the run's learning rate."""
    constant: bool = False
    """It stays at the peak all along, without warm-up or decay."""


@dataclass(frozen=True)
class Step:
    """What one forward pass of training computed."""

    losses: Mapping[str, Tensor]
    """Scalars by name; the loop weighs and adds them."""
    carry: Mapping[str, Tensor] = field(default_factory=dict)
    """What `after_step` needs to move a teacher or a queue, detached; the first axis runs over items."""
    counts: Mapping[str, Tensor | int] = field(default_factory=dict)
    """How many terms a loss is the mean of, where that is not the number of the batch's items: words, say.
    When several processes share a batch, their losses weigh by it."""


@runtime_checkable
class Trainable(Protocol):
    """A module that the loop can train.

    `forward` computes and mutates nothing; `after_step` alone changes what gradients do not.
    """

    loss_weights: Mapping[str, float]

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """The losses of one batch, by name."""
        ...

    def after_step(self, step: Step) -> None:
        """Move what gradients do not: a teacher, a queue. Called once an update.

        `step` is the whole update's: losses averaged over its batches, `carry` of all of them end to end.
        """
        ...


@runtime_checkable
class HasRates(Protocol):
    """Has parts that learn faster or slower than the rest, as its paper says."""

    rates: Mapping[str, Rate]
    """By the beginning of the parameters' names, such as `predictor.`; the longest that fits counts."""


@runtime_checkable
class Contrastive(Trainable, Protocol):
    """Compares each picture of a batch with each text: `forward` is `compare(embed_pairs(batch), batch)`.

    So the loop can make the vectors chunk by chunk, and compare them over chunks and processes.
    """

    def embed_pairs(self, batch: Batch, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """Vectors of the pictures `[B D]` and of the texts `[R D]`, each from its own row of the batch."""
        ...

    def compare(self, vectors: tuple[Tensor, ...], batch: Batch) -> Step:
        """The losses of all vectors; of the batch it reads `owner` alone."""
        ...


@runtime_checkable
class EmbedsImages(Protocol):
    """Turns pictures into vectors."""

    def embed_image(self, batch: Batch) -> Encoded:
        """Encode the `B` pictures of the batch."""
        ...


@runtime_checkable
class Classifies(EmbedsImages, Protocol):
    """Knows which of the classes it was taught a picture shows."""

    class_names: Sequence[str]
    """In the order of the logits; empty where nobody named them."""

    def classify(self, encoded: Encoded) -> Tensor:
        """Logits `[B K]` of encoded pictures."""
        ...


@runtime_checkable
class EmbedsText(Protocol):
    """Turns texts into vectors; a system that also `EmbedsImages` has both in one space."""

    def embed_text(self, batch: Batch) -> Encoded:
        """Encode the `R` texts of the batch."""
        ...


@runtime_checkable
class Speaks(Protocol):
    """Says one word after another.

    `memory` is what a picture or a prompt costs once (`[B ...]`); a state belongs to a hypothesis
    (`[B K ...]`).
    """

    def begin(self, memory: State) -> State:
        """The state before the first word, one hypothesis a picture, `[B 1 ...]`."""
        ...

    def advance(self, memory: State, state: State, ids: Tensor) -> tuple[Tensor, State]:
        """Read one word a hypothesis, `ids [B K]`; return next-word logits `[B K V]` and the new state."""
        ...


@runtime_checkable
class Captions(Speaks, Protocol):
    """Says a picture in words."""

    def remember(self, encoded: Encoded) -> State:
        """Keys and values of each picture, `[B ...]`."""
        ...

    def say(self, memory: State, owner: Tensor, ids: Tensor, keep: Tensor) -> Tensor:
        """Teacher forcing: logits `[T V]` for the `T` real words of `ids[:, 1:]`, row by row.

        `owner [R]` says which picture of `memory` each of the `R` rows of `ids [R L]` describes;
        `keep [R L]` which words are real, from the left.
        """
        ...


@runtime_checkable
class Continues(Speaks, EmbedsText, Protocol):
    """Goes on with a text; `memory` is what it has read."""

    def nothing(self, batch: int) -> State:
        """The memory before the first word of `batch` texts, `[B ...]`."""
        ...

    def read(self, state: State, ids: Tensor, keep: Tensor) -> tuple[Tensor, State]:
        """Read on: `ids [B L]`, of which `keep` are real, to tokens `[B L D]` and the memory after them."""
        ...

    def next_word(self, tokens: Tensor) -> Tensor:
        """Logits `[... V]` of the word after each of `tokens [... D]`."""
        ...


@runtime_checkable
class Guesses(EmbedsText, Protocol):
    """Guesses the words that are hidden in a text."""

    def guess(self, tokens: Tensor) -> Tensor:
        """Which word stands at each of `tokens [T D]` of an encoded text: logits `[T V]`."""
        ...


@runtime_checkable
class HasWords(Protocol):
    """Has a vector for each word of its vocabulary."""

    def word_vectors(self) -> Tensor:
        """`[V D]`, in the order of the tokenizer's ids."""
        ...


class PictureEncoder(Protocol):
    """A model as a library sees it: pictures in, vectors out, and a name for who made them."""

    hash: str
    """Hash of the weights that make the vectors."""
    name: str
    """Of the model, for people."""

    @property
    def preprocessing(self) -> str:
        """Version of how pixels are prepared; another version means other vectors."""
        ...

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """One decoded picture, `uint8 [H W 3]`, to the size the network takes, `uint8 [S S 3]`."""
        ...

    def encode(self, pictures: Sequence[np.ndarray]) -> Encoded:
        """Prepared pictures, `uint8 [S S 3]`, to `Encoded` on the CPU, float32."""
        ...

    def caption(self, encoded: Encoded) -> list[str]:
        """The best caption of each encoded picture."""
        ...
