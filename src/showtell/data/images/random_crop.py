"""What is random in images that are learned from, drawn anew each time that one is read."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from showtell.data.images.augment import Augmentation, augment


def crops(pixels: Tensor, area: tuple[float, float], seed: tuple[int, ...]) -> Tensor:
    """`uint8 [B 3 S S]` to as much: of each image a share of `area`, resized, every other one mirrored."""
    cut = Augmentation(pixels.shape[-1], area, filter="bilinear", jitter=0.0, grey=0.0, blur=0.0)
    return (augment(pixels, cut, seeded(seed, pixels.device)) * 255).round().byte()


def seeded(seed: tuple[int, ...], device: torch.device | str) -> torch.Generator:
    """What draws for one batch: any thread may, in any order."""
    (drawn,) = np.random.SeedSequence(seed).generate_state(1, np.uint64).tolist()
    return torch.Generator(device).manual_seed(drawn)
