"""What a frozen backbone is: prepared images in, tokens out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from showtell.data.images.mosaic import preprocessing_of

Run = Callable[[np.ndarray], Tensor]


@dataclass(frozen=True)
class Backbone:
    """A frozen network that reads images as they are decoded: `uint8 [B S S 3]` to `float32 [B N D]`."""

    name: str
    """A package's model, or the absolute path of a checkpoint: `load_backbone` finds it by this name."""
    size: int
    """`S`, the height of the prepared images in pixels: the side of their square, or of the largest."""
    width: int
    """`D`."""
    num_tokens: int
    """`N`, a square grid row by row."""
    hash: str
    """SHA-256 of what decides its features: of the package's file of weights, or of the checkpoint."""
    preprocessing: str
    """Version of how an image becomes `S` by `S`: `squash224-v1` gives up its aspect ratio."""
    about: str
    """Where its weights come from: Markdown, for model cards."""
    run: Run = field(repr=False)
    features: Callable[[Tensor], Tensor] = field(repr=False)
    """Prepared images, `float [B 3 S S]` in 0..1, to `float32 [B N D]` where they are, with gradients."""
    classes: Sequence[str] = field(default=(), repr=False)
    """Of a classifier, in the order of its logits."""
    logits: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    """Of a classifier, from the mean of its tokens: `[B D]` to `[B K]`, on the CPU."""
    parts: tuple[Backbone, ...] = field(default=(), repr=False)
    """Those that read the same image side by side; none of a single network."""

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """One decoded image, `uint8 [H W 3]` to `uint8 [S S 3]`, or to several squares side by side."""
        return preprocessing_of(self.preprocessing)(pixels)

    def __call__(self, pixels: np.ndarray) -> Tensor:
        """Prepared images, `uint8 [B S S 3]`, any `B`, to `float32 [B N D]` on the CPU."""
        shape = preprocessing_of(self.preprocessing).shape
        if pixels.dtype != np.uint8 or pixels.shape[1:] != shape:
            wanted = " ".join(map(str, shape))
            raise ValueError(f"{self.name} takes uint8 [B {wanted}], not {pixels.dtype} {pixels.shape}")
        return self.run(pixels) if len(pixels) else torch.empty(0, self.num_tokens, self.width)
