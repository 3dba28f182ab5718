"""The choice of a device, and what its processor is."""

from __future__ import annotations

import platform
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

from showtell.errors import UsageError

Precision = Literal["float32", "int8"]
"""How a loaded model multiplies: exactly, or in 8 bits."""


def choose_device(device: str) -> str:
    """A device by name; `auto` is a GPU if there is one, else the CPU.

    Raises `UsageError` for a device that this machine does not have.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"--device {device} is not the name of a device; give {known_devices()}") from error
    try:
        torch.empty(0, device=named)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device} cannot be used here; give {known_devices()}") from error
    return device


def known_devices() -> str:
    """What `--device` takes on this machine, in words."""
    import torch

    return "cpu, cuda or auto" if torch.cuda.is_available() else "cpu or auto: there is no GPU"


def has_int8() -> bool:
    """Whether the processor multiplies 8-bit numbers at full width (VNNI)."""
    import torch

    return torch.cpu._is_vnni_supported() and torch.backends.mkldnn.is_available()


def free_memory(device: str) -> int | None:
    """Bytes that this process may still take on a device, by its group's limit too; None where none tells."""
    import torch

    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = [int(kib) << 10 for kib in re.findall(r"MemAvailable:\s+(\d+)", _text("/proc/meminfo"))]
    most, used = (_text(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if most.isdecimal() and used.isdecimal():
        free.append(max(0, int(most) - int(used)))
    return min(free, default=None)


def _text(path: str) -> str:
    """What a file of the system says; empty where there is none."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's model name, where the system tells."""
    names = re.findall(r"^model name\s*:\s*(.*)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return names[0] if names else platform.processor()
