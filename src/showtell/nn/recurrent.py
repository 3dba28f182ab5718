"""Recurrent networks (LSTM, GRU) whose state is a dict of tensors, one row per hypothesis."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.protocols import State


class Recurrent(nn.Module):
    """Stacked LSTM or GRU layers.

    A state holds `h` (and `c` for the LSTM), each `[R depth W]`: rows first, so that beam search can gather
    and repeat them.
    """

    def __init__(self, cell: str, width_in: int, width: int, depth: int) -> None:
        """`cell` is "lstm" or "gru"; anything else, as in a damaged checkpoint, raises `KeyError`."""
        super().__init__()
        network = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.layers = network(width_in, width, depth, batch_first=True)

    def forward(
        self, inputs: Float[Tensor, "R L width_in"], state: State | None = None
    ) -> tuple[Float[Tensor, "R L W"], State]:
        """`[R L width_in]` to outputs `[R L width]` and the state after the last position."""
        past = None
        if state is not None:
            parts = tuple(state[k].transpose(0, 1).contiguous() for k in ("h", "c") if k in state)
            past = parts if len(parts) == 2 else parts[0]
        outputs, last = self.layers(inputs, past)
        last = last if isinstance(last, tuple) else (last,)
        return outputs, {k: t.transpose(0, 1) for k, t in zip(("h", "c"), last, strict=False)}


class ResidualRecurrent(nn.Module):
    """Recurrent layers of one width, of which each after the first adds its output to its input.

    States are those of `Recurrent`. Source: Wu et al. 2016, "Google's Neural Machine Translation System",
    section 3.1.
    """

    def __init__(self, cell: str, width: int, depth: int, dropout: float = 0.0) -> None:
        """`dropout` is that of what each layer after the first reads."""
        super().__init__()
        self.layers = nn.ModuleList(Recurrent(cell, width, width, 1) for _ in range(depth))
        self.dropout = dropout

    def forward(
        self, inputs: Float[Tensor, "R L W"], state: State | None = None
    ) -> tuple[Float[Tensor, "R L W"], State]:
        """`[R L W]` to outputs `[R L W]` and the state after the last position."""
        outputs, states = inputs, list[State]()
        for place, layer in enumerate(self.layers):
            past = None if state is None else {k: t[:, place : place + 1] for k, t in state.items()}
            read = F.dropout(outputs, self.dropout, self.training) if place else outputs
            new, after = layer(read, past)
            outputs = outputs + new if place else new
            states.append(after)
        return outputs, {name: torch.cat([after[name] for after in states], 1) for name in states[0]}
