"""An exponential moving average of the parameters, which often generalises better than they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """Exponential moving average of the trained parameters, with a warm-up of its decay.

        avg <- d avg + (1 - d) theta        d = min(decay, (1 + step) / (10 + step))

    The smaller decay of the first steps forgets the random initial parameters.

    Source: Polyak & Juditsky 1992; the warm-up is that of TensorFlow's `ExponentialMovingAverage`.
    """

    def __init__(self, system: nn.Module, decay: float) -> None:
        self.decay = decay
        self.live = {n: p for n, p in system.named_parameters() if p.requires_grad}
        self.tensors = {n: p.detach().clone() for n, p in self.live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Include the parameters after update `step`, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(list(self.tensors.values()), list(self.live.values()), step)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the block the system computes with the average, after it with its own parameters."""
        own: dict[str, Tensor] = {n: p.detach().clone() for n, p in self.live.items()}
        try:
            self._put(self.tensors)
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, tensors: dict[str, Tensor]) -> None:
        # Copied in place: a recurrent layer on a GPU keeps pointers into the storage of its parameters.
        for name, parameter in self.live.items():
            parameter.copy_(tensors[name])
