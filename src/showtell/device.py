"""The choice of a device."""

from __future__ import annotations

from showtell.errors import UsageError


def choose_device(device: str) -> str:
    """A device by name; `auto` is a GPU if there is one, else the CPU.

    Raises `UsageError` for a device that this machine does not have.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device} cannot be used here; give cpu, cuda or auto") from error
    return device
