"""An exponential moving average of the weights, which is often better than the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """avg <- d * avg + (1 - d) * weights,   d = min(decay, (1 + step) / (10 + step)).

    The smaller decay of the first steps forgets the random start.
    Source: Polyak & Juditsky 1992; the warm-up is that of TensorFlow's `ExponentialMovingAverage`.
    """

    def __init__(self, system: nn.Module, decay: float) -> None:
        self.decay = decay
        self.live = {n: p for n, p in system.named_parameters() if p.requires_grad}
        self.tensors = {n: p.detach().clone() for n, p in self.live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after update `step`, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(list(self.tensors.values()), list(self.live.values()), step)

    @contextmanager
    def worn(self) -> Iterator[None]:
        """The system computes with the average inside, with its own weights again after."""
        own: dict[str, Tensor] = {n: p.detach().clone() for n, p in self.live.items()}
        try:
            self._put(self.tensors)
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, tensors: dict[str, Tensor]) -> None:
        # Copied into place: a new storage would break what a GPU's recurrent layers fuse.
        for name, parameter in self.live.items():
            parameter.copy_(tensors[name])
