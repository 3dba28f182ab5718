"""Which device a model runs on."""

from __future__ import annotations

from showtell.errors import UsageError


def choose_device(device: str) -> str:
    """`auto` takes a GPU where there is one.

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
