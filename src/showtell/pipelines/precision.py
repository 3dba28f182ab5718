"""How a loaded system multiplies: exactly, or in 8 bits."""

from __future__ import annotations

from typing import get_args

from torch import nn

from showtell.device import Precision
from showtell.errors import UsageError
from showtell.nn.cpu.int8 import quantise
from showtell.nn.cpu.packed import pack
from showtell.protocols import Captioner


def laid_out(system: nn.Module, device: str, precision: Precision) -> nn.Module:
    """The system itself, its weights prepared for inference on a device.

    Raises `UsageError` for an unknown precision, and for int8 where the device or the processor has none.
    """
    if precision not in get_args(Precision):
        raise UsageError(f"there is no precision {precision!r}; give {' or '.join(get_args(Precision))}")
    if precision == "int8":
        if device != "cpu":
            raise UsageError(f"--precision int8 is for a CPU, and the device is {device}; add --device cpu")
        quantise(system)
    elif device == "cpu" and not isinstance(system, Captioner):
        pack(system)
    return system
