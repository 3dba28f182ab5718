"""What a library asks of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from showtell.protocols import Encoded


class LibraryEncoder(Protocol):
    """A model as a library sees it: images in, vectors out, and a name for who made them."""

    hash: str
    """Hash of the parameters that make the vectors."""
    name: str
    """Of the model, for people."""

    @property
    def preprocessing(self) -> str:
        """Version of the preprocessing; another version means other vectors."""
        ...

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """One decoded image, `uint8 [H W 3]`, to the size that the network reads, `uint8 [S S 3]`."""
        ...

    def encode(self, images: Sequence[np.ndarray]) -> Encoded:
        """Preprocessed images, `uint8 [S S 3]`, to `Encoded` in float32, on any device.

        `tokens` is stored for `caption` and for search by likelihood: a model that needs no more than its
        vectors there returns `[B 1 D]`, the pooled vector alone.
        """
        ...

    def best_captions(self, encoded: Encoded) -> list[str]:
        """The best caption of each encoded image."""
        ...
