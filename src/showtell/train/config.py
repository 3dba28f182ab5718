"""The settings of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from showtell.errors import UsageError

Precision = Literal["float32", "bf16", "fp16", "auto"]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of the loop. `prefetch`, `watch_every` and `checkpoint_every` do not affect the result."""

    steps: int = 10_000
    """Updates of the parameters."""
    batch_size: int = 64
    """Items per batch."""
    accumulate: int = 1
    """Batches per update, whose gradients are averaged."""
    chunk_size: int = 0
    """Images of a contrastive batch per chunk, for exact gradients in less memory; 0: no chunks."""
    optimiser: Literal["adamw", "lars", "sgd"] = "adamw"
    """AdamW, or SGD or LARS with momentum."""
    learning_rate: float = 1e-3
    """The peak of the schedule."""
    schedule: Literal["cosine", "one_cycle", "linear", "constant"] = "cosine"
    """The learning rate after the warm-up."""
    warmup_steps: int = 500
    """Updates in which the learning rate rises to its peak."""
    weight_decay: float = 0.01
    """Applied to matrices only, not to biases and gains."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of AdamW's two moving averages."""
    momentum: float = 0.9
    """The momentum of LARS and SGD."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; 0: no clipping."""
    ema: float = 0.0
    """Decay of a moving average of the parameters, which is validated and saved in their place; 0: none."""
    precision: Precision = "float32"
    """bf16 and fp16 compute under autocast, fp16 with a scaled loss; parameters and moments stay float32.
    `auto` is bf16 where it is faster on the device, else float32."""
    shard: bool = False
    """Shard parameters, gradients and moments over the processes, for systems too large for one device."""
    seed: int = 0
    """Seed of all random numbers: initial parameters, order, augmentation, dropout."""
    validate_every: int = 500
    """Steps between validations; 0: after the last step only."""
    metric: str = "loss"
    """The validation figure that decides which parameters are best."""
    higher_is_better: bool = False
    """Whether a higher `metric` is better."""
    patience: int = 0
    """Validations without an improvement after which the run ends early; 0: never."""
    watch_every: int = 50
    """Steps between readings of the monitor, for recipes that have one; 0: never."""
    checkpoint_every: int = 500
    """Steps between saves of the training state, which is always saved after the last step."""
    prefetch: int = 4
    """Batches prepared ahead by threads; 1: each when it is needed."""

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
