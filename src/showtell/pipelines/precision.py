"""How a loaded system multiplies: exactly, or in 8 bits."""

from __future__ import annotations

from typing import Literal

from torch import nn

from showtell.errors import UsageError
from showtell.nn.cpu.int8 import quantise
from showtell.nn.cpu.packed import pack
from showtell.protocols import Captioner

Precision = Literal["float32", "int8"]


def laid_out(system: nn.Module, device: str, precision: Precision) -> nn.Module:
    """The system itself, its weights prepared for inference on a device.

    Raises `UsageError` for int8 where the device or the processor has none.
    """
    if precision == "int8":
        if device != "cpu":
            raise UsageError(f"--precision int8 is for a CPU, and the device is {device}; add --device cpu")
        quantise(system)
    elif device == "cpu" and not isinstance(system, Captioner):
        pack(system)
    return system
