"""The optimiser of a run, with parameter groups for decay and learning rates."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from showtell.protocols import Rate
from showtell.train.config import TrainConfig
from showtell.train.lars import LARS

MOMENTS = {
    "adamw": ("step", "exp_avg", "exp_avg_sq"),
    "lars": ("momentum_buffer",),
    "sgd": ("momentum_buffer",),
}
"""The state that each optimiser keeps per parameter."""


def build_optimiser(system: nn.Module, config: TrainConfig) -> Optimizer:
    """AdamW, LARS or SGD over the parameters that require gradients; only matrices decay.

    A system that `HasLearningRates` gets a group per rate. LARS adapts the rate of the matrices only.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", for AdamW; SGD and LARS add
    the decay to the gradient (L2 regularisation).
    """
    rates: dict[str, Rate] = dict(getattr(system, "rates", {}))
    parts: dict[tuple[Rate, bool], list[nn.Parameter]] = {}
    unused = set(rates)
    for name, parameter in system.named_parameters():
        if parameter.requires_grad:
            prefix = max((p for p in rates if name.startswith(p)), key=len, default=None)
            unused.discard(prefix or "")
            rate = Rate() if prefix is None else rates[prefix]
            parts.setdefault((rate, parameter.ndim >= 2), []).append(parameter)
    if not parts:
        raise ValueError(f"{type(system).__name__} has no parameter that requires a gradient")
    if unused:
        raise ValueError(
            f"{type(system).__name__} has rates for {sorted(unused)}, where no parameter requires a gradient"
        )
    groups = [
        {
            "params": parameters,
            "weight_decay": config.weight_decay if matrices else 0.0,
            "scale": rate.scale,
            "constant": rate.constant,
        }
        | ({"adapt": matrices} if config.optimiser == "lars" else {})
        for (rate, matrices), parameters in sorted(parts.items(), key=lambda part: not part[0][1])
    ]
    match config.optimiser:
        case "adamw":
            return AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)
        case "lars":
            return LARS(groups, lr=config.learning_rate, momentum=config.momentum)
        case "sgd":
            # Not fused: that fails when a parameter gets its first gradient later than others.
            return SGD(groups, lr=config.learning_rate, momentum=config.momentum, foreach=True)


def set_rates(optimiser: Optimizer, config: TrainConfig, scheduled: float) -> None:
    """Set the learning rate of each group: a multiple of the scheduled one, or of the peak if constant."""
    for group in optimiser.param_groups:
        group["lr"] = group["scale"] * (config.learning_rate if group["constant"] else scheduled)
