"""The interface between a library and the models that index it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from showtell.library.sight import Sight
from showtell.protocols import Encoded


class LibraryEncoder(Protocol):
    """A model that makes the vectors of a library."""

    hash: str
    """SHA-256 of the parameters that make the vectors."""
    name: str
    """A readable name of the model."""

    @property
    def preprocessing(self) -> str:
        """The version of the preprocessing; another version makes other vectors."""
        ...

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Preprocess one decoded image, `uint8 [H W 3]` to `uint8 [S S 3]`."""
        ...

    def encode(self, images: Sequence[np.ndarray]) -> Encoded:
        """Encode preprocessed images, `uint8 [S S 3]`, in float32, on any device.

        A library stores all `tokens`, for captioning and for search by likelihood; a model that does neither
        returns the pooled vector alone, `[B 1 D]`.
        """
        ...

    def best_captions(self, encoded: Encoded) -> list[str]:
        """The best caption of each encoded image."""
        ...


@dataclass(frozen=True)
class Indexer:
    """A model that makes vectors of a library's images, and what else it says of them."""

    encoder: LibraryEncoder
    captions: bool = True
    """Whether it captions every image."""
    look: Callable[[Encoded], list[Sight]] | None = None
    """Tells what encoded images show, which is stored."""


def require_model(model: object) -> None:
    """Raises `TypeError` for what is no model, such as its folder."""
    if not hasattr(model, "preprocessing"):
        raise TypeError(f"{model!r} is no model; load it first: showtell.load_model({str(model)!r})")
