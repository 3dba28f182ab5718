"""Recurrent networks (LSTM, GRU) whose state is a dict of tensors, one row per hypothesis."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.protocols import State


class Recurrent(nn.Module):
    """Stacked LSTM or GRU layers; from the second on, each adds its output to its input.

    Dropout is that of the inputs of those. A state holds `h` (and `c` for the LSTM), each `[R depth W]`: rows
    first, so that beam search can gather and repeat them.

    Source: Wu et al. 2016, "Google's Neural Machine Translation System", section 3.1: deep stacks learn far
    sooner with residual connections.
    """

    def __init__(self, cell: str, width_in: int, width: int, depth: int, dropout: float = 0.0) -> None:
        """`cell` is "lstm" or "gru"; anything else, as in a damaged checkpoint, raises `KeyError`."""
        super().__init__()
        network = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.dropout = dropout
        self.layers = nn.ModuleList(
            network(width if place else width_in, width, batch_first=True) for place in range(depth)
        )

    def forward(
        self, inputs: Float[Tensor, "R L width_in"], state: State | None = None
    ) -> tuple[Float[Tensor, "R L W"], State]:
        """`[R L width_in]` to outputs `[R L width]` and the state after the last position."""
        outputs, states = inputs, []
        for place, layer in enumerate(self.layers):
            past = None
            if state is not None:
                parts = tuple(state[k][:, place][None].contiguous() for k in ("h", "c") if k in state)
                past = parts if len(parts) == 2 else parts[0]
            if place:
                changed, last = layer(F.dropout(outputs, self.dropout, self.training), past)
                outputs = outputs + changed
            else:
                outputs, last = layer(outputs, past)
            states.append(last if isinstance(last, tuple) else (last,))
        stacked = (torch.cat(parts).transpose(0, 1) for parts in zip(*states, strict=True))
        return outputs, dict(zip(("h", "c"), stacked, strict=False))
