"""AdamW over the parts of a system that learn."""

from __future__ import annotations

from torch import nn
from torch.optim import AdamW

from showtell.train.config import TrainConfig


def build_optimiser(system: nn.Module, config: TrainConfig) -> AdamW:
    """AdamW, fused, with decay on matrices alone: biases, gains and other vectors are left free.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """
    learning = [p for p in system.parameters() if p.requires_grad]
    if not learning:
        raise ValueError(f"{type(system).__name__} has no parameter that learns")
    groups = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)
