"""The numbers of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from showtell.errors import UsageError


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, how careful. `prefetch`, `watch_every`, `checkpoint_every` change no result."""

    steps: int = 10_000
    """Updates of the weights."""
    batch_size: int = 64
    """Items of one batch."""
    accumulate: int = 1
    """Batches whose gradients are averaged into one update."""
    chunk_size: int = 0
    """Images of a contrastive batch that are computed at once, for the gradients of all; 0 takes all."""
    optimiser: Literal["adamw", "lars", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    """At its peak."""
    schedule: Literal["cosine", "one_cycle", "linear", "constant"] = "cosine"
    warmup_steps: int = 500
    weight_decay: float = 0.01
    """On matrices alone."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of AdamW's two averages."""
    momentum: float = 0.9
    """Of LARS and SGD."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; 0 leaves it as it is."""
    ema: float = 0.0
    """Decay of the moving average that is validated and kept in place of the weights; 0 is off."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """bf16 and fp16 compute under autocast, fp16 with a loss that is scaled up; weights and moments stay
    float32."""
    shard: bool = False
    """Divide weights, gradients and moments among the processes, for systems too large for one device."""
    seed: int = 0
    validate_every: int = 500
    """Steps between validations; 0 validates after the last step alone."""
    metric: str = "loss"
    """What decides which weights are best, among the figures that the validation returns."""
    higher_is_better: bool = False
    patience: int = 0
    """Validations without a better one before the run ends early; 0 never does."""
    watch_every: int = 50
    """Steps between two readings of the monitor, where a recipe has one; 0 never reads it."""
    checkpoint_every: int = 500
    """Steps between two writings of the training state; the last step is always written."""
    prefetch: int = 4
    """Batches in preparation by threads; 1 prepares each when it is needed."""

    def __post_init__(self) -> None:
        positive = ("steps", "batch_size", "accumulate", "prefetch")
        for name in [
            *positive,
            *("warmup_steps", "weight_decay", "clip_norm", "seed", "chunk_size"),
            *("validate_every", "patience", "watch_every", "checkpoint_every"),
        ]:
            least = 1 if name in positive else 0
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise UsageError(f"train.{name} is {value}; give {least} or more")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"train.learning_rate is {self.learning_rate}; give a number above 0")
        shares = [*(("betas", b) for b in self.betas), ("momentum", self.momentum), ("ema", self.ema)]
        for name, value in shares:
            if not 0 <= value < 1:
                raise UsageError(f"train.{name} holds {value}; give 0 or more and less than 1")
