"""Recurrent networks (LSTM, GRU) whose state is a dict of tensors, one row per hypothesis."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from showtell.protocols import State


class Recurrent(nn.Module):
    """Stacked LSTM or GRU layers with dropout between them.

    A state holds `h` (and `c` for the LSTM), each `[R depth W]`: rows first, so that beam search can gather
    and repeat them.
    """

    def __init__(self, cell: str, width_in: int, width: int, depth: int, dropout: float = 0.0) -> None:
        """`cell` is "lstm" or "gru"; anything else, as in a damaged checkpoint, raises `KeyError`."""
        super().__init__()
        network = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.layers = network(width_in, width, depth, batch_first=True, dropout=dropout if depth > 1 else 0.0)

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
