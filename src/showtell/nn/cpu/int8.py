"""Linear layers in 8 bits, for inference on a CPU.

    W ~ s_o Q_oi        x_r ~ t_r L_ri        y_ro = t_r s_o sum_i L_ri Q_oi + b_o        |Q|, |L| <= 127

Weights are rounded once, with a scale per output; inputs as they come, with a scale per row (a token of an
image or a text), so that a result does not depend on what else is in the batch. Everything else (norms,
softmax, attention's own products, recurrent layers) stays in float32.

Source: Dettmers et al. 2022, "LLM.int8(): 8-bit matrix multiplication for transformers at scale", section 2
(vector-wise quantisation); no input is left out of it here.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from showtell.device import has_int8
from showtell.errors import UsageError
from showtell.nn.cpu.packed import ROWS
from showtell.nn.linear import SMALL, Linear

LEVELS, ZERO = 127, 128
"""The largest level, and where 0 stands among the unsigned 8 bits of the inputs."""


class Int8Weight:
    """A float32 matrix `[O I]` in 8 bits; one that changes is rounded again."""

    def __init__(self, weight: Float[Tensor, "O I"]) -> None:
        self._weight, self._version = weight, -1

    def multiply(self, x: Float[Tensor, "*B I"], bias: Float[Tensor, " O"] | None) -> Float[Tensor, "*B O"]:
        """`x W^T + b`, about 1 % of its largest entry off at most."""
        if self._version != self._weight._version:
            self._round()
        rows = x.reshape(-1, x.shape[-1])
        # Twice as fast as `abs().amax()`, which writes all of them.
        largest = torch.maximum(rows.amax(1, keepdim=True), rows.amin(1, keepdim=True).neg_())
        largest.clamp_(min=torch.finfo(x.dtype).tiny)
        levels = (rows * (LEVELS / largest)).add_(ZERO + 0.5).to(torch.uint8)  # cut off, so rounded
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            levels,
            1 / LEVELS,
            ZERO,
            self._levels,
            self._scale,
            self._zeros,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        y = y.mul_(largest) if bias is None else torch.addcmul(bias, y, largest, out=y)
        return y.view(*x.shape[:-1], -1)

    def _round(self) -> None:
        weight = self._weight.detach()
        self._version = self._weight._version
        self._scale = weight.abs().amax(1).clamp(min=torch.finfo(weight.dtype).tiny) / LEVELS
        levels = (weight / self._scale[:, None]).round_().to(torch.int8)
        self._levels = torch.ops.onednn.qlinear_prepack(levels, [ROWS, weight.shape[1]])
        self._zeros = torch.zeros(len(weight), dtype=torch.int64)


def quantise(module: nn.Module) -> None:
    """Give the linear layers of a module, and the token embeddings that compute logits, weights in 8 bits.

    They multiply where no gradients are recorded; the float32 weights stay. Raises `UsageError` for a
    processor without such products.
    """
    if not has_int8():
        raise UsageError("this processor has no int8 products (VNNI); leave out --precision int8")
    for layer in module.modules():
        if isinstance(layer, Linear | nn.Embedding) and min(layer.weight.shape) >= SMALL:
            layer.weight.int8 = Int8Weight(layer.weight)  # type: ignore[attr-defined]
