"""Linear layers by this processor's fastest exact float32 product, forward and backward.

    y = x W^T + b            dL/dx = g W            dL/dW = g^T x

Torch leaves float32 products to MKL, which computes at half of the rate of some processors of other makers;
torch also carries oneDNN. `fastest.py` says which of the two computes each of the three products.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.fastest import by_onednn, multiply_onednn

SMALL = 64
"""Rows, inputs or outputs below which torch computes: oneDNN would take longer to lay out the operands."""


class Linear(nn.Linear):
    """`torch.nn.Linear` by `linear`: the same parameters, names and initialisation."""

    def forward(self, input: Float[Tensor, "*B I"]) -> Float[Tensor, "*B O"]:
        """`[... I]` to `[... O]`."""
        return linear(input, self.weight, self.bias)


def linear(
    x: Float[Tensor, "*B I"], weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"] | None = None
) -> Float[Tensor, "*B O"]:
    """`x W^T + b` with its gradients, each by the fastest exact product; equal to torch's to rounding.

    It is torch's own, bit by bit, on a GPU, in another precision, for few rows, and wherever torch's is the
    fastest. A weight that `nn/cpu/int8.py` rounded to 8 bits multiplies so where no gradients are recorded.
    """
    rounded = getattr(weight, "int8", None)
    if rounded is not None and not torch.is_grad_enabled() and x.numel():
        product: Tensor = rounded.multiply(x, bias)
        return product
    if not _suits(x, weight) or not by_onednn():
        return F.linear(x, weight, bias)
    y: Tensor = _Linear.apply(x, weight, bias)
    return y


def _suits(x: Tensor, weight: Tensor) -> bool:
    """Whether the choice was measured for such a product; a sharded weight is no plain tensor."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and type(weight) in (Tensor, nn.Parameter)
        and not torch.is_autocast_enabled("cpu")
        and min(*weight.shape, x.shape[:-1].numel()) >= SMALL
    )


class _Linear(torch.autograd.Function):
    """The three products, each by the library that was chosen for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        if "forward" in by_onednn():
            return multiply_onednn(x, weight, bias)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        rows = grad.reshape(-1, grad.shape[-1])
        # Gradients of gradients come from torch's products, which record them.
        chosen = frozenset[str]() if torch.is_grad_enabled() else by_onednn()
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = multiply_onednn(rows, weight.t()) if "input" in chosen else rows @ weight
            dx = dx.view(x.shape)
        if ctx.needs_input_grad[1]:
            inputs = x.reshape(-1, x.shape[-1])
            dw = multiply_onednn(rows.t(), inputs.t()) if "weight" in chosen else rows.t() @ inputs
        return dx, dw, rows.sum(0) if ctx.needs_input_grad[2] else None
